"""Means and honest error bars of Markov chains.

Everything here takes float64 NumPy arrays ``[chains, samples]``: independent walkers along the first
axis, the order in which they were recorded along the second.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qernel.estimators.student import widening

FloatArray = npt.NDArray[np.float64]

_SHORTEST_FOR_AUTOCORRELATION = 10
"""Samples per chain below which ArviZ cannot see autocorrelation: its half-chains hold under five."""

_SHORTEST_FOR_RHAT = 4


class Summary(NamedTuple):
    """What a set of Markov chains says about one mean.

    ``error**2 = variance * autocorrelation / N = variance / effective_samples`` holds exactly, where N is
    the number of recorded samples in all chains.

    Attributes:
        mean: average over all chains and samples, in the unit of the series.
        error: one standard error of ``mean``, in the unit of the series.
        variance: variance of a single sample, in the unit of the series squared.
        autocorrelation: integrated autocorrelation time τ = N/effective_samples ≥ 1, in recorded samples.
        rhat: rank-normalised split R̂; above 1.01 the chains have not mixed.
        effective_samples: number of independent samples that would give the same error.
    """

    mean: float
    error: float
    variance: float
    autocorrelation: float
    rhat: float
    effective_samples: float


class Components(NamedTuple):
    """The same about the mean of a vector-valued series, as arrays of its shape; see `Summary`."""

    mean: FloatArray
    error: FloatArray
    autocorrelation: FloatArray
    effective_samples: FloatArray


def summarise(series: npt.ArrayLike) -> Summary:
    r"""Mean, error bar and convergence diagnostics of Markov chains.

    Two estimates of the error are made and the larger is reported:

    * from the samples, σ_w² = variance · τ_w / N, with τ_w = N/ESS from the autocorrelation within the
      chains (Geyer's initial monotone sequence, as in ArviZ). It is precise, but it only knows of
      excursions that the chains have made: walkers stuck in different basins each look stationary, and
      chains shorter than their own autocorrelation time look better than they are;
    * from the chain means m_c, σ_b² = t² var(m_c)/chains. It assumes nothing about the dynamics and
      therefore counts whatever makes independent walkers disagree, but it is itself uncertain by
      1/√(2(chains − 1)). With few chains it would hold the mean too rarely (2 chains 50%, 8 chains 65%), so it
      is widened by Student's t for ν degrees of freedom, t = 1.84, 1.20, 1.08, 1.03 for 2, 4, 8 and 16 chains and
      1 from ν = 30 on: ν = chains − 1, and more where chains are long, because σ_w is precise then and widening
      σ_b would only make the bar too wide: chains of n independent samples each count n/20 times.

    When the chains have mixed, both estimate the same number, and taking the larger costs little: the bar
    is too wide by about 0.4/√(2(chains − 1)), 4% for 64 chains and 10% for 8, and by another 5 to 10%
    when the chains are only a few τ long, where Geyer's sum overshoots. When they have not mixed, the
    larger is the one to believe. A basin that no chain has ever visited stays invisible to both: a phase that
    is rare and outlives the chains makes bars of few chains too small (`qernel.estimators.doubts`).

    τ_w is never taken below 1, so anticorrelated samples get no credit.

    Degenerate cases:

    * constant to rounding (the local energy of an eigenstate): error 0, R̂ 1, τ 1;
    * a single chain: there is no σ_b, and R̂ compares pieces of that chain;
    * fewer than 10 samples per chain: τ_w cannot be estimated, σ_b alone corrects for autocorrelation;
      with a single chain the error, τ and the number of effective samples are nan;
    * fewer than 4 samples per chain (8 for a single chain): R̂ is nan;
    * one sample in all: everything but the mean is nan.

    Args:
        series: real samples ``[chains, samples]``, in any unit.

    Returns:
        A `Summary` in the unit of the series.

    Raises:
        ValueError: if the shape is not ``[chains, samples]``, or a sample is nan or infinite.
        TypeError: if the samples are complex.

    >>> s = summarise(np.random.default_rng(0).normal(3.0, 1.0, size=(64, 100)))
    >>> print(f"{s.mean:.2f} ± {s.error:.3f}, R̂ {s.rhat:.2f}")
    3.00 ± 0.012, R̂ 1.00

    References:
        Vehtari, Gelman, Simpson, Carpenter and Bürkner, Bayesian Analysis 16, 667 (2021); Geyer,
        Statistical Science 7, 473 (1992).
    """
    return _summary(checked(series, "series"))


def summarise_components(series: npt.ArrayLike) -> Components:
    """`summarise` for every component of a vector-valued series, without R̂, which takes most of its time.

    Args:
        series: real samples ``[chains, samples, *shape]``.

    Returns:
        `Components` with arrays ``[*shape]``.

    Raises:
        ValueError: if there are fewer than two axes, or a sample is nan or infinite.
        TypeError: if the samples are complex.

    >>> s = summarise_components(np.random.default_rng(0).normal(size=(64, 20, 3, 2)))
    >>> s.mean.shape, s.error.shape
    ((3, 2), (3, 2))
    """
    array = np.asarray(series)
    if array.ndim < 2:
        raise ValueError(f"series has shape {array.shape}: expected [chains, samples, ...]")
    shape = array.shape[2:]
    columns = np.moveaxis(array.reshape(*array.shape[:2], -1), -1, 0)
    summaries = [_summary(checked(column, "series"), rhat=False) for column in columns]

    def field(name: str) -> FloatArray:
        return np.array([getattr(summary, name) for summary in summaries], dtype=np.float64).reshape(shape)

    return Components(*(field(name) for name in Components._fields))


def _summary(x: FloatArray, *, rhat: bool = True) -> Summary:
    """What `summarise` says about checked samples ``[chains, samples]``."""
    chains, samples = x.shape
    if x.size == 1:
        return Summary(float(x[0, 0]), *[np.nan] * 5)
    if is_constant(x):
        return Summary(float(x[0, 0]), 0.0, 0.0, 1.0, 1.0, float(x.size))

    # Centred first: an energy of -1e6 ± 1e-6 would lose its variance to cancellation.
    origin = float(x[0, 0])
    centred = x - origin
    offset = float(centred.mean())
    centred -= offset
    variance = float(np.sum(centred**2) / (x.size - 1))
    standard = centred / np.sqrt(variance)  # ArviZ takes anything narrower than 1e-15 for a constant

    time = max(1.0, x.size / _effective_samples(standard)) if samples >= _SHORTEST_FOR_AUTOCORRELATION else 1.0
    if chains > 1:
        between = float(np.var(standard.mean(axis=1), ddof=1)) / chains
        time = max(time, between * x.size * widening(chains, samples / time) ** 2)
    elif samples < _SHORTEST_FOR_AUTOCORRELATION:
        time = np.nan
    return Summary(
        mean=origin + offset,
        error=float(np.sqrt(variance * time / x.size)),
        variance=variance,
        autocorrelation=float(time),
        rhat=_rhat(standard) if rhat else np.nan,
        effective_samples=float(x.size / time),
    )


def checked(series: npt.ArrayLike, name: str) -> FloatArray:
    """``series`` as a float64 copy ``[chains, samples]``.

    Raises:
        ValueError: if the shape is another, or a sample is nan or infinite; the sentence says ``name``.
        TypeError: if the samples are complex.
    """
    array = np.asarray(series)
    if np.iscomplexobj(array):
        raise TypeError(f"{name} is complex: only real observables have an error bar, pass its real part")
    if array.ndim != 2 or array.size == 0:
        raise ValueError(
            f"{name} has shape {array.shape}: expected [chains, samples] with at least one of each. "
            f"For a single chain write {name}[None, :]"
        )
    x = array.astype(np.float64)
    bad = ~np.isfinite(x)
    if bad.any():
        chain, sample = np.argwhere(bad)[0]
        raise ValueError(
            f"{name} holds {int(bad.sum())} nan or infinite values of {x.size}, the first at chain {chain}, "
            f"sample {sample}. Dropping them would bias the mean: find out why this walker diverged"
        )
    return x


def is_constant(x: FloatArray) -> bool:
    """Whether all values agree to rounding."""
    return bool(np.ptp(x) <= 32 * np.finfo(np.float64).eps * np.abs(x).max())


def _arviz() -> Any:
    """ArviZ's NumPy-only functions; imported here because that takes a second."""
    from arviz_stats.base.array import array_stats

    return array_stats


def _effective_samples(standard: FloatArray) -> float:
    """ArviZ's effective sample size for the mean, over split chains."""
    return float(_arviz().ess(standard, method="mean"))


def _rhat(standard: FloatArray) -> float:
    """Rank-normalised split R̂: nan if there are too few samples, inf if no chain moves."""
    chains, samples = standard.shape
    if chains == 1:
        half = samples // 2
        standard = np.stack([standard[0, :half], standard[0, samples - half :]])
        samples = half
    if samples < _SHORTEST_FOR_RHAT:
        return float("nan")
    if not np.ptp(standard, axis=1).any():
        return float("inf")
    # Folding samples of two values leaves 0/0 in the tail; ArviZ then reports the bulk.
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(_arviz().rhat(standard, method="rank"))
