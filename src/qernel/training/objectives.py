"""What an update lowers, and so which rows walkers contribute.

    energy     rows ∂ log ψ/∂θ: least squares of E_L − E by them is natural gradient, imaginary time inside the
               tangent space
    variance   rows ∂E_L/∂θ: least squares is a step of Gauss and Newton on the variance of E_L over the walkers where
               they are (Umrigar, Wilson and Wilkins, PRL 60, 1719 (1988))

At the minimum of the energy no row of the first kind explains anything of E_L any more, however large its variance is:
components of high excitations have little weight in ψ, but count by the square of their energy in the variance. Rows of
the second kind see them with as much signal as they have variance. Both have the ground state as their solution where
ψ can be exact; elsewhere the variance has minima at excited states too, so that it is for weights trained already.

Adding an objective: a `Objective` and a line in `OBJECTIVES`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from jax import Array

from qernel.estimators.batched import WalkerFunctions
from qernel.estimators.local_energy import LocalEnergy


class Objective(NamedTuple):
    """How walkers are measured for an update.

    Attributes:
        measured: (functions, parameters ``[P]``, positions ``[G, W, N, 2]``, points ``[G, p]``) → local energies
            ``[G, W]`` and rows ``[G, W, parts, trainable]``.
        passes: those of the functions that it calls, the one with the rows last.
    """

    measured: Callable[[WalkerFunctions, Array, Array, Array], tuple[LocalEnergy, Array]]
    passes: Callable[[WalkerFunctions], list[Callable[..., object]]]


def _scored(functions: WalkerFunctions, *walkers: Array) -> tuple[LocalEnergy, Array]:
    return functions.local_energy(*walkers), functions.scores(*walkers)


def _varied(functions: WalkerFunctions, *walkers: Array) -> tuple[LocalEnergy, Array]:
    return functions.varied(*walkers)


OBJECTIVES = {
    "energy": Objective(_scored, lambda functions: [functions.local_energy, functions.scores]),
    "variance": Objective(_varied, lambda functions: [functions.varied]),
}
"""By the name used in ``[train] objective``."""
