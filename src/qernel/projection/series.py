"""The series of a projection, generation by generation, and what it says about a mean.

With a fixed number of walkers the comb forgets the mean weight of each generation. Multiplying those of the last T
generations back into the estimator,

    E = Σ_g Ω_g n_g / Σ_g Ω_g d_g,   Ω_g = Π_{t=g−T}^{g−1} (mean weight of generation t),

n_g and d_g the sums of w E_L and of w over walkers, undoes the bias that this has, of order 1/W, once T covers the
memory of the walkers; T = 0 is the plain mean and has all of it. The difference of both is shown.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from qernel.estimators.statistics import Summary, summarise
from qernel.lattice import FloatArray

PIECES = 16
"""Stretches of a series that count as chains: their means see whatever is longer than autocorrelation can show."""

_LONG_PIECES = 4

_MEMORY = 5.0
"""Weights of so many autocorrelation times are multiplied."""

_SHORTEST = 64
"""Generations below which nothing is said."""


class Series(NamedTuple):
    """Generations of a projection, each column ``[n]``; energies in E0, total over electrons.

    Attributes:
        weight: d, the mean weight over walkers and steps.
        energy: n, the mean of weight × Re E_L.
        moire: of weight × one-body energy.
        interaction: of weight × interaction energy.
        growth: log of the mean weight at the end of the generation, as if E_ref were 0.
        span: effective imaginary time of a generation in 1/E0.
        acceptance: of steps.
        crossings: part of the steps refused because they crossed a node.
        effective_walkers: (Σw)²/(W Σw²) before the comb.
        proposed: squared length of diffusion proposed, in units of the time step.
        diffused: that accepted.
    """

    weight: FloatArray
    energy: FloatArray
    moire: FloatArray
    interaction: FloatArray
    growth: FloatArray
    span: FloatArray
    acceptance: FloatArray
    crossings: FloatArray
    effective_walkers: FloatArray
    proposed: FloatArray
    diffused: FloatArray

    @classmethod
    def empty(cls) -> Self:
        """Before the first generation."""
        return cls(*(np.zeros(0) for _ in cls._fields))

    def followed_by(self, other: Self) -> Self:
        """Both, one after the other."""
        return type(self)(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))

    def since(self, first: int) -> Self:
        """Without the generations before ``first``."""
        return type(self)(*(column[first:] for column in self))

    @property
    def effective(self) -> float:
        """Effective time step over the time step, ⟨accepted r²⟩/⟨proposed r²⟩; 1 before anything is known."""
        return float(self.diffused.sum() / self.proposed.sum()) if len(self.proposed) else 1.0

    @property
    def reference(self) -> float:
        """The energy of the later half, which E_ref follows while walkers settle."""
        later = self.since(len(self.weight) // 2)
        return float(later.energy.sum() / later.weight.sum())


class Mean(NamedTuple):
    """A weighted mean over a series.

    Attributes:
        value: the mean.
        summary: of its linearisation: error, autocorrelation in generations, R̂ between stretches.
        generations: T, how many growths are multiplied.
    """

    value: float
    summary: Summary
    generations: int

    def over(self, electrons: int) -> Self:
        """The same per electron."""
        summary = self.summary
        scaled = summary._replace(
            mean=summary.mean / electrons, error=summary.error / electrons, variance=summary.variance / electrons**2
        )
        return self._replace(value=self.value / electrons, summary=scaled)

    @property
    def error(self) -> float:
        """Standard error, which knows of autocorrelation: that within stretches, or their scatter if it is larger."""
        return self.summary.error


def settled(series: Series) -> int:
    """The first generation that counts: where leaving out what is before makes the error of the mean smallest.

    MSER (White, Simulation 69, 323 (1997)) on at most 200 batches: the d that minimises Var(x_d…x_n)/(n − d). Never
    beyond half of the series; `unsettled` says whether it came close to that.
    """
    count = len(series.weight)
    size = max(1, count // 200)
    whole = count - count % size
    batches = (series.energy[:whole] / series.weight[:whole]).reshape(-1, size).mean(1)
    most = len(batches) // 2
    scores = [np.var(batches[first:]) / (len(batches) - first) for first in range(most + 1)]
    return int(np.argmin(scores)) * size


def unsettled(series: Series, first: int) -> bool:
    """Whether walkers may not have come to rest: the search ended in the last fifth of what it may leave out."""
    return first > 0.4 * len(series.weight)


def weighted_mean(series: Series, values: FloatArray, generations: int) -> Mean:
    """Σ Ω n/Σ Ω d of one column, with its error.

    Args:
        series: from where walkers have settled.
        values: n_g, a column of it.
        generations: T.
    """
    log = _products(series, generations)
    weights = np.exp(log - log.max()) * series.weight[generations:]
    weights /= weights.mean()
    ratio = values[generations:] / series.weight[generations:]
    value = float((weights * ratio).mean())
    return Mean(value, _summary(weights * (ratio - value)), generations)


def memory(series: Series) -> int:
    """T: some autocorrelation times of the energy, at most an eighth of the series."""
    time = weighted_mean(series, series.energy, 0).summary.autocorrelation
    return int(min(np.ceil(_MEMORY * time), len(series.weight) // 8))


def _products(series: Series, generations: int) -> FloatArray:
    """log Ω_g of all generations but the first T, up to a constant."""
    relative = series.growth + series.span * float(series.energy.sum() / series.weight.sum())
    sums = np.concatenate([[0.0], np.cumsum(relative)])
    count = len(series.weight)
    return sums[generations:count] - sums[: count - generations]


def _summary(values: FloatArray) -> Summary:
    """Of a series in stretches of equal length; the first few values are left over.

    R̂ is that of a few long stretches: many short ones differ though nothing is wrong.

    Raises:
        ValueError: if it is too short.
    """
    if len(values) < _SHORTEST:
        raise ValueError(f"{len(values)} generations: the error of a mean needs at least {_SHORTEST}")
    whole = values[len(values) % PIECES :]
    return summarise(whole.reshape(PIECES, -1))._replace(rhat=summarise(whole.reshape(_LONG_PIECES, -1)).rhat)


def population_bias(series: Series, generations: int) -> tuple[float, float]:
    """What undoing the bias of a fixed number of walkers changes in the energy, plain − weighted, and its error."""
    plain = series.since(generations)
    parts = []
    for log in (np.zeros(len(plain.weight)), _products(series, generations)):
        weights = np.exp(log - log.max()) * plain.weight
        weights /= weights.mean()
        ratio = plain.energy / plain.weight
        value = float((weights * ratio).mean())
        parts.append((value, weights * (ratio - value)))
    (first, one), (second, other) = parts
    return first - second, _summary(one - other).error
