"""Error bars from the scatter of few chains, widened so that they hold the mean as often as those of many."""

from __future__ import annotations

_BLOCK = 20.0
"""Independent samples of one chain that count as much as one more chain."""

_NORMAL_FROM = 30.0
"""Degrees of freedom from which Student's distribution is taken for the normal one: its bars are 1.7% wider there."""


def widening(chains: int, each: float) -> float:
    """Student's t that holds 68.3% over one standard error.

    Args:
        chains: whose means scatter, two or more.
        each: independent samples in one of them, as its own autocorrelation says.

    >>> [round(widening(chains, 1.0), 2) for chains in (2, 4, 8, 16, 31)], round(widening(4, 100.0), 2)
    ([1.84, 1.2, 1.08, 1.03, 1.0], 1.03)
    """
    from scipy.special import ndtr, stdtrit  # a tenth of a second, which stored answers do without

    freedom = chains * max(1.0, each / _BLOCK) - 1.0
    return 1.0 if freedom >= _NORMAL_FROM else float(stdtrit(freedom, ndtr(1.0)))
