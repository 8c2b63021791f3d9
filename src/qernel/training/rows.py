"""The rows that walkers contribute to an update: imaginary time, explicit or implicit.

Natural gradient is a step of Euler in imaginary time, projected onto what parameters can do: δ log ψ = −η (E_L − E),
with rows ∂ log ψ/∂θ. Once these explain nothing of E_L any more, its energy is lowest, and still its variance can be
large: what ψ lacks of high excitations has little weight in it, and counts by the square of its energy Δ in the
variance. Large steps along it are unstable (ηΔ < 2) and small ones drown in noise.

The step of Euler backwards, (1 + τ(H − E)) δψ = −τ (H − E) ψ, has the rows

    ∂ log ψ/∂θ + τ ∂E_L/∂θ

in place of those, and takes a component with excitation energy Δ away by a factor 1/(1 + τΔ), however large that is.
The walkers stay where they are, as in the minimisation of variances (Umrigar, Wilson and Wilkins, PRL 60, 1719 (1988)).
An update is zero where the gradient of ⟨E⟩ + τ Var(E_L) is: with τ → 0 natural gradient of the energy, with τ → ∞ the
method of Gauss and Newton for the variance, whose minima include excited states: τ belongs to weights that are trained
already.
"""

from __future__ import annotations

from collections.abc import Callable

from jax import Array

from qernel.estimators.batched import WalkerFunctions
from qernel.estimators.local_energy import LocalEnergy


def measured(
    functions: WalkerFunctions, parameters: Array, positions: Array, points: Array
) -> tuple[LocalEnergy, Array]:
    """Local energies and rows of all walkers.

    Args:
        functions: of the wavefunction, made for the τ of the training.
        parameters: ``[P]``.
        positions: ``[G, W, N, 2]``.
        points: ``[G, p]``.

    Returns:
        Local energies ``[G, W]`` and rows ``[G, W, parts, trainable]``, parts as of scores.
    """
    if functions.implicit_scores:
        return functions.implicit_scores(parameters, positions, points)
    energies = functions.local_energy(parameters, positions, points)
    return energies, functions.scores(parameters, positions, points)


def passes(functions: WalkerFunctions) -> list[Callable[..., object]]:
    """The functions that `measured` calls, the one with the rows last."""
    if functions.implicit_scores:
        return [functions.implicit_scores]
    return [functions.local_energy, functions.scores]
