"""Means of samples that were drawn from one distribution as if they were drawn from another."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qernel.estimators.statistics import FloatArray, Summary, checked, is_constant, summarise


def ratio_of_weighted(series: npt.ArrayLike, log_weights: npt.ArrayLike) -> Summary:
    """Mean of samples drawn from one distribution as if they were drawn from another.

    The self-normalised estimate m = Σ w f / Σ w with w = p_target/p_sampled, for instance
    w = |ψ_λ'|²/|ψ_λ|². An overall factor in the weights does not matter.

    The error comes from linearising the ratio: to first order m is off by the average of
    w (f − m)/⟨w⟩, which is an ordinary series, and `summarise` gives it an error bar with the
    autocorrelation of the weights included. Because m is fitted to the very samples that dominate it,
    these residuals are too small when few samples carry the weight; they are divided by what remains of
    their variance for f independent of w, 1 − 2Σw³/Σw² + Σw² with Σw = 1.

    ``effective_samples`` is Kish's (Σw)²/Σw² divided by the autocorrelation time. The error bar, and the
    estimate itself, mean nothing when it falls to a few tens: the target then lives where there are no
    samples. When a single sample carries all the weight there is no error bar: nan. With equal weights the
    result is that of `summarise`.

    Args:
        series: real samples f ``[chains, samples]``, in any unit.
        log_weights: log w ``[chains, samples]``, dimensionless; -inf for a weight of zero.

    Returns:
        A `Summary` of the target distribution; τ and R̂ are those of the linearised series.

    Raises:
        ValueError: if the shapes differ, a sample is nan or infinite, a log weight is nan or +inf, or
            every weight is zero.
        TypeError: if either is complex.
    """
    f = checked(series, "series")
    weights = _weights(log_weights, f.shape)
    kish = 1.0 / float(np.sum(weights**2))
    support = f[weights > 0]
    if f.size > 1 and (is_constant(f) or (support.size > 1 and is_constant(support))):
        return Summary(float(support[0]), 0.0, 0.0, 1.0, 1.0, kish)

    origin = float(support[0])
    offset = float(np.sum(weights * (f - origin)))
    centred = f - origin - offset
    # Variance of a residual relative to that of f: 1 - 1/N for equal weights, 0 for a single sample.
    remains = 1.0 - 2.0 * kish * float(np.sum(weights**3)) + 1.0 / kish
    if remains < 1e-12:
        return Summary(origin + offset, np.nan, np.nan, np.nan, np.nan, kish)
    linear = summarise(f.size * weights * centred)
    return Summary(
        mean=origin + offset,
        error=float(linear.error * np.sqrt((1.0 - 1.0 / f.size) / remains)),
        variance=float(np.sum(weights * centred**2)) / (1.0 - 1.0 / kish),
        autocorrelation=linear.autocorrelation,
        rhat=linear.rhat,
        effective_samples=kish / linear.autocorrelation,
    )


def effective_fraction(log_weights: npt.ArrayLike) -> float:
    """Kish's (Σw)²/(n Σw²): the share of n weighted samples that equally weighted ones would need for the same error.

    Args:
        log_weights: log w ``[chains, samples]``, dimensionless; an overall factor does not matter.

    Raises:
        ValueError: if a log weight is nan or +inf, or every weight is zero.
        TypeError: if they are complex.
    """
    weights = _weights(log_weights, np.shape(log_weights))
    return 1.0 / (weights.size * float(np.sum(weights**2)))


def _weights(log_weights: npt.ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """Weights that add up to one."""
    logs = np.asarray(log_weights)
    if np.iscomplexobj(logs):
        raise TypeError("log_weights is complex: pass log|ψ'|² - log|ψ|²")
    logs = logs.astype(np.float64)
    if logs.shape != shape:
        raise ValueError(f"log_weights has shape {logs.shape} and series {shape}: each sample needs one weight")
    if np.isnan(logs).any() or np.isposinf(logs).any():
        raise ValueError("log_weights holds nan or +inf: a weight p_target/p_sampled must be finite")
    largest = logs.max()
    if np.isneginf(largest):
        raise ValueError("every weight is zero: the target distribution does not overlap with the samples")
    weights = np.exp(logs - largest)
    result: FloatArray = weights / weights.sum()
    return result
