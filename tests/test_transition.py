"""Transitions in scans made up from known curves: what is found, how sure, and what is not claimed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
from scipy.stats import binom, chi2

from qernel.cli import main
from qernel.errors import RunError
from qernel.estimators.quantity import Quantity
from qernel.plots.kinds import draw
from qernel.plots.transition import transition_figure
from qernel.storage import save
from qernel.transition import Curve, Curves, analyse, compare_phases, read_scan
from qernel.transition.analysis import Transition
from qernel.transition.branches import Step, crossing, step_at
from qernel.transition.candidates import PARAMETERS, fit
from qernel.transition.compare import SMOOTH, bootstrap, candidates
from qernel.transition.consistency import concavity, hellmann_feynman, hysteresis
from qernel.transition.maps import either_side, read_maps
from qernel.transition.verdict import LEAD, WIDEST

LAM = np.linspace(0.4, 1.4, 21)
PLACE = 1.03
ERROR = 0.004


def interaction(kind: str, lam: np.ndarray, place: float = PLACE) -> np.ndarray:
    """Interaction energies of every kind; the smooth one bends as much as real ones do."""
    u = lam - place
    curves = {
        "kink": -0.2 * u - 0.6 * np.clip(u, 0, None),
        "jump": -0.2 * u - 0.2 * u * (u > 0) - 0.08 * (u > 0),
        "step": -0.2 * u - 0.2 * u * (u > 0) - 0.06 * (1 + np.tanh(u / 0.05)),
        "smooth": -0.2 * (lam - 0.9) - 0.3 * (lam - 0.9) ** 2 + 0.2 * (lam - 0.9) ** 3,
    }
    return -16.3 + curves[kind]


def made_up(kind: str, seed: int = 0, lam: np.ndarray = LAM, first_order: bool = True, place: float = PLACE) -> Curves:
    """A scan whose energies obey Hellmann–Feynman; their slope jumps by −1 at the transition if it is first order."""
    rng = np.random.default_rng(seed)
    jump = 1.0 if first_order else 0.0
    energy = -12.0 - 6.0 * lam - 2.0 * lam**2 - jump * np.clip(lam - place, 0, None)
    derivative = -6.0 - 4.0 * lam - jump * (lam > place)

    def noisy(values: np.ndarray, error: float) -> Curve:
        return Curve(values + error * rng.normal(size=len(lam)), np.full(len(lam), error))

    order = noisy(0.12 + 0.08 * (lam > place) * jump, 0.003)
    curve = noisy(interaction(kind, lam, place), ERROR)
    return Curves(lam, noisy(energy, 0.001), noisy(lam * derivative, 0.01), curve, order=order)


def dataset(scan: Curves, **more: Any) -> xarray.Dataset:
    """The scan as the file that ``qernel scan`` writes."""
    data = {}
    for name in ("energy", "moire", "interaction"):
        for part, values in zip((name, f"{name}_error"), getattr(scan, name), strict=True):
            data[part] = ("lam", values, {"units": "E0"})
    data |= {name: ("lam", values) for name, values in more.items()}
    return xarray.Dataset(data, {scan.axis.name: scan.points})


# Fits


def test_a_kink_is_the_global_minimum() -> None:
    """Hudson's construction against a search over 4,001 places, and the curve against the χ² that is reported."""
    data = interaction("kink", LAM) + ERROR * np.random.default_rng(1).normal(size=(4, 21))
    errors = ERROR * np.linspace(0.5, 1.5, 21)
    found = fit("kink", LAM, errors, data)
    for index, row in enumerate(data):
        chi2 = {}
        for place in np.linspace(LAM[1], LAM[-2], 4001):
            A = np.stack([np.ones(21), LAM, np.clip(LAM - place, 0, None)], axis=1) / errors[:, None]
            chi2[place] = np.sum((row / errors - A @ np.linalg.lstsq(A, row / errors, rcond=None)[0]) ** 2)
        best = min(chi2, key=chi2.__getitem__)
        assert found.place[index] == pytest.approx(best, abs=5e-4)
        assert chi2[best] - 1e-3 < found.chi2[index] + 1e-9 < chi2[best] + 1e-6


@pytest.mark.parametrize("model", PARAMETERS)
def test_curves_without_noise_are_found_again(model: str) -> None:
    """Every kind of curve, drawn from its own parameters, and the reported curve has the reported χ²."""
    kind = "smooth" if model.startswith("smooth") else model
    data = interaction(kind, LAM)
    found = fit(model, LAM, np.full(21, ERROR), data)
    assert found.chi2[0] == pytest.approx(np.sum((data - found.curve(LAM)) ** 2) / ERROR**2, abs=1e-6)
    if model in ("kink", "jump", "smooth3", "smooth4"):
        assert found.chi2[0] < 1e-9
    if kind != "smooth":
        assert found.place[0] == pytest.approx(PLACE, abs={"kink": 1e-6, "jump": 0.006, "step": 0.02}[kind])


# Verdicts


@pytest.mark.parametrize("kind", ["kink", "jump", "step"])
def test_transitions_are_found(kind: str) -> None:
    found = analyse(made_up(kind), resamples=100)
    assert found.verdict == "transition" and found.reasons == ()
    assert found.best.model == kind
    place = found.lambda_c
    assert place is not None and abs(place.value - PLACE) < 3 * place.error and place.error < 0.06
    assert found.slopes is not None and abs(found.slopes[0].value + 0.2) < 4 * found.slopes[0].error
    assert (found.jump is None) == (kind == "kink")
    if kind == "jump":
        assert found.jump is not None and abs(found.jump.value + 0.08) < 4 * found.jump.error
    moire, order = found.slope_jump, found.order_jump
    assert moire is not None and order is not None
    assert abs(moire.jump + 1.0) < 4 * moire.error and abs(order.jump - 0.08) < 4 * order.error
    assert f"{kind if kind != 'step' else 'rounded step'} at λ_c = {place!r}" in found.evidence[0]


def test_smooth_scans_are_not_given_a_transition() -> None:
    """The criteria alone let at most 3 of 60 smooth scans through, and no analysis prints a λ_c."""
    led = 0
    for seed in range(60):
        ranking, _ = candidates(LAM, np.full(21, ERROR), made_up("smooth", seed).interaction.values)
        led += min(one.aicc for one in ranking if one.model in SMOOTH) - ranking[0].aicc > LEAD
    assert led <= 3
    for seed in range(10):
        found = analyse(made_up("smooth", seed, first_order=False), resamples=100)
        assert found.verdict != "transition" and found.lambda_c is None and found.slopes is None
        assert "does not decide" in found.evidence[0] or "shows no transition" in found.evidence[0]
        assert not any("λ_c =" in sentence for sentence in found.evidence)


def test_too_few_points_on_one_side() -> None:
    lam = np.linspace(0.08, 1.08, 21)
    found = analyse(made_up("kink", lam=lam), resamples=100)
    assert found.verdict == "undecided" and found.lambda_c is None
    assert any("lie above the place" in reason for reason in found.reasons)


def test_six_points_do_not_decide() -> None:
    found = analyse(made_up("jump", lam=np.linspace(0.5, 1.5, 6)), resamples=100)
    assert found.lambda_c is None and found.evidence


def test_error_bars_that_are_too_small_are_widened() -> None:
    scan = made_up("jump")
    tight = Curves(scan.points, scan.energy, scan.moire, Curve(scan.interaction.values, scan.interaction.errors / 3))
    wide, narrow = analyse(scan, resamples=200), analyse(tight, resamples=200)
    assert narrow.inflation == pytest.approx(3 * np.sqrt(wide.best.chi2 / wide.best.dof), rel=1e-6)
    assert narrow.scale > 5 and any("widened by" in sentence for sentence in narrow.evidence)
    assert narrow.jump is not None and wide.jump is not None
    assert narrow.jump.error == pytest.approx(wide.jump.error, rel=0.5)


@pytest.mark.parametrize("kind", ["jump", "smooth"])
@pytest.mark.parametrize("off", [600.0, -600.0])
def test_one_wrong_value_is_named_and_nothing_is_claimed(kind: str, off: float) -> None:
    """A value off by 600 errors: no curve describes the data, and no sentence says that one does."""
    scan = made_up(kind)
    values = scan.interaction.values + off * ERROR * (LAM[9] == LAM)
    found = analyse(replace(scan, interaction=Curve(values, scan.interaction.errors)), resamples=100)
    assert found.verdict == "undecided" and found.lambda_c is None and found.jump is None
    (reason,) = found.reasons
    assert "no curve tried describes the data" in reason and f"λ = {LAM[9]:g}" in reason
    assert f"widened by {np.sqrt(found.scale):.3g} (5 at most)" in reason and np.sqrt(found.scale) > WIDEST
    words = " ".join(found.evidence).replace("no curve tried describes the data", "")
    assert "describes the data" not in words and "λ_c =" not in words


def test_chances_are_named_before_and_after_errors_were_widened() -> None:
    """Where errors are three times too small, every p says which errors it is for; where they are right, only one."""
    scan = made_up("smooth", 4)
    tight = replace(scan, interaction=Curve(scan.interaction.values, scan.interaction.errors / 3))
    found = analyse(tight, resamples=100)
    best, text = found.best, " ".join(found.evidence)
    after = chi2.sf(best.chi2 / found.inflation**2, best.dof)
    assert f"(p = {best.p_value:.2g}; with errors widened by {found.inflation:.3g}, as they are here" in text
    assert f"p = {after:.2g})" in text and best.p_value < 1e-4 < after
    for reason in found.reasons:
        if "describes the data (p" in reason:
            assert f"with errors widened by {np.sqrt(found.scale):.2f})" in reason
    assert "widened" not in " ".join(analyse(made_up("smooth", 4), resamples=100).reasons)


def test_no_crossing_of_energies_that_nothing_describes() -> None:
    liquid, crystal = phases(5)
    values = crystal.energy.values + 2.0 * (LAM[9] == LAM)
    found = compare_phases(liquid, replace(crystal, energy=Curve(values, crystal.energy.errors)))
    assert found.lambda_c is None and "no polynomial describes their difference" in found.evidence[0]


# Error bars


@pytest.mark.parametrize("kind", ["kink", "jump", pytest.param("step", marks=pytest.mark.slow)])
def test_the_bootstrap_error_is_calibrated(kind: str) -> None:
    """100 scans, each with its transition anywhere between two λ: one error holds it in 68% of them.

    The bounds are the central 99.9% of the binomial distribution.
    """
    rng = np.random.default_rng(5)
    inside = outside_interval = 0
    for seed in range(100):
        place = 0.9 + 0.05 * rng.uniform()
        scan = made_up(kind, seed, place=place)
        values, errors = scan.interaction
        ranking, _ = candidates(LAM, errors, values)
        chosen = next(one for one in ranking if one.model == kind)
        spread = bootstrap(LAM, errors, chosen, resamples=200, seed=seed)
        inside += abs(chosen.fit.place[0] - place) < spread.place
        outside_interval += not spread.interval[0] <= place <= spread.interval[1]
    low, high = binom.interval(0.999, 100, 0.6827)
    assert low <= inside <= high
    assert outside_interval <= binom.isf(0.001, 100, 0.05)


def test_the_error_of_a_jump_holds_the_gap() -> None:
    """However precise the energies: between two λ a jump can be anywhere, 0.34 of the gap is the central 68%."""
    scan = made_up("jump")
    precise = Curves(LAM, scan.energy, scan.moire, Curve(interaction("jump", LAM), np.full(21, 1e-7)))
    found = analyse(precise, resamples=400)
    assert found.lambda_c is not None and found.lambda_c.value == pytest.approx(1.025)
    assert found.errors is not None and found.errors.place == pytest.approx(0.3414 * 0.05, rel=0.1)


# Checks from the same file


def test_hellmann_feynman() -> None:
    """Exact energies pass with errors that are what they say; a moiré energy that is 1% off does not."""
    p_values = [hellmann_feynman(made_up("kink", seed), PLACE).p_value for seed in range(40)]  # type: ignore[union-attr]
    assert 0.3 < np.mean(p_values) < 0.7 and min(p_values) > 1e-4
    scan = made_up("kink")
    off = Curves(LAM, scan.energy, Curve(1.01 * scan.moire.values, scan.moire.errors), scan.interaction)
    wrong = hellmann_feynman(off, PLACE)
    assert wrong is not None and wrong.p_value < 1e-6
    gap = hellmann_feynman(scan, PLACE)
    assert gap is not None and gap.dof == 19  # 20 gaps but the one with the transition


def test_concavity() -> None:
    good = concavity(made_up("kink"))
    assert good is not None and good.violations == 0
    scan = made_up("kink")
    dented = scan.energy.values - 0.05 * (np.arange(21) == 9)
    bad = concavity(Curves(LAM, Curve(dented, scan.energy.errors), scan.moire, scan.interaction))
    assert bad is not None and bad.violations in (1, 2)
    assert bad.worst > 5


def slope_jump(scan: Curves, place: float) -> Step | None:
    known = scan.slope()
    assert known is not None
    return step_at(*known, place, 0.0)


def test_the_jump_of_a_curve() -> None:
    results = [slope_jump(made_up("kink", seed), PLACE) for seed in range(60)]
    pulls = [(one.jump + 1.0) / one.error for one in results if one is not None]
    assert len(pulls) == 60 and abs(np.mean(pulls)) < 0.5 and np.mean(np.abs(pulls) < 1) > 0.5
    assert slope_jump(made_up("kink"), LAM[1]) is None


def test_the_crossing_of_the_energies() -> None:
    """At the transition of energies that are ground states; elsewhere if the wavefunction changes too late."""
    results = [crossing(made_up("jump", seed), PLACE) for seed in range(60)]
    pulls = [(one.value - PLACE) / one.error for one in results if one is not None]
    assert len(pulls) == 60 and abs(np.mean(pulls)) < 0.5 and 0.5 < np.mean(np.abs(pulls) < 1) < 0.86
    # 60 binomial trials at 0.68, and three standard deviations of the mean of 60 pulls with some room.
    late = made_up("jump")
    early = made_up("jump", place=PLACE - 0.1).energy
    found = analyse(Curves(LAM, early, late.moire, late.interaction), resamples=100)
    assert found.crossing is not None and found.crossing.value == pytest.approx(PLACE - 0.1, abs=0.03)
    assert any("not at λ_c" in sentence for sentence in found.evidence)
    assert any("within three errors" in sentence for sentence in analyse(late, resamples=100).evidence)
    assert crossing(late, LAM[3]) is None


def test_hysteresis() -> None:
    scan = made_up("jump")
    one, other = made_up("jump", 1), made_up("jump", 2)

    def parts(of: Curves) -> dict[str, Curve]:
        return {name: getattr(of, name) for name in ("energy", "moire", "interaction")}

    assert hysteresis(scan) == []
    same = hysteresis(Curves(LAM, *parts(scan).values(), sweeps={"up": parts(one), "down": parts(other)}))
    assert [loop.name for loop in same] == ["energy", "interaction"] and all(loop.loop is None for loop in same)
    inside = (LAM > 0.94) & (LAM < 1.11)
    late = parts(other) | {"energy": Curve(other.energy.values + 0.1 * inside, other.energy.errors)}
    apart = hysteresis(Curves(LAM, *parts(scan).values(), sweeps={"up": parts(one), "down": late}))[0]
    assert apart.loop == pytest.approx((0.95, 1.1)) and apart.largest == pytest.approx(-0.1, abs=0.01)


# Two phases


def phases(
    seed: int, place: float = PLACE, error: float = 0.004, together: tuple[float, ...] = ()
) -> tuple[Curves, Curves]:
    """A liquid and a crystal whose energies cross at a place, the difference of which bends; one where ``together``."""
    rng = np.random.default_rng(seed)
    u = LAM - place
    same = np.isin(LAM, together)
    result = []
    for phase in (0.0, 1.0):
        phase_here = np.where(same, 0.0, phase)
        energy = -12.0 - 6.0 * LAM - 2.0 * LAM**2 - phase_here * (0.8 * u - 0.3 * u**2)
        moire = LAM * (-6.0 - 4.0 * LAM - phase_here * (0.8 - 0.6 * u))
        columns = [
            Curve(values + size * rng.normal(size=21), np.full(21, size))
            for values, size in (
                (energy, error),
                (moire, 0.01),
                (-16.3 - 0.2 * u - 0.15 * phase_here, 0.01),
                (0.03 + 0.1 * phase_here, 0.003),
            )
        ]
        result.append(Curves(LAM, *columns[:3], order=columns[3], source="crystal" if phase else "liquid"))
    return result[0], result[1]


def test_energies_of_two_phases_cross() -> None:
    """At the λ they are made to cross at, in 68% of cases within one error; the order of the scans does not matter."""
    found = [compare_phases(*phases(seed)) for seed in range(60)]
    places = [one.lambda_c for one in found]
    assert all(place is not None for place in places)
    held = sum(abs(place.value - PLACE) < place.error for place in places if place)
    low, high = binom.ppf([0.005, 0.995], 60, 0.68)
    assert low <= held <= high
    one = found[0]
    assert (one.first.source, one.second.source) == ("liquid", "crystal") and one.merged == ()
    for name, true in (("interaction", -0.15), ("dE/dlam", -0.8), ("order_parameter", 0.1)):
        assert abs(one.jumps[name].value - true) < 4 * one.jumps[name].error < 0.4 * abs(true), name
    assert "liquid is lower below, crystal above" in one.evidence[0] and "of first order" in one.evidence[2]
    assert compare_phases(*phases(0)[::-1]).lambda_c == one.lambda_c


def test_no_crossing_is_claimed_where_there_is_none() -> None:
    liquid, crystal = phases(1, place=1.6)
    found = compare_phases(liquid, crystal)
    assert found.lambda_c is None and found.jumps == {} and "lower at every λ" in found.evidence[0]
    with pytest.raises(RunError, match="have 0 values of λ in common:"):
        compare_phases(liquid.between(0.4, 0.8), crystal.between(0.9, 1.4))


def test_slopes_hold_a_crossing_at_the_edge_of_the_scans() -> None:
    """One λ lies beyond it; without slopes the error would be ten times as large as in the middle."""
    edge, middle = compare_phases(*phases(2, place=1.38)), compare_phases(*phases(2))
    assert edge.lambda_c is not None and middle.lambda_c is not None
    assert abs(edge.lambda_c.value - 1.38) < 3 * edge.lambda_c.error < 15 * middle.lambda_c.error
    liquid, crystal = (replace(scan, points=scan.points - LAM[3]) for scan in phases(2))  # λ = 0 is among them
    found = compare_phases(liquid, crystal)
    assert found.lambda_c is not None and abs(found.lambda_c.value - (PLACE - LAM[3])) < 3 * found.lambda_c.error
    assert "dE/dlam" not in found.jumps


def test_chains_that_changed_their_phase_are_left_out() -> None:
    gone = tuple(LAM[15:])
    found = compare_phases(*phases(3, together=gone))
    assert found.merged == pytest.approx(gone) and found.first.points[-1] < 1.12
    assert found.lambda_c is not None and abs(found.lambda_c.value - PLACE) < 3 * found.lambda_c.error
    assert "left out" in " ".join(found.evidence)
    with pytest.raises(RunError, match="tells them apart: measure at least 6"):
        compare_phases(*phases(3, together=tuple(LAM[4:])))


# The command


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = save(dataset(made_up("jump")), tmp_path / "scan" / "energies.nc")
    line = ["transition", str(tmp_path / "scan"), "--resamples", "100"]
    assert main([*line, "--json", "--out", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    data = json.loads(out)
    assert err == "" and data == json.loads((tmp_path / "out" / "transition.json").read_text())
    assert data["verdict"] == "transition" and set(data["lambda_c"]) == {"value", "error"}
    assert abs(data["lambda_c"]["value"] - PLACE) < 3 * data["lambda_c"]["error"]
    assert data["model"] == "jump" and set(data["slopes"]) == {"left", "right"} and data["jump"]["value"] < 0
    assert {one["model"] for one in data["candidates"]} == set(PARAMETERS)
    assert data["candidates"][0]["delta_aicc"] == 0 and data["hellmann_feynman"]["dof"] == 19
    assert all(sentence.endswith(".") for sentence in data["evidence"])
    assert (tmp_path / "out" / "transition.png").read_bytes().startswith(b"\x89PNG")
    assert main(line) == 0
    assert data["evidence"][0] in capsys.readouterr().out  # the same seed, the same numbers
    assert main([*line, "--between", "0.4", "0.9", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["lambda_c"] is None
    assert main(["plot", "transition", str(file), "--out", str(tmp_path / "scan")]) == 0
    assert (tmp_path / "scan" / "transition.pdf").exists()


def test_the_command_with_two_scans(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for scan in phases(5):
        order = {"order_parameter": scan.order.values, "order_parameter_error": scan.order.errors} if scan.order else {}
        save(dataset(scan, **order), tmp_path / scan.source / "energies.nc")
    line = ["transition", *(str(tmp_path / "liquid"), "--against", str(tmp_path / "crystal"))]
    assert main([*line, "--json", "--out", str(tmp_path / "out")]) == 0
    data = json.loads(capsys.readouterr().out)
    assert set(data["lambda_c"]) == {"value", "error"} and data["above"].endswith("crystal/energies.nc")
    assert abs(data["lambda_c"]["value"] - PLACE) < 3 * data["lambda_c"]["error"] < 0.1
    assert (tmp_path / "out" / "transition.png").read_bytes().startswith(b"\x89PNG")
    assert main(line) == 0
    assert "\n".join(data["evidence"]) in capsys.readouterr().out
    assert main([*line, "--between", "0.4", "0.6"]) == 2
    assert "has 5 values of λ to fit" in capsys.readouterr().err


def test_bad_input_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scan = made_up("kink")
    good = dataset(scan)
    broken = good["interaction_error"].copy(data=np.where(LAM[3] == LAM, 0.0, ERROR))
    missing = good["interaction"].copy(data=np.where(LAM[3] == LAM, np.nan, 0.0))
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "hartree_fock.json").write_text("{}")
    (tmp_path / "text.nc").write_text("no file of results")
    files = {
        "few": good.isel(lam=slice(0, 5)),
        "zero": good.assign(interaction_error=broken),
        "nan": good.assign(interaction=missing),
        "foreign": xarray.Dataset({"rain": ("day", [1.0])}),
        "outside": dataset(scan, extrapolating=(LAM > 0.6).astype(int)),
        "twice": xarray.concat([good, good], "lam"),
    }
    for name, content in files.items():
        save(content, tmp_path / f"{name}.nc")
    for name, words in (
        ("few.nc", "has 5 values of λ to fit: measure at least 6"),
        ("zero.nc", "has the error 0 at λ = 0.55"),
        ("nan.nc", "no finite value at λ = 0.55"),
        ("foreign.nc", "is no scan over λ: it lacks energy"),
        ("outside.nc", "16 more lie outside the trained range"),
        ("twice.nc", "more than once"),
        ("text.nc", "damaged or no NetCDF file"),
        ("none.nc", "does not exist"),
        ("hf", "no statistical error"),
        (".", "holds no energies.nc"),
    ):
        assert main(["transition", str(tmp_path / name)]) == 2, name
        out, err = capsys.readouterr()
        assert out == "" and words in err and err.count("\n") == 1, err
    save(good, tmp_path / "good.nc")
    assert main(["transition", str(tmp_path / "good.nc"), "--between", "1", "0.5"]) == 2
    assert "the lower λ comes first" in capsys.readouterr().err
    with pytest.raises(RunError, match="at least 6"):
        read_scan(tmp_path / "good.nc").between(0.5, 0.6)


def test_the_figure_shows_the_numbers() -> None:
    scan = made_up("jump")
    upper, middle, lower = draw("transition", dataset(scan))[""].axes
    np.testing.assert_allclose(upper.containers[0].lines[0].get_ydata(), scan.interaction.values)
    np.testing.assert_allclose(lower.containers[0].lines[0].get_ydata(), scan.energy.values)
    assert "lambda_c = 1.02" in upper.get_title()
    found: Transition = analyse(scan)
    residuals = (scan.interaction.values - found.best.fit.curve(LAM)) / ERROR
    np.testing.assert_allclose(middle.lines[0].get_ydata(), residuals)
    assert "no $\\lambda_c$" in draw("transition", dataset(made_up("smooth")))[""].axes[0].get_title()


def test_densities_on_either_side_of_the_transition_are_drawn(tmp_path: Path) -> None:
    scan = made_up("jump")
    grid = np.arange(4) / 4
    density = LAM[:, None, None] + np.zeros((len(LAM), 4, 4))  # so that a map says which λ it is of
    measured = xarray.Dataset(
        {"density": (("lam", "a1", "a2"), density)},
        {"lam": LAM, "a1": grid, "a2": grid},
        {"supercell_vectors": (2.0 * np.eye(2)).ravel(), "moire_vectors": np.eye(2).ravel()},
    )
    save(dataset(scan), tmp_path / "scan" / "energies.nc")
    assert read_maps(tmp_path / "scan") == []
    line = ["transition", str(tmp_path / "scan"), "--resamples", "100", "--out"]
    assert main([*line, str(tmp_path / "without")]) == 0
    save(measured, tmp_path / "scan" / "observables.nc")
    maps = read_maps(tmp_path / "scan")
    below, above = either_side(maps, Quantity(PLACE, 0.04)) or (None, None)
    assert below is not None and above is not None
    near = LAM[abs(LAM - PLACE) > 0.08]
    assert (below.at, above.at) == (near[near < PLACE].max(), near[near > PLACE].min())
    assert either_side(maps, None) == (maps[0], maps[-1]) and either_side(maps, Quantity(PLACE, 9.0)) is None
    found = analyse(scan, resamples=100)
    assert found.lambda_c is not None
    axes = transition_figure(found, maps).axes
    drawn = [one for one in axes if one.images]
    assert [float(one.images[0].get_array().mean()) for one in drawn] == [
        pytest.approx(one.at) for one in either_side(maps, found.lambda_c) or ()
    ]
    assert main([*line, str(tmp_path / "with")]) == 0
    sizes = [len((tmp_path / name / "transition.png").read_bytes()) for name in ("without", "with")]
    assert sizes[1] > 1.2 * sizes[0]


def test_a_density_that_is_not_there_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = save(dataset(made_up("jump")), tmp_path / "scan" / "energies.nc")
    assert main(["transition", str(file), "--density", str(file)]) == 2
    assert "holds no density along λ" in capsys.readouterr().err
    assert main(["transition", str(file), "--against", str(file), "--density", str(file)]) == 2
    assert "leave out --against" in capsys.readouterr().err
