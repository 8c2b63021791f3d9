"""Projection of a model: time steps, what a series says, and the command from request to report."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qernel.cli import main
from qernel.config import load_config
from qernel.errors import Interrupted, QernelError, RunError
from qernel.estimators.order_parameter import crystal_order
from qernel.measure import Model, project, projecting
from qernel.measure.folder import UNFINISHED
from qernel.measure.mixed import stretches
from qernel.measure.projected import CHANGED, Projected
from qernel.measure.projections import DATA, FILES, RECORD
from qernel.observables.phases import ordered
from qernel.projection.engine import Projector
from qernel.projection.series import Series, memory, population_bias, settled, unsettled, weighted_mean
from qernel.projection.time_steps import chosen, extrapolated, require
from qernel.records import read_json
from qernel.storage import open as open_results
from qernel.storage import to_json
from qernel.structure import Phase
from qernel.wavefunction import build
from runs import TINY

TAUS = (0.02, 0.01, 0.005)


def test_the_intercept_of_a_fit_and_its_error() -> None:
    """Of many data sets around a known curve: values are right on average, and scatter by what they say."""
    rng = np.random.default_rng(1)
    errors = np.array([0.01, 0.02, 0.03, 0.02])
    taus = np.array([0.02, 0.01, 0.005, 0.0025])
    for fit, curvature in (("linear", 0.0), ("quadratic", 300.0)):
        truth = -3.0 + 2.0 * taus + curvature * taus**2
        found = [extrapolated(taus, truth + errors * rng.normal(size=4), errors, fit) for _ in range(400)]
        off = np.array([(one.value + 3.0) / one.error for one in found])
        assert abs(off.mean()) < 0.15 and 0.75 < off.std() < 1.05  # widened errors are a little too large
        exact = extrapolated(taus, truth, errors, fit)
        assert exact.value == pytest.approx(-3.0) and exact.chi2 == pytest.approx(0.0, abs=1e-12)
        assert exact.dof == 4 - len(exact.coefficients) - 1 and exact.coefficients[0] == pytest.approx(2.0)
        np.testing.assert_allclose(exact.at(taus), truth)
    alone = extrapolated([0.01], [-3.0], [0.1], "linear")
    assert (alone.value, alone.error, alone.coefficients) == (-3.0, 0.1, ())
    # Errors of equal points: σ√(1/n + x̄²/Σ(x − x̄)²).
    x = np.asarray(TAUS)
    expected = 0.01 * np.sqrt(1 / 3 + x.mean() ** 2 / ((x - x.mean()) ** 2).sum())
    assert extrapolated(TAUS, 5 * x, [0.01] * 3, "linear").error == pytest.approx(expected)
    wide = extrapolated(TAUS, [0.0, 0.1, 0.0], [0.01] * 3, "linear")
    assert wide.error == pytest.approx(expected * np.sqrt(wide.chi2)) and wide.chi2 > 10


def test_a_time_step_that_accepts_nearly_all() -> None:
    tau = chosen(lambda tau: 1 - 30 * tau**1.5, 0.02)
    assert 0.0043 < tau <= (0.01 / 30) ** (2 / 3) and float(f"{tau:.2g}") == pytest.approx(tau)
    with pytest.raises(QernelError, match="2 time steps leave nothing to a quadratic fit: give at least 3"):
        require([0.01, 0.02], "quadratic")
    with pytest.raises(QernelError, match="a time step of -1 is none: give positive"):
        require([-1, 0.02], "linear")
    assert require([0.01, 0.02, 0.01], "linear") == (0.02, 0.01)


def made(energies: np.ndarray, growth: np.ndarray) -> Series:
    one = np.ones(len(energies))
    columns = {name: one for name in Series._fields} | {"energy": energies, "growth": growth, "span": 0.02 * one}
    return Series(**columns)


def correlated(rng: np.random.Generator, count: int, memory_of: float) -> np.ndarray:
    """x_t = a x_{t−1} + noise of variance 1."""
    noise = rng.normal(size=count) * np.sqrt(1 - memory_of**2)
    x = np.empty(count)
    x[0] = rng.normal()
    for t in range(1, count):
        x[t] = memory_of * x[t - 1] + noise[t]
    return x


def test_errors_of_a_series_know_its_memory_and_its_beginning() -> None:
    rng = np.random.default_rng(3)
    count, a = 2000, 0.9
    off, lengths, memories = [], [], []
    for _ in range(60):
        decay = 8.0 * np.exp(-np.arange(count) / 60.0)
        series = made(-20.0 + correlated(rng, count, a) + decay, np.zeros(count))
        first = settled(series)
        later = series.since(first)
        found = weighted_mean(later, later.energy, memory(later))
        off.append((found.value + 20.0) / found.error)
        lengths.append(first)
        assert found.error == pytest.approx(np.sqrt(19.0 / len(later.weight)), rel=0.6)
        memories.append(memory(later))
        assert not unsettled(series, first)
    assert abs(np.mean(off)) < 0.6 and 0.7 < np.std(off) < 1.4
    assert 100 < np.median(lengths) < 600 and np.median(memories) == pytest.approx(5 * 19, rel=0.4)
    drifting = made(np.linspace(0.0, 30.0, 900) + rng.normal(size=900), np.zeros(900))
    assert unsettled(drifting, settled(drifting))


def test_products_of_weights() -> None:
    """Written out: Ω_g is the product of the growths of the T generations before g."""
    rng = np.random.default_rng(5)
    energies, growth = rng.normal(size=200) - 3.0, 0.1 * rng.normal(size=200) + 0.06
    series = made(energies, growth)
    omega = [np.exp(growth[g - 3 : g].sum()) for g in range(3, 200)]
    found = weighted_mean(series, series.energy, 3)
    assert found.value == pytest.approx(np.average(energies[3:], weights=omega))
    bias, error = population_bias(series, 3)
    assert bias == pytest.approx(energies[3:].mean() - found.value) and 0 < error < found.error
    assert population_bias(made(energies, np.full(200, 0.4)), 3) == pytest.approx((0.0, 0.0), abs=1e-12)


@pytest.fixture(scope="module")
def model() -> Model:
    config = load_config({**TINY, "model": {"ansatz": "slater"}, "sample": {**TINY["sample"], "walkers": 16}})
    return Model("tiny", config, build(config.model, config.hamiltonian()))


@pytest.fixture(scope="module")
def projector(model: Model) -> Projector:
    """Compiled once."""
    return project._projector(model.at(0.7), None)


@pytest.fixture(autouse=True)
def compiled(projector: Projector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project, "_projector", lambda *_: projector)


OPTIONS: dict[str, Any] = {"time_steps": TAUS, "time": 1.0}
LINE = ["--time-step", "0.02", "0.01", "0.005", "--time", "1"]


def typed(model: Model, line: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("qernel.measure.load", lambda _: model)
    return main(["project", "tiny", "--lam", "0.6", "0.8", *line])


@pytest.mark.filterwarnings("ignore::qernel.errors.QernelWarning")
def test_verb_command_files_and_report_say_the_same(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, told = tmp_path / "out", []
    called = model.project([0.6, 0.8], **OPTIONS, out=out, progress=lambda what, done: told.append((what, done)))
    assert {path.name for path in out.iterdir()} == set(FILES)
    assert (
        "energy -" in told[-1][0] and told[-1][1] == pytest.approx(1.0) and np.all(np.diff([f for _, f in told]) >= 0)
    )
    record, data = read_json(out / RECORD), open_results(out / DATA)
    assert typed(model, [*LINE, "--json"], monkeypatch) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["results"] == json.loads(to_json(called.as_dict()["results"])) == record["results"]
    for index, row in enumerate(printed["results"]):
        assert row["lam"] == data["lam"][index] and [step["tau"] for step in row["time_steps"]] == list(TAUS)
        for name, key in (("projected", "energy"), ("variational", "variational_energy"), ("moire", "moire")):
            assert row[name]["value"] == pytest.approx(float(data[key][index]))
            assert row[name]["error"] == pytest.approx(float(data[f"{key}_error"][index]))
        assert row["projected"]["value"] < row["variational"]["value"] + 3 * row["variational"]["error"]
        assert row["fit"]["kind"] == "linear" and row["fit"]["dof"] == 1
    assert data.attrs["config_sha256"] == model.config.fingerprint() and "fletcher32" not in data.attrs
    parts = [data[name].values for name in ("kinetic", "moire", "interaction")]
    np.testing.assert_allclose(sum(parts), data["energy"].values)
    assert "Projected: the lowest energy with the nodes" in called.table() and "E(τ) = E_0 + aτ" in called.table()
    assert typed(model, [*LINE, "--seed", "5", "--out", str(out)], monkeypatch) == 2
    assert "of another projection" in capsys.readouterr().err
    assert main(["report", str(out)]) == 0
    assert all(text in (out / "report.html").read_text("utf-8") for text in ("Projection", "population bias"))


@pytest.mark.filterwarnings("ignore::qernel.errors.QernelWarning")
def test_a_projection_that_was_stopped_goes_on_bit_for_bit(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = to_json(model.project([0.6, 0.8], **OPTIONS).as_dict())

    def stopping_after(count: int) -> Callable[[], None]:
        left = iter(range(count))

        def check() -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt

        return check

    monkeypatch.setattr(projecting, "_KEEP_SECONDS", 0.0)
    for count in (7, 30, 40):
        with monkeypatch.context() as patched, pytest.raises(Interrupted, match="stopped"):
            patched.setattr(projecting, "check", stopping_after(count))
            model.project([0.6, 0.8], **OPTIONS, out=tmp_path / "out")
        kept = {path.name for path in (tmp_path / "out" / UNFINISHED).iterdir()}
        assert any("progress" in name for name in kept)
    assert to_json(model.project([0.6, 0.8], **OPTIONS, out=tmp_path / "out").as_dict()) == whole
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(FILES)


@pytest.mark.filterwarnings("ignore::qernel.errors.QernelWarning")
def test_projected_energies_of_two_phases_cross_where_they_do(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The files of two phases, with energies put in that cross at λ = 0.75."""
    lams = np.linspace(0.5, 1.0, 7)
    found = model.project(0.6, **OPTIONS)
    for name, order, slope in (("liquid", 0.1, -2.0), ("crystal", 0.6, -2.4)):
        rows = []
        for lam in lams:
            steps = []
            for step in found.found[0].steps:
                energy = step.energies["energy"]
                summary = energy.summary._replace(error=1e-3)
                made = slope * (lam - 0.75) - 15.0 + 0.1 * step.tau
                shifted = energy._replace(value=made, summary=summary)
                # 2·mixed − variational is then λ times the slope, as Hellmann and Feynman have it.
                mixed = 0.5 * (slope * lam + found.found[0].variational.moire.value)
                parts = {part: step.energies[part]._replace(summary=summary) for part in ("moire", "interaction")}
                parts["moire"] = parts["moire"]._replace(value=mixed)
                steps.append(step._replace(energies={"energy": shifted, **parts}, doubts=()))
            variational = found.found[0].variational
            known = replace(variational.energy, value=order, error=0.01, unit="")
            variational = variational._replace(lam=lam, values={"lam": lam}, order_parameter=known)
            ending = found.found[0].ending._replace(order=known)
            rows.append(replace(found.found[0], variational=variational, steps=tuple(steps), ending=ending))
        points = replace(found.points, values=tuple(lams.tolist()))
        replace(found, points=points, found=rows).save(tmp_path / name)
    folders = [str(tmp_path / name) for name in ("liquid", "crystal")]
    assert main(["transition", folders[0], "--against", folders[1], "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    place = found["lambda_c"]
    assert place["value"] == pytest.approx(0.75, abs=0.02) and 0 < place["error"] < 0.02
    assert found["below"] == str(tmp_path / "liquid" / DATA) and "liquid is lower below" in found["evidence"][0]


@pytest.mark.filterwarnings("ignore::qernel.errors.QernelWarning")
def test_walkers_start_in_the_phase_asked_for(model: Model, tmp_path: Path) -> None:
    options = {"time_steps": 0.02, "time": 0.5}
    asked = {start: model.project(0.6, start=start, **options) for start in ("spread", "registries")}
    numbers = {start: to_json(found.as_dict()) for start, found in asked.items()}
    assert numbers["spread"] != numbers["registries"]
    for start, text in numbers.items():
        same = model.with_start(start).project(0.6, **options)
        assert to_json(same.as_dict()) == text and same.request == asked[start].request
        assert asked[start].request["start"] == start
    model.project(0.6, start="spread", **options, out=tmp_path / "out")
    with pytest.raises(RunError, match="of another projection"):
        model.project(0.6, start="registries", **options, out=tmp_path / "out")
    with pytest.raises(RunError, match="chains cannot start 'melted': use spread or registries"):
        model.project(0.6, start="melted", **options)


@pytest.mark.filterwarnings("ignore::qernel.errors.QernelWarning")
def test_walkers_that_leave_the_phase_of_their_chains_are_noticed(model: Model) -> None:
    """Order put in by hand: the file has that of the walkers, and a jump is said; a little more order is none."""
    found = model.project(0.6, **OPTIONS)
    (one,) = found.found
    assert one.ending.order is not None and one.variational.order_parameter is not None
    assert one.energies.order_parameter == one.ending.order and one.energies.phase == one.ending.phase.word

    def ended(before: float, after: float, error: float = 0.002) -> Projected:
        chains, walkers = (
            replace(order, value=value, error=error)
            for order, value in ((one.variational.order_parameter, before), (one.ending.order, after))
        )
        variational = one.variational._replace(order_parameter=chains)
        return replace(one, variational=variational, ending=one.ending._replace(order=walkers))

    assert CHANGED in ended(0.025, 0.14).doubts and CHANGED in ended(0.14, 0.025).doubts
    for before, after, error in ((0.025, 0.03, 0.002), (0.14, 0.16, 0.002), (0.025, 0.14, 0.1)):
        assert CHANGED not in ended(before, after, error).doubts
    unknown = replace(one, variational=one.variational._replace(order_parameter=None, phase="liquid"))
    other = unknown.ending._replace(phase=Phase("crystal", ""))
    assert (
        replace(unknown, ending=other).changed
        and not replace(unknown, ending=other._replace(phase=Phase("undecided", ""))).changed
    )
    changed = replace(found, found=[ended(0.025, 0.14)])
    (sentence,) = [text for text in changed.sentences() if "another phase" in text]
    assert "at λ = 0.6: those in the lower phase multiply" in sentence
    assert float(changed.dataset["order_parameter"][0]) == 0.14
    assert float(changed.dataset["variational_order_parameter"][0]) == 0.025


def test_the_order_of_walkers_is_that_of_their_positions(model: Model) -> None:
    """A perfect honeycomb crystal of two electrons in the three cells, shaken at random in 40 of 80 snapshots."""
    state = model.at(0.7)
    cell = state.model.hamiltonian.supercell
    sites = np.array([[0.0, 0.0], [1.0, 0.0]])
    still = np.broadcast_to(sites, (80, 16, 2, 2)).copy()
    crystal = ordered(stretches(state, still, 1), "")
    assert crystal.order is not None
    expected = float(np.asarray(crystal_order(sites, cell)))
    assert crystal.order.value == pytest.approx(expected)
    still[40:] = np.random.default_rng(1).uniform(size=(40, 16, 2, 2)) @ cell.vectors
    melted = ordered(stretches(state, still, 1), "")
    assert melted.order is not None and melted.rhat > 1.1
    again = np.asarray(crystal_order(still.reshape(-1, 2, 2), cell)).mean()
    assert melted.order.value == pytest.approx(float(again))


def test_time_steps_are_chosen_by_their_acceptance(model: Model, projector: Projector) -> None:
    state = model.at(0.7)
    records = list(state.records(None, None, None, energies=True, progress=None))
    work = projecting.Walkers(state, projector, records, 0.0, 1)
    largest, *others = work.time_steps()
    assert others == [largest / 2, largest / 4]
    moved = work._advanced(work._begun(), largest, 9, branching=False)
    assert 0.97 < moved.series.acceptance.mean() < 1.0


def test_bad_requests_are_one_sentence(
    model: Model, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(QernelError, match="time = 0 is no imaginary time: give a positive number"):
        model.project(0.7, time=0)
    with pytest.raises(QernelError, match="fit = 'cubic' is none: use linear or quadratic"):
        model.at(0.7).project(fit="cubic")
    with pytest.raises(RunError, match="far outside"):
        model.project(7.0)
    assert typed(model, ["--time-step", "0.01", "0.02", "--fit", "quadratic"], monkeypatch) == 2
    error = capsys.readouterr().err
    assert error.startswith("qernel: error: 2 time steps") and error.count("\n") == 1
