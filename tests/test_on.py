"""One set of weights asked in other systems: which system is meant, what is said of it, and that the weights are those.

Nothing is trained; a system other than that of the configuration is one "not trained".
"""

from __future__ import annotations

import json
import pickle
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import qernel
from ansatz_cases import evaluate, perturbed, random_positions
from qernel.cli import main
from qernel.cli.parser import build_parser
from qernel.cli.shared.points import system_words
from qernel.config import Config, load_config
from qernel.errors import QernelError, QernelWarning, RunError
from qernel.hamiltonian.shells import shells
from qernel.lattice import Supercell
from qernel.measure import Model
from qernel.measure.folder import default_folder
from qernel.measure.kept_answers import Chains, keep, kept
from qernel.measure.place import described, known
from qernel.measure.shelf import Shelf
from qernel.measure.stored import Results
from qernel.provenance import weights_digest
from qernel.storage import outside
from qernel.training.run import initial_wavefunction
from qernel.wavefunction.base import parameter_layout
from scripts import script

SMALL: dict[str, Any] = {
    "system": {"electrons": 6, "supercell": [[3, 0], [0, 3]]},
    "family": {"lam": [0.5, 1.0], "U": [9.0, 11.0]},
    "model": {"ansatz": "lem", "width": 8, "heads": 2, "kv_heads": 1, "blocks": 1, "experts": 2, "active_experts": 1}
    | {"expert_width": 4, "shared_width": 4, "conditioning_width": 2, "bloch_order": 2, "bloch_cutoff": 40.0},
    "train": {"precision": "float64", "crystal_from": 0.75},
    "sample": {"walkers": 4, "samples": 4, "burn_in": 4, "moves": 2, "crystal_from": 0.75},
}
NO_CRYSTAL = {"train": {"crystal_from": None}, "sample": {"crystal_from": None}}
NINE, ROOT = [[9, 0], [0, 9]], [[1, 1], [-1, 2]]


def configured(**changes: dict[str, Any]) -> Config:
    return load_config({section: values | changes.get(section, {}) for section, values in SMALL.items()})


@cache
def model() -> Model:
    config = configured()
    return Model("tiny", config, perturbed(initial_wavefunction(config), 3, 0.02))


def system(there: Model) -> tuple[Any, Any, Any]:
    system = there.config.system
    return system.electrons, system.supercell, system.twist


@pytest.mark.parametrize(
    ("asked", "electrons", "supercell", "twist"),
    [
        ({"electrons": 24}, 24, ((6, 0), (0, 6)), (0.5, 0.0)),
        ({"electrons": 54}, 54, ((9, 0), (0, 9)), (0.0, 0.0)),
        ({"electrons": 96}, 96, ((12, 0), (0, 12)), (0.5, 0.0)),
        ({"supercell": ROOT}, 2, ((1, 1), (-1, 2)), (0.5, 0.0)),
        ({"electrons": 3, "supercell": [[3, 0], [0, 3]]}, 3, ((3, 0), (0, 3)), (0.0, 0.0)),
        ({"supercell": NINE, "twist": (1 / 3, -1 / 3)}, 54, ((9, 0), (0, 9)), (1 / 3, -1 / 3)),
        ({"twist": (0.5, 0.0)}, 6, ((3, 0), (0, 3)), (0.5, 0.0)),
        ({}, 6, ((3, 0), (0, 3)), (0.0, 0.0)),
    ],
)
def test_what_is_not_given_follows_from_the_training(
    asked: dict[str, Any], electrons: int, supercell: Any, twist: Any
) -> None:
    there = model().on(**asked)
    assert system(there) == ((electrons, 0), supercell, twist)
    assert there.hamiltonian == there.config.hamiltonian() and there.hamiltonian.count == electrons
    assert weights_digest(there.wavefunction) == weights_digest(model().wavefunction)
    assert system(there.on()) == system(model()), "it is asked from where it was trained"


def test_the_choice_of_a_twist_says_why() -> None:
    reasons = {count: model().on(electrons=count).moved.reason for count in (6, 24, 54)}  # type: ignore[union-attr]
    assert reasons[6] == "twist (0, 0), that of the training at this size"
    assert reasons[24] == "twist (1/2, 0), at which the shell of free electrons is closed and ψ can be real"
    assert "no half turns close" in reasons[54] and "11 of 12" in reasons[54] and "(1/3, -1/3)" in reasons[54]
    assert model().on(electrons=24, twist=(0.5, 0)).moved.reason == ""  # type: ignore[union-attr]


def test_the_trained_twist_is_kept_in_every_basis_of_the_supercell() -> None:
    system = {"electrons": 4, "supercell": [[4, 0], [0, 2]], "twist": [0.25, 0.5]}
    config = configured(system=system, **NO_CRYSTAL)
    twisted = Model("twisted", config, initial_wavefunction(config))
    other = twisted.on(supercell=[[4, 2], [0, 2]])
    assert known(other) == (True, True) and str(known(twisted.on(twist=(0.25, 0.0)))) == "twist not trained"
    assert np.asarray(other.config.system.twist) % 1.0 == pytest.approx([0.75, 0.5])
    assert other.hamiltonian.twist_momentum == pytest.approx(twisted.hamiltonian.twist_momentum)


def test_the_wavefunction_has_the_same_weights() -> None:
    """Those of a wavefunction made for that system, taken over as a flat vector; in two bases of one supercell."""
    there = model().on(supercell=ROOT, twist=(0.25, 0.0))
    other = model().on(supercell=[[1, 1], [0, 3]], twist=(0.25, 0.25))
    template = initial_wavefunction(there.config)
    expected = parameter_layout(template).rebuild(parameter_layout(model().wavefunction).parameters)
    x = random_positions(there.hamiltonian, 3, 1)
    logs = [
        evaluate(psi, x, jnp.tile(there.at(0.8).point, (3, 1)))[1]
        for psi in (expected, there.wavefunction, other.wavefunction)
    ]
    assert np.iscomplexobj(logs[0])
    np.testing.assert_allclose(logs[1], logs[0], rtol=1e-12)
    np.testing.assert_allclose(np.exp(logs[2] - logs[0]), np.exp(logs[2] - logs[0])[0], rtol=1e-9)
    np.testing.assert_allclose(np.real(logs[2]), np.real(logs[0]), rtol=1e-9)


def test_chains_start_as_crystals_where_there_is_one() -> None:
    there = model().on(electrons=24)
    assert (there.crystal_from, there.config.train.crystal_from) == (0.75, 0.75)
    alone = model().on(electrons=4, supercell=[[3, 0], [0, 3]])
    assert (alone.crystal_from, alone.config.train.crystal_from) == (None, None)
    with pytest.raises(RunError, match="registries"):
        model().with_start("registries").on(electrons=4, supercell=[[3, 0], [0, 3]])


def test_larger_systems_burn_in_for_longer() -> None:
    known = model()
    moves, count = known.config.sample.burn_in, known.config.system.count
    assert known.on(electrons=9 * count).config.sample.burn_in == 9 * moves
    assert known.on(electrons=9 * count).on(electrons=4 * count).config.sample.burn_in == 4 * moves
    assert known.on(electrons=9 * count).on(electrons=count).config.sample.burn_in == moves


def test_one_phase_alone() -> None:
    """Chains begin in it, and it is said; the weights are the same."""
    liquid, crystal = (model().on(phase=phase) for phase in ("liquid", "crystal"))
    assert (liquid.crystal_from, crystal.crystal_from) == (None, 0.0)
    assert repr(crystal).endswith("twist (0, 0), crystal alone)")
    assert default_folder(liquid, "tiny", "scan") == Path("tiny-scan-6-liquid")
    assert {weights_digest(one.wavefunction) for one in (model(), liquid, crystal)} == {
        weights_digest(model().wavefunction)
    }
    assert len({one.config.fingerprint() for one in (model(), liquid, crystal)}) == 3
    assert liquid.on().config == model().on().config, "it is asked from where it was trained"
    assert model().on(electrons=24, phase="crystal").crystal_from == 0.0


@pytest.mark.filterwarnings("ignore::qernel.errors.QernelWarning")
def test_stored_answers_are_those_of_the_phase(tmp_path: Path, undrawn: None) -> None:
    """The weights are the same: what was measured of the liquid alone is no answer of all determinants."""
    liquid = model().on(phase="liquid")
    answer = liquid.query([0.9])[0]
    shelves = [Shelf.of(replace(one, folder=tmp_path)) for one in (liquid, model().on(), model().on(phase="crystal"))]
    keep(shelves[0], answer, Chains(4, 4, 0))
    assert [len(list(kept(shelf, answer.values))) for shelf in shelves] == [1, 0, 0]
    path = liquid.scan([0.9], out=tmp_path / "scan-6-liquid").points.model
    assert path.config.model.phase == "liquid"
    found = [Results(shelf).at("lam", 0.9, {"U": 10.0}) for shelf in shelves]
    assert [one is None for one in found] == [False, True, True]
    (tmp_path / "scan-6-liquid").rename(tmp_path / "scan-6")
    assert Results(shelves[1]).at("lam", 0.9, {"U": 10.0}) is None


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"phase": "solid"}, "phase = 'solid' is none that can be asked alone: give liquid or crystal"),
        ({"phase": "crystal", "electrons": 4, "supercell": [[3, 0], [0, 3]]}, "model.phase = 'crystal' needs"),
        ({"electrons": 7}, "7 fill no n×n supercell at filling 2/3, which tiny was trained at: 6, 24, 54, 96, 150"),
        ({"electrons": 0}, "electrons = 0 is too small"),
        ({"electrons": 2.5}, "2.5 is no whole number"),
        ({"electrons": (1, 1)}, "none of what tiny is for, polarised electrons"),
        ({"electrons": (1, 1, 1)}, "not two whole numbers"),
        ({"supercell": [[2, 0], [0, 2]]}, "4 moiré cells, and filling 2/3 of them is no whole number of electrons"),
        ({"supercell": [[2, 0], [4, 0]]}, "has no area"),
        ({"supercell": [[2, 0]]}, "not two rows of two whole numbers"),
        ({"electrons": 40, "supercell": [[3, 0], [0, 3]]}, "more than the 2 supported"),
        ({"twist": (0.5,)}, "is not two numbers, in turns"),
    ],
)
def test_what_no_system_has_is_refused(asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(QernelError, match=re.escape(sentence)) as error:
        model().on(**asked)
    assert "\n" not in str(error.value)


def test_two_spins_are_shared_as_in_the_training() -> None:
    config = configured(system={"electrons": [4, 2]}, **NO_CRYSTAL)
    spinful = Model("spinful", config, initial_wavefunction(config))
    assert system(spinful.on(electrons=24))[:2] == ((16, 8), ((6, 0), (0, 6)))
    assert system(spinful.on(supercell=[[6, 0], [0, 6]]))[0] == (16, 8)
    assert system(spinful.on(electrons=(3, 3)))[:2] == ((3, 3), ((3, 0), (0, 3)))
    with pytest.raises(RunError, match="cannot be shared between the spins"):
        spinful.on(electrons=8, supercell=NINE)
    with pytest.raises(RunError, match="two spins"):
        spinful.on(electrons=(6, 0))


def test_a_real_wavefunction_keeps_to_half_turns() -> None:
    config = configured(model={"complex": False}, system={"twist": [0.0, 0.5]})
    real = Model("real", config, initial_wavefunction(config))
    assert not real.on(electrons=24).config.is_complex
    with pytest.raises(RunError, match=r"twist \(1/3, -1/3\) makes ψ complex.* give a twist of half turns"):
        real.on(electrons=54, twist=(1 / 3, -1 / 3))


def test_weights_of_one_system_are_asked_there() -> None:
    with pytest.raises(RunError, match=r"n6 belongs to 6 electrons on 9 moiré cells.*train ansatz = 'lem'"):
        qernel.load("n6").on(electrons=24)
    with pytest.raises(RunError, match="determinants of n6, of ansatz 'qernel', are not those of one phase each"):
        qernel.load("n6").on(phase="liquid")
    assert repr(qernel.load("n6")) == "Model('n6': 6 electrons on 9 moiré cells)"


def test_a_model_says_where_it_is_asked() -> None:
    home, there = model(), model().on(electrons=24)
    assert repr(home) == "Model('tiny': 6 electrons on 9 moiré cells, twist (0, 0))"
    assert repr(there) == "Model('tiny': 24 electrons on 36 moiré cells, twist (1/2, 0), size not trained)"
    assert repr(home.on(twist=(0.5, 0))).endswith("twist (1/2, 0), twist not trained)")
    assert default_folder(there, "tiny", "scan") == Path("tiny-scan-24")
    assert pickle.loads(pickle.dumps(there)).config == there.config


def test_every_system_of_the_training_is_known() -> None:
    further = [{"electrons": 24, "supercell": [[6, 0], [0, 6]], "twist": [0.5, 0.0]}, {"twist": [0.5, 0.5]}]
    config = configured(family={"systems": further}, **NO_CRYSTAL)
    several = Model("several", config, model().wavefunction)
    assert known(several) == (True, True)
    larger = several.on(electrons=24)
    assert system(larger)[1:] == (((6, 0), (0, 6)), (0.5, 0.0)) and known(larger) == (True, True)
    assert larger.config.family.systems is None and larger.on().config.system == config.system
    assert known(larger.on(electrons=6, twist=(0.5, -0.5))) == (True, True)
    assert known(larger.on(electrons=6, twist=(0.5, 0.0))) == (True, False)
    assert known(larger.on(electrons=54)) == (False, False)


# The study of it

HERE = Path(__file__).parents[1] / "studies" / "size_transfer"


@pytest.fixture
def study() -> Any:
    return script("studies/size_transfer/transfer.py")


def made_up(folder: Path, above: dict[str, float], error: float = 0.003) -> None:
    """Scans with energies above −15 + λ, and Hartree–Fock's 0.1 above it, as the commands write them."""
    system = {"electrons": 54, "supercell": NINE, "twist": [0.5, 0.0], "size_trained": True, "twist_trained": True}
    for name, shift in above.items():
        zero_shot = name == "zero-shot"
        rows = [
            {"lam": lam, "energy": {"value": -15 + lam + shift, "error": error}, "impossible": ""} for lam in (0.5, 1.0)
        ]
        record = {"system": system | {"size_trained": not zero_shot}, "model": {"training": {"updates": 100}}}
        (folder / name).mkdir(parents=True)
        (folder / name / "energies.json").write_text(json.dumps(record | {"results": rows}))
    (folder / "hartree-fock").mkdir()
    rows = [{"lam": lam, "energy": -14.9 + lam} for lam in (0.5, 1.0)]
    written_by_hf = {"electrons": 54, "supercell": NINE, "twist": [0.5, 0.0]}
    path = folder / "hartree-fock" / "hartree_fock.json"
    path.write_text(json.dumps({"system": written_by_hf, "results": rows}))


def test_the_study_compares_scans_of_one_size(study: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_up(tmp_path / "good", {"zero-shot": 0.05, "transferred": 0.001, "alone-equal": 0.08, "alone": 0.0})
    study.main(tmp_path / "good", tmp_path)
    found = json.loads((tmp_path / "transfer.json").read_text())
    least = found["zero_shot_below_hartree_fock"]
    assert least["everywhere"] and least["least"]["value"] == pytest.approx(0.05)
    assert found["transferred_minus_alone"] == {
        "value": pytest.approx(0.001),
        "error": pytest.approx(0.003),
        "as_low": True,
    }
    assert not found["alone-equal_minus_alone"]["as_low"] and (tmp_path / "transfer.png").exists()
    assert "| 0.5 | -14.5000 ± 0.0030 | +0.0500 ± 0.0042 |" in capsys.readouterr().out
    made_up(tmp_path / "bad", {"zero-shot": 0.097, "transferred": 0.05, "alone-equal": 0.08, "alone": 0.0})
    study.main(tmp_path / "bad", tmp_path)
    found = json.loads((tmp_path / "transfer.json").read_text())
    assert not found["zero_shot_below_hartree_fock"]["everywhere"] and not found["transferred_minus_alone"]["as_low"]
    made_up(tmp_path / "short", {"zero-shot": 0.05, "transferred": 0.001, "alone-equal": 0.08})
    study.main(tmp_path / "short", tmp_path)
    found = json.loads((tmp_path / "transfer.json").read_text())
    assert found["transferred_minus_alone-equal"]["value"] == pytest.approx(-0.079)
    assert "alone" not in found["energies"]


def test_the_study_refuses_other_sizes(study: Any, tmp_path: Path) -> None:
    made_up(tmp_path, {"zero-shot": 0.05, "transferred": 0.0, "alone-equal": 0.08, "alone": 0.0})
    path = tmp_path / "transferred" / "energies.json"
    record = json.loads(path.read_text())
    for change, sentence in (({"twist": [0.0, 0.0]}, "other twist"), ({"size_trained": False}, "was not trained")):
        path.write_text(json.dumps(record | {"system": record["system"] | change}))
        with pytest.raises(SystemExit, match=f"transferred: .*{sentence}"):
            study.main(tmp_path, tmp_path)


def test_the_configurations_of_the_study_belong_together() -> None:
    """The network is that of the shipped model, trained on smaller cells."""
    lem = qernel.load("lem").config
    for count in (54, 96):
        config = load_config(HERE / f"size-{count}.toml")
        assert config.model == lem.model and config.family.ranges.keys() == lem.family.ranges.keys()
        assert config.system.count == count and count not in {system.count for system in lem.systems}
        # 54 electrons have no closed shell at which ψ is real; they are asked at Γ.
        cell = Supercell(config.system.supercell)
        assert shells(cell, config.system.electrons, config.system.twist).closed == (count == 96)


# What the commands say


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn elsewhere."""
    monkeypatch.setattr("qernel.plots.style.save", lambda *_: [])


@pytest.fixture(scope="module")
def there() -> Model:
    return model().on(supercell=ROOT)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, there: Model) -> list[dict[str, Any]]:
    """What is asked of the model under every name; two electrons are those that are compiled already."""
    asked: list[dict[str, Any]] = []

    def on(**system: Any) -> Model:
        asked.append(system)
        return there if system.get("supercell") == ((1, 1), (-1, 2)) else model().on(**system)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("qernel.measure.load", lambda _: SimpleNamespace(on=on))
    return asked


@pytest.mark.filterwarnings("ignore::qernel.errors.QernelWarning")
def test_results_say_what_was_not_trained(there: Model) -> None:
    scan = there.scan([0.9], observables=["energy"])
    expected = {"electrons": 2, "twist": [0.5, 0.0], "size_trained": False, "twist_trained": False}
    said = scan.as_dict()["system"]
    assert {key: said[key] for key in expected} == expected and said["supercell"] == ROOT
    for file in (scan.dataset, scan.observables):
        assert {key: np.asarray(file.attrs[key]).tolist() for key in expected} == expected  # type: ignore[union-attr]
        assert list(file.attrs["supercell"]) == [1, 1, -1, 2]  # type: ignore[union-attr]
    first, second, *rows = scan.table().splitlines()
    assert "2 electrons on 3 moiré cells, twist (1/2, 0), size not trained" in first
    assert second == said["twist_chosen"] == there.moved.reason  # type: ignore[union-attr]
    assert rows[1].endswith("size not trained") and "size not trained" in scan.rows[0]._repr_html_()
    assert scan.table().count("size not trained") == 3, "the observables of the same samples say it too"
    found = there.map([0.9], over=("U", [9.5, 10.5]))
    assert [record["system"]["size_trained"] for record in found.records] == [False, False]
    tested = there.diagnose([0.9], groups=["pair"])
    assert "size not trained" in tested.table() and tested.as_dict()["system"]["electrons"] == 2


@pytest.mark.filterwarnings("ignore::qernel.errors.QernelWarning")
def test_stored_answers_are_those_of_the_system(there: Model, tmp_path: Path, undrawn: None) -> None:
    """The weights are the same everywhere: what was measured of two electrons is no answer for six."""
    here, home = (Shelf.of(replace(one, folder=tmp_path)) for one in (there, there.on(electrons=6)))
    answer = there.query([0.9])[0]
    keep(here, answer, Chains(4, 4, 0))
    ((_, found),) = kept(here, answer.values)
    assert found.energy.value == answer.energy.value and (found.size_trained, found.twist_trained) == (False, False)
    assert not list(kept(home, answer.values))
    there.scan([0.9], out=tmp_path / "scan-2")
    scanned = Results(here).at("lam", 0.9, {"U": 10.0})
    assert scanned is not None and scanned.energy.value == answer.energy.value and not scanned.size_trained
    (tmp_path / "scan-2").rename(tmp_path / "scan-6")
    assert Results(here).at("lam", 0.9, {"U": 10.0}) is Results(home).at("lam", 0.9, {"U": 10.0}) is None


def test_where_it_is_trained_nothing_is_said(there: Model) -> None:
    home = there.on(electrons=6)
    assert known(home) == (True, True) and "not trained" not in described(home)
    assert outside({"extrapolating": 1, **known(home).flags}) == "extrapolating"
    assert outside({"extrapolating": 1, **known(there).flags}) == "extrapolating, size not trained"


def test_a_measurement_warns_of_a_size_that_was_not_trained(there: Model) -> None:
    with pytest.warns(QernelWarning) as said:
        there.query([0.9])
    sizes = "trained on N=6, 3×3, and is asked for N=2, (1 1; -1 2), twist (1/2, 0)"
    assert sum(f"size not trained: the model was {sizes}" in str(one.message) for one in said) == 1


def test_commands_ask_in_the_system_of_their_options(
    run: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """And the files of one system are not replaced by those of another."""
    line = ["observe", "tiny", "--lam", "0.9", "--observable", "energy", "--out", "out"]
    assert main([*line, "--supercell", "1,1,-1,2"]) == 0
    printed = capsys.readouterr()
    assert "size not trained" in printed.out and "size not trained: the model was trained on" in printed.err
    assert qernel.open("out/observables.nc").attrs["electrons"] == 2
    assert main([*line, "--electrons", "24"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "already has observables.nc of another measurement" in error
    assert main(["query", "tiny", "--lam", "0.9", "--json", "--supercell", "1,1,-1,2"]) == 0
    assert json.loads(capsys.readouterr().out)["system"]["size_trained"] is False
    assert run == [{"supercell": ((1, 1), (-1, 2))}, {"electrons": 24}, {"supercell": ((1, 1), (-1, 2))}]


@pytest.mark.parametrize("command", ["query tiny", "scan tiny", "observe tiny --observable energy", "diagnose tiny"])
def test_options_of_the_system(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    def parsed(*options: str) -> tuple[Any, Any, Any]:
        found = build_parser().parse_args([*command.split(), "--lam", "1", *options])
        return found.electrons, found.supercell, found.twist

    assert parsed() == (None, None, None)
    given = build_parser().parse_args([*command.split(), "--lam", "1", "--phase", "liquid"])
    assert system_words(given) == ["--phase=liquid"]
    assert parsed("--electrons", "54", "--supercell", "9x9") == (54, ((9, 0), (0, 9)), None)
    assert parsed("--twist", "1/3,-1/3", "--electrons", "3,2") == ((3, 2), None, (1 / 3, -1 / 3))
    assert parsed("--twist=-0.25,0", "--supercell=-1,2,1,1") == (None, ((-1, 2), (1, 1)), (-0.25, 0.0))
    for option, wrong in (
        ("electrons", "5,"),
        ("electrons", "0"),
        ("supercell", "9"),
        ("twist", "1/0,0"),
        ("twist", "1"),
    ):
        with pytest.raises(SystemExit):
            parsed(f"--{option}", wrong)
        assert f"argument --{option}: {wrong!r} is no" in capsys.readouterr().err
