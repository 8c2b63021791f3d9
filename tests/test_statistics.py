"""Error bars of Markov chains against processes whose autocorrelation is known."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy import integrate, stats

from qernel.estimators.statistics import summarise, summarise_components
from qernel.estimators.student import widening
from qernel.estimators.weighted import ratio_of_weighted

FloatArray = npt.NDArray[np.float64]


def autoregressive(rng: np.random.Generator, shape: tuple[int, ...], rho: float) -> FloatArray:
    """Stationary AR(1) chains of unit variance and mean zero; time is the last axis."""
    noise = rng.normal(size=shape)
    x = np.empty(shape)
    x[..., 0] = noise[..., 0]
    for t in range(1, shape[-1]):
        x[..., t] = rho * x[..., t - 1] + np.sqrt(1 - rho**2) * noise[..., t]
    return x


def exact_error(chains: int, samples: int, rho: float) -> float:
    """Standard deviation of the mean of AR(1) chains of unit variance."""
    lag = np.arange(1, samples)
    time = 1 + 2 * np.sum((1 - lag / samples) * rho**lag)
    return float(np.sqrt(time / (chains * samples)))


def expected_coverage(chains: int) -> float:
    """P(|z| < max(1, s)) for a normal mean z, the true error 1 and s the error from the chain means.

    (chains − 1)s² is χ² distributed and independent of the mean.
    """
    freedom = chains - 1

    def integrand(s: float) -> float:
        inside = 1 - 2 * stats.norm.sf(max(1.0, s))
        return float(inside * stats.chi2.pdf(freedom * s**2, freedom) * 2 * freedom * s)

    return float(integrate.quad(integrand, 0.0, 6.0, points=[1.0])[0])


@pytest.mark.parametrize(("chains", "samples", "rho"), [(64, 64, 0.0), (32, 256, 0.8), (8, 1000, 0.9), (512, 6, 0.8)])
def test_error_bars_are_calibrated(chains: int, samples: int, rho: float) -> None:
    """300 repetitions: bars of the right size that hold the exact mean as often as they should."""
    repetitions = 300
    series = autoregressive(np.random.default_rng(7), (repetitions, chains, samples), rho)
    results = [summarise(x) for x in series]
    error = np.array([r.error for r in results])
    mean = np.array([r.mean for r in results])
    # Never too small beyond statistics (of order 1/√(2·300·chains)), and too large by no more than the price
    # of taking the larger of two estimates, 0.4/√(2(chains − 1)), plus 8% by which Geyer's sum overshoots.
    assert 0.98 < error.mean() / exact_error(chains, samples, rho) < 1.08 + 0.4 / np.sqrt(2 * (chains - 1))
    # Three binomial standard deviations: with a true coverage p this fails for one seed in 370.
    p = expected_coverage(chains)
    covered = np.mean(np.abs(mean) < error)
    assert abs(covered - p) < 3 * np.sqrt(p * (1 - p) / repetitions)


@pytest.mark.parametrize(
    ("chains", "samples", "rho", "most"),
    [
        (2, 8, 0.0, 0.78),  # too short for τ: the chain means alone, with one degree of freedom
        (2, 20, 0.905, 0.78),  # τ = 20, as long as the chains
        (3, 20, 0.98, 0.78),  # five times as long
        (4, 20, 0.5, 0.80),
        (4, 50, 0.95, 0.78),
        (8, 20, 0.98, 0.75),
        (16, 20, 0.5, 0.75),
        (4, 400, 0.5, 0.78),  # long chains: what was right stays right
    ],
)
def test_bars_of_few_chains_hold_the_mean_as_often_as_those_of_many(
    chains: int, samples: int, rho: float, most: float
) -> None:
    """At least 66% and not much more than 68%, also where the autocorrelation time is that of the chains or longer."""
    repetitions = 1000
    series = autoregressive(np.random.default_rng(8), (repetitions, chains, samples), rho)
    found = summarise_components(np.moveaxis(series, 0, -1))
    covered = np.mean(np.abs(found.mean) < found.error)
    scatter = 3 * np.sqrt(0.66 * 0.34 / repetitions)
    assert 0.66 - scatter < covered < most + scatter


@pytest.mark.parametrize(("chains", "least"), [(16, 0.66), (64, 0.66)])
def test_bars_where_chains_switch_between_two_phases(chains: int, least: float) -> None:
    """A phase that is rare (1/7 of the time) and lasts ten records: enough chains hold the mean in so short a time."""
    rng, repetitions, samples, share = np.random.default_rng(9), 600, 20, 1 / 7
    phase = rng.random((chains, samples, repetitions)) < share
    for t in range(1, samples):
        leaves = rng.random((chains, repetitions)) < 0.1
        phase[:, t] = np.where(leaves, phase[:, t], phase[:, t - 1])
    found = summarise_components(phase + 0.1 * rng.normal(size=phase.shape))
    covered = np.mean(np.abs(found.mean - share) < found.error)
    assert abs(covered - 0.70) < 0.70 - least + 3 * np.sqrt(0.21 / repetitions)


@pytest.mark.parametrize("chains", [2, 3, 8, 30])
def test_frozen_chains_have_the_interval_of_student(chains: int) -> None:
    """One value for each chain is the textbook case: the bar is t(68.3%) s/√n, to rounding."""
    values = np.random.default_rng(chains).normal(size=chains)
    expected = stats.t.ppf(stats.norm.cdf(1.0), chains - 1) * values.std(ddof=1) / np.sqrt(chains)
    assert summarise(np.repeat(values[:, None], 12, axis=1)).error == pytest.approx(expected, rel=1e-9)


def test_bars_of_many_chains_are_not_widened() -> None:
    assert [widening(chains, 1.0) for chains in (31, 64, 1000)] == [1.0, 1.0, 1.0]
    assert widening(2, 400.0) < 1.03 < 1.8 < widening(2, 5.0)  # long chains tell their own error


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_autocorrelation_time_of_one_long_chain(rho: float) -> None:
    """τ = (1+ρ)/(1−ρ); a window of W ≈ 3τ lags leaves a relative error of √(4W/n) ≈ 5% at ρ = 0.9."""
    s = summarise(autoregressive(np.random.default_rng(1), (1, 100_000), rho))
    assert s.autocorrelation == pytest.approx((1 + rho) / (1 - rho), rel=0.15)
    assert s.variance == pytest.approx(1.0, rel=0.1)
    assert s.rhat == pytest.approx(1.0, abs=0.01)


def test_fields_are_consistent() -> None:
    x = autoregressive(np.random.default_rng(2), (16, 200), 0.7)
    s = summarise(x)
    assert s.mean == pytest.approx(x.mean(), abs=1e-14)
    assert s.variance == pytest.approx(x.var(ddof=1))
    assert s.effective_samples * s.autocorrelation == pytest.approx(x.size)
    assert s.error**2 == pytest.approx(s.variance / s.effective_samples)
    assert all(type(field) is float for field in s)


def test_result_scales_with_the_series() -> None:
    """The mean moves and the error scales, also where the spread is tiny or the offset large."""
    x = autoregressive(np.random.default_rng(3), (8, 100), 0.5)
    s = summarise(x)
    for scale, shift in ((1e-20, 0.0), (-1e6, 3.0), (1e-6, 1e4)):
        t = summarise(scale * x + shift)
        assert t.mean == pytest.approx(scale * s.mean + shift)
        assert t.error == pytest.approx(abs(scale) * s.error, rel=1e-4)
        assert t.autocorrelation == pytest.approx(s.autocorrelation, rel=1e-4)
        assert t.rhat == pytest.approx(s.rhat, abs=1e-3)


@pytest.mark.parametrize("shape", [(8, 100), (1, 100), (8, 1), (1, 2)])
@pytest.mark.parametrize("value", [0.0, -17.64, 0.1 + 0.2])
def test_constant_series(shape: tuple[int, int], value: float) -> None:
    """The local energy of an eigenstate, exact and to rounding."""
    rounding = value * (1 + 2e-16 * np.random.default_rng(0).integers(-4, 5, size=shape))
    assert summarise(np.full(shape, value)) == (value, 0.0, 0.0, 1.0, 1.0, float(np.prod(shape)))
    assert summarise(rounding)[1:] == (0.0, 0.0, 1.0, 1.0, float(np.prod(shape)))
    assert summarise(rounding).mean == pytest.approx(value, rel=1e-14)


def test_chains_stuck_in_two_modes() -> None:
    x = np.random.default_rng(4).normal(size=(8, 500)) + np.repeat([-5.0, 5.0], 4)[:, None]
    s = summarise(x)
    assert s.rhat > 1.1
    assert s.error >= 0.999 * x.mean(axis=1).std(ddof=1) / np.sqrt(8)
    assert s.error > 30 * x.std() / np.sqrt(x.size) / 2
    assert s.effective_samples < 10


def test_frozen_chains() -> None:
    """Walkers that never move: every chain is one sample."""
    values = np.random.default_rng(5).normal(size=8)
    s = summarise(np.repeat(values[:, None], 50, axis=1))
    assert s.rhat == np.inf
    student = stats.t.ppf(stats.norm.cdf(1.0), 7)
    assert s.error == pytest.approx(student * values.std(ddof=1) / np.sqrt(8), rel=1e-9)


def test_single_chain_that_drifts() -> None:
    s = summarise(np.linspace(0.0, 1.0, 400)[None, :] + np.random.default_rng(6).normal(size=(1, 400)) * 0.01)
    assert s.rhat > 1.1
    assert s.effective_samples < 10


def test_few_samples() -> None:
    """One sample of each of many walkers is as good as it gets; too short a single chain has no error bar."""
    x = np.random.default_rng(7).normal(size=(400, 1))
    s = summarise(x)
    assert s.error == pytest.approx(x.std(ddof=1) / 20)
    assert s.autocorrelation == pytest.approx(1.0) and np.isnan(s.rhat)

    short = summarise(np.random.default_rng(8).normal(size=(1, 9)))
    assert np.isnan([short.error, short.autocorrelation, short.effective_samples]).all()
    assert np.isfinite([short.mean, short.variance, short.rhat]).all()
    assert np.isnan(summarise(np.random.default_rng(8).normal(size=(1, 7))).rhat)
    for single in (summarise([[3.0]]), ratio_of_weighted([[3.0]], [[0.0]])):
        assert single.mean == 3.0 and np.isnan([single.error, single.variance, single.rhat]).all()
    # ArviZ itself reports more effective samples than there are samples here.
    assert summarise(np.random.default_rng(9).normal(size=(4, 6))).effective_samples <= 24.0
    assert np.isfinite(summarise(np.random.default_rng(9).normal(size=(1, 10))).error)


def test_anticorrelation_gets_no_credit() -> None:
    assert summarise(autoregressive(np.random.default_rng(10), (1, 1000), -0.8)).autocorrelation == 1.0


def test_errors_say_what_to_do() -> None:
    x = np.zeros((3, 5))
    x[1, 2] = np.nan
    x[2, 4] = np.inf
    with pytest.raises(ValueError, match=r"2 nan or infinite values of 15, the first at chain 1, sample 2"):
        summarise(x)
    with pytest.raises(ValueError, match=r"series\[None, :\]"):
        summarise(np.zeros(5))
    with pytest.raises(ValueError, match="at least one of each"):
        summarise(np.zeros((3, 0)))
    with pytest.raises(TypeError, match="real part"):
        summarise(np.zeros((3, 5), dtype=complex))


def test_equal_weights_change_nothing() -> None:
    x = autoregressive(np.random.default_rng(11), (16, 100), 0.6) + 3.0
    np.testing.assert_allclose(ratio_of_weighted(x, np.full(x.shape, -700.0)), summarise(x), rtol=1e-9)


def test_reweighted_gaussian_is_calibrated() -> None:
    """x² reweighted from N(0, 1) to N(0.5, 1), where its mean is 1.25.

    log w = x/2 up to a constant: Kish's fraction is exp(−1/4). The bar is tested on 300 repetitions.
    """
    repetitions, chains = 300, 32
    x = autoregressive(np.random.default_rng(12), (repetitions, chains, 100), 0.5)
    results = [ratio_of_weighted(row**2, 0.5 * row) for row in x]
    mean, error = (np.array([getattr(r, name) for r in results]) for name in ("mean", "error"))
    kish = np.mean([r.effective_samples * r.autocorrelation for r in results]) / x[0].size
    assert kish == pytest.approx(np.exp(-0.25), rel=0.02)
    # 300 repetitions: the scatter is known to 1/√600 = 4%, the mean of means to 1/√300 of the scatter.
    assert error.mean() / mean.std() == pytest.approx(1.05, abs=0.15)
    assert abs(mean.mean() - 1.25) < 3.5 * mean.std() / np.sqrt(repetitions)
    p = expected_coverage(chains)
    assert abs(np.mean(np.abs(mean - 1.25) < error) - p) < 3 * np.sqrt(p * (1 - p) / repetitions)


def test_few_dominant_weights_do_not_shrink_the_error() -> None:
    """Independent f and w, two of 200 samples carry nearly everything: the error is σ/√Kish, not zero."""
    rng = np.random.default_rng(13)
    log_weights = np.zeros((20, 10))
    log_weights[3, 4], log_weights[15, 2] = 12.0, 11.0
    squares, kish = [], 0.0
    for _ in range(400):
        s = ratio_of_weighted(rng.normal(size=(20, 10)), log_weights)
        squares.append(s.error**2)
        kish = s.effective_samples * s.autocorrelation
    assert 1.0 < kish < 2.0
    # The square of one normal difference fluctuates by √2 of itself.
    assert np.mean(squares) == pytest.approx(1 / kish, rel=4 * np.sqrt(2 / 400))


def test_weights_that_leave_one_sample_have_no_error_bar() -> None:
    log_weights = np.zeros((4, 50))
    log_weights[1, 2] = 800.0
    s = ratio_of_weighted(np.random.default_rng(14).normal(size=(4, 50)), log_weights)
    assert np.isnan(s.error) and s.effective_samples <= 1.0


def test_constant_and_excluded_samples_under_weights() -> None:
    rng = np.random.default_rng(15)
    log_weights = rng.normal(size=(4, 50))
    s = ratio_of_weighted(np.full((4, 50), 2.5), log_weights)
    assert s[:5] == (2.5, 0.0, 0.0, 1.0, 1.0)
    assert s.effective_samples == pytest.approx(np.exp(log_weights).sum() ** 2 / np.exp(2 * log_weights).sum())
    # A weight of zero removes a sample from the mean.
    f = rng.normal(size=(4, 50))
    log_weights[:, ::2] = -np.inf
    weights = np.exp(log_weights)
    assert ratio_of_weighted(f, log_weights).mean == pytest.approx(np.sum(weights * f) / weights.sum())


def test_weight_errors() -> None:
    x = np.zeros((2, 3))
    with pytest.raises(ValueError, match=r"\(2, 2\).*\(2, 3\)"):
        ratio_of_weighted(x, np.zeros((2, 2)))
    with pytest.raises(ValueError, match="must be finite"):
        ratio_of_weighted(x, np.full((2, 3), np.nan))
    with pytest.raises(ValueError, match="does not overlap"):
        ratio_of_weighted(x, np.full((2, 3), -np.inf))
    with pytest.raises(TypeError, match="log_weights is complex"):
        ratio_of_weighted(x, np.zeros((2, 3), dtype=complex))
