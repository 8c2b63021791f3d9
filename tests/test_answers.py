"""Answers of ``qernel query``: stored, interpolated or sampled; each checked against what it stands for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qernel
from qernel.cli import main
from qernel.estimators.quantity import Quantity
from qernel.measure.answers import Wanted, answered, on_the_shelf
from qernel.measure.energies import ENERGIES, Energies
from qernel.measure.interpolate import between
from qernel.measure.kept_answers import Chains, keep, kept
from qernel.measure.precision import to_precision
from qernel.measure.shelf import Shelf, shelved
from qernel.measure.stored import Results
from qernel.training.tensors import read_header

MODELS = Path(qernel.__file__).parent / "models"


def never() -> Any:
    raise AssertionError("nothing was to be sampled")


def only(name: str = "n6") -> Shelf:
    found = shelved(name)
    assert found is not None
    return found


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the user's in which answers are kept."""
    monkeypatch.setenv("QERNEL_CACHE", "on")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "compiled"))
    return tmp_path / "cache"


IDENTITIES = [
    pytest.param(name, marks=[] if name == "n6" else [pytest.mark.slow])  # larger ones take their time to open
    for name in sorted(path.parent.name for path in MODELS.glob("*/identity.json"))
]


@pytest.mark.parametrize("name", IDENTITIES)
def test_the_identity_of_a_shipped_model_is_its_own(name: str) -> None:
    """What is told without opening a model is what the open model says."""
    told, model = only(name), qernel.load(name)
    assert told == Shelf.of(model)
    assert told.config.fingerprint() == model.config.fingerprint() and told.ranges == model.ranges
    assert told.hamiltonian.described({}) == model.hamiltonian.described({})


def test_another_file_has_no_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(MODELS / "n6", tmp_path / "n6")
    monkeypatch.setattr("qernel.measure.shelf.models_folder", lambda: tmp_path)
    assert shelved("n6") is not None and shelved("n7") is None
    header = read_header(tmp_path / "n6" / "model.safetensors")
    record = json.loads((tmp_path / "n6" / "identity.json").read_text("utf-8"))
    assert record["model_sha256"] == header["sha256"]
    (tmp_path / "n6" / "identity.json").write_text(json.dumps({**record, "model_sha256": "0"}), "utf-8")
    assert shelved("n6") is None


def test_stored_answers_are_the_stored_numbers() -> None:
    data = qernel.open(MODELS / "n6" / "observables.nc")
    (found,) = answered(only(), Wanted([1.05]), never).results
    here = data.sel(lam=1.05, method="nearest")
    for name in (*ENERGIES, "order_parameter"):
        number: Quantity = getattr(found, name)
        assert (number.value, number.error) == (float(here[name]), float(here[f"{name}_error"]))
    assert found.origin == "stored" and found.phase == "liquid" and "128 chains" in found.source
    assert found.values == {"lam": pytest.approx(1.05)} and not found.extrapolating


def test_what_is_interpolated_agrees_with_what_was_measured_there() -> None:
    """Each stored point is left out in turn: deviations over both errors are about 1."""
    data = qernel.open(MODELS / "n6" / "observables.nc")
    x, words = data["lam"].values, np.where(data["lam"].values < 1.075, "liquid", "crystal").tolist()
    pulls, widths = [], []
    for left_out in range(1, len(x) - 1):
        rest = np.delete(np.arange(len(x)), left_out)
        rule = between(x[rest], float(x[left_out]), [words[index] for index in rest])
        if rule is None:
            continue
        for name in ENERGIES:
            values, errors = data[name].values, data[f"{name}_error"].values
            value, error = rule.of(values[rest], errors[rest])
            pulls.append((value - values[left_out]) / np.hypot(error, errors[left_out]))
            widths.append(error / errors[left_out])
    assert len(pulls) >= 100 and np.median(widths) < 2.5
    assert 0.3 < np.mean(np.square(pulls)) < 1.6 and np.max(np.abs(pulls)) < 4.5


def test_a_cubic_is_met_exactly_and_what_is_beyond_it_counts_as_error() -> None:
    x = np.array([0.0, 0.3, 0.5, 0.9, 1.0])
    rule = between(x, 0.42, ["liquid"] * 5)
    assert rule is not None and len(rule.used) == 4
    cubic, quartic = 1 - 2 * x + 3 * x**2 - x**3, x**4
    value, error = rule.of(cubic, 0.0 * x)
    assert value == pytest.approx(1 - 0.84 + 3 * 0.42**2 - 0.42**3)
    assert 0 < error < 0.05  # the cubic part: what a lower polynomial misses
    assert abs(rule.of(quartic, 0.0 * x)[0] - 0.42**4) < 2 * rule.of(quartic, 0.0 * x)[1]


def test_nothing_is_interpolated_across_a_transition_or_beyond_the_ends() -> None:
    results = Results(only())
    assert results.at("lam", 1.08, {}) is None  # between 1.05, a liquid, and 1.1, a crystal
    assert results.at("lam", 0.19, {}) is None and results.at("lam", 1.81, {}) is None
    assert results.at("lam", 1.02, {}) is not None and results.at("U", 1.0, {}) is None
    x = np.array([0.0, 1.0, 2.0, 3.0])
    assert between(x, 1.5, ["liquid", "liquid", "", "liquid"]) is None
    assert between(x, 0.5, ["liquid", "liquid", "crystal", "crystal"]) is None


def answer(error: float = 0.002, lam: float = 1.08) -> Energies:
    parts: dict[str, Any] = {name: Quantity(-18.0, error, "E0", doubts=("rhat unknown",)) for name in ENERGIES}
    numbers: dict[str, Any] = dict(acceptance=0.5, autocorrelation=1.0, rhat=float("nan"), effective_samples=100.0)
    return Energies(lam, **parts, **numbers, variance=0.3, extrapolating=False, values={"lam": lam}, phase="crystal")


def test_answers_are_kept_and_found_again(cache: Path) -> None:
    model = only()
    keep(model, answer(), Chains(20, 64, 1))
    keep(model, answer(0.001), Chains(80, 64, 1))
    keep(model, answer(lam=1.07), Chains(20, 64, 1))
    (first, _), (second, _) = kept(model, {"lam": 1.08})
    assert {first.samples, second.samples} == {20, 80}
    (found,) = answered(model, Wanted([1.08]), never).results
    assert found.energy.error == 0.001 and found.origin == "stored" and str(cache) in found.source
    assert found.energy.doubts == ("rhat unknown",) and np.isnan(found.rhat) and found.phase == "crystal"
    assert found.energy.E0_meV == model.config.energy_unit_meV
    (chosen,) = answered(model, Wanted([1.08], samples=20, seed=1), never).results
    assert chosen.energy.error == 0.002
    for other in (Wanted([1.08], fresh=True), Wanted([1.08], precision=1e-4), Wanted([1.08], samples=40)):
        with pytest.raises(AssertionError, match="sampled"):
            answered(model, other, never)


def test_answers_of_other_weights_and_broken_ones_do_not_count(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = only()
    keep(model, answer(), Chains(20, 64, 1))
    (path,) = (cache / "qernel" / "answers").rglob("*.json")
    text = path.read_text("utf-8")
    path.write_text(text.replace("-18.0", "-19.0"), "utf-8")
    with pytest.warns(qernel.errors.QernelWarning, match="checksum"):
        assert list(kept(model, {"lam": 1.08})) == []
    path.write_text("[]", "utf-8")
    with pytest.warns(qernel.errors.QernelWarning, match="no answer"):
        assert list(kept(model, {"lam": 1.08})) == []


def test_precision_is_met_by_the_chains_of_as_many_samples() -> None:
    state = qernel.load("n6").at(0.5)
    loose = state.energy(20, walkers=16).energy.error
    told: list[float] = []
    found, samples = to_precision(state, 0.6 * loose, walkers=16, progress=told.append)
    assert found.energy.error <= 0.6 * loose and samples > 20 and 0 < told[0] < 1
    again = state.energy(samples, walkers=16)
    assert again.energy == found.energy and again.interaction == found.interaction


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--lam 1 --precision 0", "not a positive number"),
        ("--lam 1 --precision 0.01 --samples 20", "samples and precision say both"),
        ("--depth 15nm", "give lam in meV or in reduced units"),
        ("--lam 1 --depth 15", "not allowed with"),
        ("--lam 1 --at U=9", "not conditioned on U"),
        ("--lam 40", "far outside"),
    ],
)
def test_misuse_is_one_sentence(line: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "n6", *line.split()]) == 2
    out, err = capsys.readouterr()
    assert out == "" and words in err and err.count("\n") == 1


def test_a_depth_is_a_lam(capsys: pytest.CaptureFixture[str]) -> None:
    """15 meV is λ = 1 of the default material."""
    assert main(["query", "n6", "--depth", "9:15:3", "15.75meV", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["results"]
    assert [row["lam"] for row in rows] == pytest.approx([0.6, 0.8, 1.0, 1.05])
    assert {row["origin"] for row in rows} == {"stored"}


def test_a_stored_answer_needs_no_JAX() -> None:
    code = (
        "import sys; from qernel.cli import main; code = main(['query', 'n6', '--lam', '1.05', '0.72'])\n"
        "heavy = {'jax', 'equinox', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'imported {sorted(heavy)}' if heavy else code)"
    )
    environment = {**os.environ, "PYTHONPATH": str(MODELS.parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "  stored" in done.stdout and "  interpolated" in done.stdout and "liquid" in done.stdout


GATED = """
[system]
electrons = 6
supercell = [[3, 0], [0, 3]]
interaction = "dual_gate"
{system}
[family]
lam = [0.5, 1]
{family}
"""


def test_gates_in_nanometres() -> None:
    """A length with its unit is converted by the material; the file that is stored has moiré periods."""
    period = 8.031
    config = qernel.load_config(tomllib.loads(GATED.format(system='gate_distance = "10 nm"', family="")))
    assert config.system.constant("gate_distance") == pytest.approx(10 / period)
    assert any("gate_distance is 10 nm" in note for note in config.notes())
    family = qernel.load_config(
        tomllib.loads(GATED.format(system="period_nm = 10", family='gate_distance = ["5 nm", 2]'))
    )
    assert family.family.ranges["gate_distance"] == (0.5, 2.0)
    assert qernel.load_config(tomllib.loads(family.to_toml())) == family
    plain = qernel.load_config(tomllib.loads(GATED.format(system="gate_distance = 10", family="")))
    assert any("80.31 nm" in note for note in plain.notes())


@pytest.mark.parametrize(
    ("system", "words"),
    [
        ('gate_distance = "10 meV"', "give gate_distance in nm or in reduced units"),
        ('gate_distance = "10 nm"\nV0 = 1\nU = 9', "no material is known"),
        ('gate_distance = "ten nm"', "gate_distance"),
    ],
)
def test_lengths_that_cannot_be_converted(system: str, words: str) -> None:
    with pytest.raises(qernel.errors.ConfigError, match=words):
        qernel.load_config(tomllib.loads(GATED.format(system=system, family="")))


def test_runs_keep_answers_in_their_folder(tmp_path: Path) -> None:
    """A run that is called like no shipped model: its results and answers are beside its weights."""
    shutil.copytree(MODELS / "n6", tmp_path / "mine", ignore=shutil.ignore_patterns("identity.json"))
    told, opened = on_the_shelf(tmp_path / "mine", {})
    assert told.folder == tmp_path / "mine" and opened().name == "mine"
    assert answered(told, Wanted([1.0]), never).results[0].origin == "stored"
    keep(told, answer(), Chains(20, 64, 1))
    assert len(list((tmp_path / "mine" / "query").glob("*.json"))) == 1
    assert answered(told, Wanted([1.08]), never).results[0].energy.error == 0.002
