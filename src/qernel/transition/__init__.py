"""Where a scan shows a phase transition: fits, their comparison, and checks from the same file.

``qernel.transition("scan-n6")`` is `qernel.transition.verb.transition`.

>>> from qernel.transition import analyse, read_scan
>>> found = analyse(read_scan("scan-n6"))    # doctest: +SKIP
>>> found.lambda_c, found.evidence           # doctest: +SKIP

Over two parameters, from the folder of a map:

>>> from qernel.transition import boundary, read_map
>>> line = boundary(read_map("map-n6"))      # doctest: +SKIP
>>> line.points, line.evidence               # doctest: +SKIP
"""

from qernel.lazy import callable_as
from qernel.transition.analysis import Transition, analyse
from qernel.transition.boundary import Boundary, boundary
from qernel.transition.phase_map import PhaseMap, assembled, is_map, read_map
from qernel.transition.phases import Phases, compare_phases
from qernel.transition.reading import from_dataset, read_scan
from qernel.transition.scan import Curve, Curves

__all__ = [
    "Boundary",
    "Curve",
    "Curves",
    "PhaseMap",
    "Phases",
    "Transition",
    "analyse",
    "assembled",
    "boundary",
    "compare_phases",
    "from_dataset",
    "is_map",
    "read_map",
    "read_scan",
]

callable_as(__name__, "qernel.transition.verb", "transition")
