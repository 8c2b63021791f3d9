"""Where a scan over λ shows a phase transition: fits, their comparison, and checks from the same file.

``qernel.transition("scan-n6")`` is `qernel.transition.verb.transition`.

>>> from qernel.transition import analyse, read_scan
>>> found = analyse(read_scan("scan-n6"))    # doctest: +SKIP
>>> found.lambda_c, found.evidence           # doctest: +SKIP
"""

from qernel.lazy import callable_as
from qernel.transition.analysis import Transition, analyse
from qernel.transition.phases import Phases, compare_phases
from qernel.transition.scan import Curve, Scan, read_scan

__all__ = ["Curve", "Phases", "Scan", "Transition", "analyse", "compare_phases", "read_scan"]

callable_as(__name__, "qernel.transition.verb", "transition")
