"""What the commands say about results."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from qernel.estimators.doubts import listed

NO_ANSWER = 2
"""Exit code where energies are impossible: the user can train, or ask, otherwise."""


def refused(found: Mapping[float, str], symbol: str = "λ") -> int:
    """The exit code of a measurement; numbers that are no answer are said on standard error.

    Args:
        found: why the energies at each value are impossible; empty where they are not.
        symbol: of the parameter that was varied.
    """
    worst = [value for value, why in found.items() if why]
    if not worst:
        return 0
    print(
        f"qernel: error: what was measured at {symbol} = {listed(worst)} is no answer: "
        f"at {symbol} = {worst[0]:g} {found[worst[0]]}; "
        "the model has diverged, or is asked too far from where it was trained: train it with a lower "
        f"train.learning_rate, or ask at other {symbol}",
        file=sys.stderr,
        flush=True,
    )
    return NO_ANSWER
