"""From energies of several seeds to the excess energy of a model, with errors that hold both kinds of scatter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from qernel.comparison.reference import Reference
from qernel.comparison.runs import Measured
from qernel.lattice import FloatArray


class Accuracy(NamedTuple):
    """One model, energies per electron in E0.

    Attributes:
        energy: mean over seeds of the finished runs ``[L]``.
        energy_error: one standard error ``[L]``.
        excess: above the reference ``[L]``.
        excess_error: the reference's included ``[L]``.
        seconds: at each point of the learning curve ``[K]``, mean over seeds; the last is the end.
        iterations: likewise ``[K]``.
        mean_excess: mean over λ at each of these points ``[K]``.
        mean_excess_error: likewise ``[K]``.
    """

    energy: FloatArray
    energy_error: FloatArray
    excess: FloatArray
    excess_error: FloatArray
    seconds: FloatArray
    iterations: FloatArray
    mean_excess: FloatArray
    mean_excess_error: FloatArray


def combined(values: FloatArray, errors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean over seeds and its standard error.

    The scatter of the seeds contains the sampling noise, but few seeds may agree by chance: the larger of the error
    from the scatter and of that from sampling alone counts. With one seed there is no scatter, only sampling.

    Args:
        values: ``[seeds, ...]``.
        errors: sampling error of each, ``[seeds, ...]``.
    """
    seeds = len(values)
    sampling = np.sqrt((errors**2).sum(0)) / seeds
    scatter = values.std(0, ddof=1) / np.sqrt(seeds) if seeds > 1 else np.zeros_like(sampling)
    return values.mean(0), np.maximum(scatter, sampling)


def best_found(runs: Mapping[str, list[Measured]], lam: FloatArray) -> Reference:
    """The lowest energy among the finished models at each λ."""
    table = [combined(*_last(seeds)) for seeds in runs.values()]
    energies, errors = (np.stack(column) for column in zip(*table, strict=True))
    best = energies.argmin(0)
    labels = list(runs)
    winners = ", ".join(f"{labels[row]} at λ = {value:g}" for row, value in zip(best, lam, strict=True))
    at = np.arange(len(lam))
    return Reference(energies[best, at], errors[best, at], f"lowest energy found: {winners}", exact=False)


def accuracies(runs: Mapping[str, list[Measured]], reference: Reference) -> dict[str, Accuracy]:
    """The accuracy of every model, by label."""
    return {label: _accuracy(seeds, reference) for label, seeds in runs.items()}


def _accuracy(seeds: list[Measured], reference: Reference) -> Accuracy:
    energy, energy_error = combined(*_last(seeds))
    # The points of a learning curve that every seed has, counted from the end.
    count = min(len(seed.seconds) for seed in seeds)
    values = np.stack([seed.energy[-count:].mean(-1) for seed in seeds])
    width = seeds[0].energy.shape[-1]
    errors = np.stack([np.sqrt((seed.error[-count:] ** 2).sum(-1)) / width for seed in seeds])
    mean, mean_error = combined(values, errors)
    offset = float(np.sqrt((reference.error**2).sum()) / width)
    return Accuracy(
        energy,
        energy_error,
        energy - reference.energy,
        np.hypot(energy_error, reference.error),
        np.mean([seed.seconds[-count:] for seed in seeds], axis=0),
        np.mean([seed.iterations[-count:] for seed in seeds], axis=0),
        mean - reference.energy.mean(),
        np.hypot(mean_error, offset),
    )


def _last(seeds: list[Measured]) -> tuple[FloatArray, FloatArray]:
    return np.stack([seed.energy[-1] for seed in seeds]), np.stack([seed.error[-1] for seed in seeds])
