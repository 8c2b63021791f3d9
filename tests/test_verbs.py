"""What is measured from Python: the same numbers as the commands, along any parameter, over two, in any folder."""

from __future__ import annotations

import itertools
import json
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qernel
from qernel.cli import main
from qernel.config import load_config
from qernel.errors import Interrupted, QernelError, QernelWarning, RunError
from qernel.estimators.chains import Record, Replicas
from qernel.measure import Model
from qernel.storage import to_json
from runs import TINY

CONFIG = load_config(
    {
        **TINY,
        "model": {"ansatz": "slater"},
        "family": {"lam": [0.5, 1.0], "U": [8.0, 12.0]},
        "sample": {"walkers": 16, "samples": 60, "burn_in": 4},
    }
)


class Independent:
    """Stands in for `ChainSampler`: independent records with known energies, 6 − 5λ − U per electron."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, ...]] = []
        self.stop_at: tuple[float, ...] | None = None
        self.spread = 1.0

    def records(self, point: Any, *, samples: int, seed: int, **_: Any) -> Iterator[Record]:
        here = tuple(np.round(np.asarray(point), 9).tolist())
        if here == self.stop_at:
            raise KeyboardInterrupt
        self.asked.append(here)
        rng = np.random.default_rng([seed, *(int(1000 * x) for x in here)])
        for _ in range(samples):
            noise = 0.01 * rng.normal(size=(3, 16))
            positions = self.spread * rng.normal(size=(16, 2, 2))
            parts = (12.0 + noise[0], -10.0 * here[0] + noise[1], -12.0 - 2.0 * (here[1] - 6.0) + noise[2])
            yield Record(*parts, noise[0], 0 * noise[0], positions, np.full(16, 0.5))

    def replicas(self, points: Any, *, samples: int, seed: int, **_: Any) -> Iterator[Replicas]:
        columns = [self.records(point, samples=samples, seed=seed) for point in np.asarray(points)]
        for records in zip(*columns, strict=True):
            yield Replicas(list(records), np.full(len(columns) - 1, 0.5))

    def reweighed(self, points: Any, record: Record) -> tuple[np.ndarray, Record]:
        shift = 2.0 * (points[1][1] - points[0][1])
        return np.zeros(16), record._replace(interaction=record.interaction - shift)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are empty files: drawing them is tested elsewhere, and takes most of the time."""

    def touch(figure: Any, base: Path, formats: Any = ("png", "pdf")) -> list[Path]:
        paths = [base.with_name(f"{base.name}.{suffix}") for suffix in formats]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return paths

    monkeypatch.setattr("qernel.plots.style.save", touch)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    """A model of λ and U whose chains cost nothing, under the name two."""
    fake = Model("two", CONFIG, types.SimpleNamespace(hamiltonian=CONFIG.hamiltonian(), weight=np.ones(2)))
    sampler = Independent()
    monkeypatch.setattr(Model, "sampler", lambda self, walkers: sampler)
    monkeypatch.setattr(Model, "parameters", 2)
    monkeypatch.setattr("qernel.measure.load", lambda run: fake)
    object.__setattr__(fake, "chains", sampler)
    return fake


def chains(model: Model) -> Independent:
    return model.chains  # type: ignore[attr-defined]


def energies(rows: Any) -> list[float]:
    return [row.energy.value for row in rows]


def test_query_scan_and_command_give_the_same_numbers(model: Model, capsys: pytest.CaptureFixture[str]) -> None:
    found = model.query([0.9, 0.6], at={"U": 9.0}, seed=3)
    assert energies(found) == pytest.approx([-7.5, -6.0], abs=0.01)
    assert found[0].values == {"lam": 0.9, "U": 9.0}
    scan = model.scan([0.9, 0.6], at={"U": 9.0}, seed=3)
    assert energies(scan.rows) == energies(found)[::-1]
    assert found[0] == model.at(0.9, U=9.0).energy(seed=3)
    assert main(["query", "two", "--lam", "0.9", "0.6", "--at", "U=9", "--seed", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["results"] == [json.loads(to_json(row.as_row())) for row in found]


def test_a_scan_in_memory_is_the_one_in_a_folder(
    model: Model, undrawn: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options: dict[str, Any] = {"sweeps": ("fresh", "up"), "reweight": 1, "observables": ("order_parameter",)}
    scan = model.scan([8.0, 9.0, 10.0], along="U", at={"lam": 0.7}, **options)
    line = ["scan", "two", "--along", "U", "8:10:3", "--at", "lam=0.7", "--sweeps", "fresh", "up", "--reweight", "1"]
    assert main([*line, "--observable", "order_parameter", "--out", str(tmp_path / "typed")]) == 0
    assert scan.table() in capsys.readouterr().out
    paths = scan.save(tmp_path / "saved")
    again = model.scan([8.0, 9.0, 10.0], along="U", at={"lam": 0.7}, out=tmp_path / "called", **options)
    assert {path.name for path in paths} == {path.name for path in (tmp_path / "typed").iterdir()}
    for folder in ("saved", "called"):
        for name in ("energies.nc", "observables.nc"):
            one, other = (qernel.open(tmp_path / place / name) for place in ("typed", folder))
            assert one.equals(other) and one.attrs["request"] == other.attrs["request"]
        assert (tmp_path / folder / "energies.csv").read_bytes() == (tmp_path / "typed/energies.csv").read_bytes()
    assert again.dataset.equals(scan.dataset)
    with pytest.raises(RunError, match="another scan"):
        model.scan([8.0, 9.0], along="U", at={"lam": 0.7}, out=tmp_path / "called")


def test_a_scan_along_another_parameter(model: Model, tmp_path: Path) -> None:
    scan = model.scan([10.0, 8.0, 9.0], along="U", at={"lam": 0.7}, sweeps=("up", "down"), reweight=1)
    assert energies(scan.rows) == pytest.approx([-5.5, -6.5, -7.5], abs=0.01)
    data = scan.dataset
    assert data["energy"].dims == ("U",) and data["lam"].dims == () and float(data["lam"]) == 0.7
    assert data["U"].attrs["units"] == "E0 a_M" and data.attrs["along"] == "U"
    assert data["energy_down"].dims == ("U",) and data["energy_reweighted"].dims == ("U_reweighted",)
    np.testing.assert_allclose(data["U_reweighted"], [8.5, 9.5])
    np.testing.assert_allclose(data["energy_reweighted"], [-6.0, -7.0], atol=0.01)
    assert data["reweighted_from"].values.tolist() == [8.0, 9.0] and "U at which" in data["reweighted_from"].long_name
    rows = scan.as_dict()["results"]
    assert [(row["U"], row["lam"]) for row in rows] == [(8.0, 0.7), (9.0, 0.7), (10.0, 0.7)]
    assert scan.table().splitlines()[1].split()[0] == "U" and "λ = 0.7" in scan.table().splitlines()[0]
    scan.save(tmp_path)
    assert (tmp_path / "energies.csv").read_text().startswith("U,lam,energy,energy_error")
    swapped = model.scan([8.0, 9.0], along="U", exchange=True)
    assert swapped.as_dict()["exchange"] == [{"U": [8.0, 9.0], "acceptance": 0.5}]
    assert float(swapped.dataset["lam"]) == 0.75, "what is not given is in the middle of its interval"
    observed = model.observe([8.0, 9.0], ["energy"], along="U", at={"lam": 0.7})
    assert observed["energy"].dims == ("U",) and float(observed["lam"]) == 0.7
    alone = model.at(0.7, U=9.0).observe("energy")
    assert float(observed["energy"][1]) == float(alone["energy"])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--along V 1 2", "two is not conditioned on V, only on lam, U"),
        ("--along U 8 9 --at U=9", "U is given twice"),
        ("--along U 8 9 --at V=9", "two is not conditioned on V, its other parameters are lam"),
        ("--along U 8 99", "U = 99 is far outside [8, 12]"),
        ("--along U", "is not NAME VALUE"),
        ("--along U x", "'x' is not a number"),
        ("--along U 8 --lam 1", "not allowed with"),
        ("--lam 1 --at U=9 U=8", "--at U is given twice"),
        ("--lam 0.7 --over lam 0.5 1", "lam is given twice"),
        ("--lam 0.7 --over V 0.5 1", "two is not conditioned on V"),
        ("--lam 0.7 --over U 9", "at least two values of U"),
        ("--lam 0.7 --over U 9 99", "U = 99 is far outside"),
        ("--lam 0.7 --over U 9 10 --at U=9", "U is given twice"),
    ],
)
def test_points_that_are_none(
    line: str, words: str, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scan", "two", *line.split(), "--out", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1
    assert not (tmp_path / "out").exists() and not chains(model).asked


def test_a_map_is_scans_in_folders(
    model: Model, undrawn: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "map"
    line = ["scan", "two", "--lam", "0.6", "0.8", "--over", "U", "10", "8", "9", "--observable", "--out", str(out)]
    chains(model).stop_at = (0.8, 9.0)
    assert main(line) == 130
    assert "to go on: qernel scan two --lam 0.6 0.8 --over U 10 8 9" in capsys.readouterr().err
    assert not (out / "map.json").exists() and (out / "U=8" / "energies.json").exists()
    chains(model).stop_at = None
    chains(model).asked.clear()
    assert main([*line, "--json"]) == 0
    assert chains(model).asked == [(0.8, 9.0), (0.6, 10.0), (0.8, 10.0)], "what is there is not drawn again"
    printed = json.loads(capsys.readouterr().out)
    assert [scan["system"]["U"] for scan in printed["scans"]] == printed["values"] == [8.0, 9.0, 10.0]
    record = json.loads((out / "map.json").read_text())
    assert (record["along"], record["over"], record["folders"]) == ("lam", "U", ["U=8", "U=9", "U=10"])
    assert record["units"]["U"] == "E0 a_M" and "U" not in record["system"]
    for folder, value in zip(record["folders"], record["values"], strict=True):
        stored, alone = qernel.open(out / folder / "energies.nc"), model.scan([0.6, 0.8], at={"U": value}).dataset
        assert stored.equals(alone)
    found = model.map([0.6, 0.8], ("U", [8, 9, 10]))
    assert found.dataset["energy"].dims == ("U", "lam")
    expected = [[6.0 - 5.0 * lam - u for lam in (0.6, 0.8)] for u in (8.0, 9.0, 10.0)]
    np.testing.assert_allclose(found.dataset["energy"], expected, atol=0.01)
    stored, here = qernel.transition(out, resamples=100), found.transition(resamples=100)
    assert stored.evidence[0] == here.evidence[0] == "None of 3 scans shows a transition: no λ_c(U)."
    mesh = found.plot("energy").collections[1]
    np.testing.assert_allclose(np.ravel(mesh.get_array()), found.dataset["energy"].values[1])  # type: ignore[arg-type]
    assert main([*line[:-2], "--out", str(out), "--seed", "5"]) == 2
    assert "another map" in capsys.readouterr().err
    (tmp_path / "mine" / "U=9").mkdir(parents=True)
    (tmp_path / "mine" / "U=9" / "energies.nc").write_text("mine")
    chains(model).asked.clear()
    with pytest.raises(RunError, match=r"U=9 already has energies\.nc of another scan"):
        model.map([0.6, 0.8], ("U", [8, 9]), out=tmp_path / "mine")
    assert not chains(model).asked


def test_a_map_tells_what_is_no_answer(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    found = model.map([0.6, 0.8], ("U", [8, 9]))
    assert found.impossible == {8.0: {}, 9.0: {}}
    found.records[1]["results"][0]["impossible"] = "it cannot be"
    assert found.impossible[9.0] == {0.6: "it cannot be"}


def test_work_from_python_says_how_it_goes_on(model: Model, undrawn: None, tmp_path: Path) -> None:
    heard: list[tuple[str, float]] = []
    chains(model).stop_at = (0.8, 10.0)
    with pytest.raises(Interrupted, match="everything is saved; to go on: the same call again"):
        model.scan([0.6, 0.8], out=tmp_path, progress=lambda what, done: heard.append((what, done)))
    assert heard[0] == ("measuring λ = 0.6 (1 of 2)", 0.0) and heard[-1][1] == 0.5
    chains(model).stop_at = None
    chains(model).asked.clear()
    model.scan([0.6, 0.8], out=tmp_path)
    assert chains(model).asked == [(0.8, 10.0)]


def test_a_scan_that_is_stopped_while_it_is_written_loses_nothing(
    model: Model, undrawn: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data are there and the record is not: the scan is finished from the records, alone and in a map."""

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("qernel.measure.scan.Scan.figure", lambda self: None)
    calls = {
        "alone": lambda out: model.scan([0.6, 0.8], at={"U": 8.0}, out=out),
        "map": lambda out: model.map([0.6, 0.8], ("U", [8, 9]), out=out),
    }
    for name, call in calls.items():
        out = tmp_path / name
        with monkeypatch.context() as patch:
            patch.setattr("qernel.plots.style.save", stop)
            with pytest.raises(Interrupted, match="everything is saved"):
                call(out)
        there = out if name == "alone" else out / "U=8"
        assert (there / "energies.nc").exists() and not (there / "energies.json").exists()
        chains(model).asked.clear()
        call(out)
        assert (there / "energies.json").exists() and not (there / "unfinished").exists()
        assert (0.6, 8.0) not in chains(model).asked
    with pytest.raises(RunError, match="another scan"):
        model.scan([0.6, 0.7], at={"U": 8.0}, out=tmp_path / "alone")
    with monkeypatch.context() as patch:
        patch.setattr("qernel.measure.observations.save", stop)
        with pytest.raises(Interrupted, match="everything is saved"):
            model.observe([0.6], "energy", out=tmp_path / "observed")
    chains(model).asked.clear()
    model.observe([0.6], "energy", out=tmp_path / "observed")
    assert not chains(model).asked


@pytest.mark.parametrize(
    ("values", "options", "words"),
    [
        ("0.4:1.4:3", {}, r"lam = '0.4:1.4:3' is no number, nor several: give, for instance, \[0.4, 0.5\]"),
        ([[0.6], [0.7, 0.8]], {}, "is no number, nor several"),
        (0.6, {"start": "crystal"}, "chains cannot start 'crystal': use spread or registries"),
        (0.6, {"samples": 20.5}, r"samples = 20\.5 is no whole number"),
        (0.6, {"reweight": -1}, "reweight = -1 is no number of values in between: give 0 or more"),
        (0.6, {"observables": "enrgy"}, "there is no observable enrgy: choose from"),
    ],
)
def test_arguments_that_are_none(values: Any, options: dict[str, Any], words: str, model: Model) -> None:
    with pytest.raises(QernelError, match=words):
        model.scan(values, **options)
    assert not chains(model).asked


def test_one_name_needs_no_list(model: Model) -> None:
    scan = model.scan([[0.6, 0.7], [0.8, 0.6]], observables="energy", sweeps="up")
    assert list(scan.sweeps) == ["up"] and [row.values["lam"] for row in scan.rows] == [0.6, 0.7, 0.8]
    assert scan.observables is not None and scan.observables["energy"].shape == (3,)
    assert model.observe(0.6, "energy")["energy"].shape == (1,)
    for over in ("U", ("U",)):
        with pytest.raises(QernelError, match="is no parameter with its values"):
            model.map([0.6], over)  # type: ignore[arg-type]


def test_two_scans_in_memory_are_compared(model: Model) -> None:
    """As their data sets are, and as two maps of them are."""
    lam, scans, maps = np.linspace(0.5, 1.0, 9), [], []
    for spread in (1.0, 0.1):
        chains(model).spread = spread  # two phases, as ⟨|ρ_K|²⟩ sees them
        scans.append(model.scan(lam, at={"U": 9.0}, seed=int(10 * spread)))
        maps.append(model.map(lam, ("U", [9, 10]), seed=int(10 * spread)))
    one, other = scans
    found = one.transition(against=other, resamples=100)
    assert found.as_dict() == qernel.transition(one.dataset, against=other.dataset, resamples=100).as_dict()
    assert qernel.transition(one, against=other, resamples=100).as_dict() == found.as_dict()
    both = maps[0].transition(against=maps[1], resamples=100)
    assert both.points[0].place == found.place and both.points[0].reason == found.reason
    with pytest.raises(QernelError, match="one of Dataset and PhaseMap is a map and the other is not"):
        one.transition(against=maps[0])


def test_doubts_and_mistakes_are_said_in_python_too(model: Model) -> None:
    with pytest.warns(QernelWarning, match=r"extrapolating at U = 12\.5: the model was trained on λ in \[0\.5, 1\]"):
        model.query([12.5], along="U")
    with pytest.raises(QernelError, match="use one of them"):
        model.scan([0.6, 0.8], exchange=True, sweeps=("up",))
    with pytest.raises(QernelError, match="there are no chains left"):
        model.scan([0.6, 0.8], sweeps=("left",))
    with pytest.raises(QernelError, match="at least one"):
        model.query([])
    assert [len(model.query(values)) for values in (0.7, [0.7, 0.7], np.linspace(0.5, 1.0, 3))] == [1, 1, 3]


def test_a_scan_is_looked_at_for_a_transition(model: Model) -> None:
    scan = model.scan(np.linspace(0.5, 1.0, 9))
    found = scan.transition(resamples=100)
    assert found.lambda_c is None and found.verdict != "transition"
    assert qernel.transition(scan.dataset, resamples=100).as_dict() == found.as_dict()


def test_plots_and_states(model: Model) -> None:
    scan = model.scan([0.6, 0.8])
    assert len(scan.figure().axes) >= 2 and repr(scan) == "Scan(model='two', lam=[0.6, 0.8])"
    assert repr(model.at(0.7, U=9.0)) == "State(model='two', lam=0.7, U=9)"
    assert "λ = 0.7, U = 9" in model.at(0.7, U=9.0).energy()._repr_html_()
    with pytest.raises(RunError, match="two is not conditioned on V"):
        model.at(0.7).moved("V", 1.0)


def test_hartree_fock_is_the_command(undrawn: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = {key: TINY[key] for key in ("system", "family")}
    config = load_config(table)
    (tmp_path / "tiny.toml").write_text(config.to_toml())
    found = qernel.hartree_fock(table, [0.9, 0.5], cutoff=30.0, out=tmp_path / "called")
    line = ["hf", str(tmp_path / "tiny.toml"), "--lam", "0.5", "0.9", "--cutoff", "30"]
    assert main([*line, "--out", str(tmp_path / "typed"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(to_json(found.as_dict()))
    assert {path.name for path in (tmp_path / "called").iterdir()} == {
        path.name for path in (tmp_path / "typed").iterdir()
    }
    data = found.dataset
    assert data["energy"].dims == ("branch", "lam") and data["lam"].values.tolist() == [0.5, 0.9]
    np.testing.assert_allclose(data["energy"].min("branch"), [state.energy for state in found.solutions])
    parts = sum(data[name] for name in ("kinetic", "moire", "interaction"))
    np.testing.assert_allclose(parts, data["energy"], atol=1e-10)
    with pytest.raises(RunError, match="choose another --out"):
        found.save(tmp_path / "called")
    with pytest.raises(RunError, match="plane waves"):
        qernel.hartree_fock(config, 0.5, cutoff=1.0)


def test_hartree_fock_elsewhere_in_the_family() -> None:
    """dE/dU is the interaction energy over U, by Hellmann–Feynman."""
    below, here, above = (qernel.hartree_fock(CONFIG, 0.7, at={"U": U}, cutoff=30.0) for U in (8.98, 9.0, 9.02))
    assert float(here.dataset["U"]) == 9.0 and here.dataset["energy"].dims == ("branch", "lam")
    assert here.at == {"U": 9.0} and here.as_dict()["system"]["U"] == 9.0 and "U = 9" in here.table()
    slope = (above.solutions[0].energy - below.solutions[0].energy) / 0.04
    assert slope == pytest.approx(here.as_dict()["results"][0]["interaction"] / 9.0, rel=1e-3)
    with pytest.raises(QernelError, match="V"):
        qernel.hartree_fock(CONFIG, 0.7, at={"V": 9.0}, cutoff=30.0)
    with pytest.raises(QernelError, match="lam is given twice"):
        qernel.hartree_fock(CONFIG, 0.7, at={"lam": 0.7}, cutoff=30.0)


def test_no_verb_is_missing() -> None:
    assert set(qernel.__all__) == set(dir(qernel))
    for name in qernel.__all__:
        assert getattr(qernel, name) is not None
    pairs = itertools.product((Model,), ("query", "scan", "map", "observe"))
    assert all(callable(getattr(owner, verb)) for owner, verb in pairs)
