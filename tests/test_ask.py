"""``qernel ask``: units against known conversions, the mapping to models, the sentence, and what lies outside."""

from __future__ import annotations

import json
import math
import shlex
import shutil
import tomllib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import qernel
from qernel.ask import verb
from qernel.ask.candidates import candidates, turn
from qernel.ask.evidence import Evidence, MeanField, bias, mean_field
from qernel.ask.materials import KEYS, find, names, setting, table
from qernel.ask.quantities import KINDS, filling, value
from qernel.ask.training import command, config, overrides, small_cell
from qernel.cli import main
from qernel.config import load_config
from qernel.errors import QernelError
from qernel.measure.shelf import models_folder
from qernel.measure.stored import Results

ROOT = Path(__file__).parents[1]
TWO_THIRDS = Fraction(2, 3)
QUESTION = "--material WSe2/WS2 --period 8nm --epsilon 7 --gate 10nm --depth 5meV --filling 2/3"
SHIPPED = ["n6", "n24", "n54"]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Hartree–Fock that answers at once, and where it was asked."""
    asked = []

    def answer(sample: Any, electrons: int, side: int, tell: Any = None) -> MeanField:
        asked.append((electrons, side))
        return MeanField("liquid", "liquid", -30.0, electrons)

    monkeypatch.setattr(verb, "mean_field", answer)
    return asked


# Units


@pytest.mark.parametrize(
    ("kind", "given", "number"),
    [
        ("period", "8nm", 8.0),
        ("period", "80 angstrom", 8.0),
        ("period", "80Å", 8.0),
        ("gate", "0.01 um", 10.0),
        ("depth", "5meV", 5.0),
        ("depth", "0.005 eV", 5.0),
        ("depth", "100 K", 8.617333),  # k_B = 0.08617333 meV/K
        ("depth", "8.010883e-22 J", 5.0),
        ("epsilon", "7", 7.0),
        ("epsilon", 7, 7.0),
        ("phase", "-94", -94.0),
        ("phase", "0.785398163 rad", 45.0),
    ],
)
def test_any_unit_of_the_right_dimension(kind: str, given: Any, number: float) -> None:
    assert value(KINDS[kind], given)[0] == pytest.approx(number, rel=1e-6)


def test_plain_numbers_and_pint_quantities() -> None:
    import pint

    assert value(KINDS["period"], 8) == (8.0, "--period 8 is taken in nm")
    assert value(KINDS["epsilon"], "7")[1] == ""
    assert value(KINDS["period"], pint.UnitRegistry().Quantity(80, "angstrom"))[0] == pytest.approx(8.0)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        *(
            ("period", wrong)
            for wrong in ("8 meV", "eight", "", "-8nm", "0nm", "nan nm", "1e9 nm", "8nm; import os", True)
        ),
        *(("depth", wrong) for wrong in ("5 nm", "5 meV meV", "x" * 100, "inf")),
        ("epsilon", "7 nm"),
        ("mass", [0.4]),
    ],
)
def test_what_is_no_quantity_is_one_sentence(kind: str, given: Any) -> None:
    with pytest.raises(QernelError, match=rf"--{kind} .* e\.g\. ") as error:
        value(KINDS[kind], given)
    assert "\n" not in str(error.value) and len(str(error.value)) < 200


@pytest.mark.parametrize(
    ("given", "found"), [("2/3", "2/3"), ("0.667", "2/3"), (0.5, "1/2"), ("1", "1"), (Fraction(1, 3), "1/3")]
)
def test_fillings(given: Any, found: str) -> None:
    assert filling(given)[0] == Fraction(found)
    assert bool(filling(given)[1]) == (given == "0.667")


@pytest.mark.parametrize("given", ["0", "-1/3", "2/0", "two thirds", "3", "0.618034", ""])
def test_no_filling(given: str) -> None:
    with pytest.raises(QernelError, match="--filling"):
        filling(given)


# Materials


@pytest.mark.parametrize("name", names())
def test_every_number_of_a_material_has_a_source(name: str) -> None:
    entry = table()[name]
    numbers = {key: pair for key, pair in entry.items() if key not in ("about", "aliases")}
    assert set(numbers) <= set(KEYS) and {"effective_mass", "dielectric", "phase_deg"} <= set(numbers)
    for number, source in numbers.values():
        assert math.isfinite(number) and len(source) > 20
        assert any(mark in source for mark in ("PRB", "PRL", "Nature", "npj")), source


def test_the_default_material_is_that_of_the_configuration() -> None:
    sample = setting("default")
    system = load_config("n6").system
    assert {key: sample[key] for key in KEYS if key != "phase_deg"} == {
        key: getattr(system, key) for key in KEYS if key != "phase_deg"
    }
    assert sample["phase_deg"] == system.constant("phase_deg") and sample.material == system.material


@pytest.mark.parametrize("name", ["WSe2/WS2", "ws2/wse2", "WSe₂/WS₂", "WSe2 / WS2", "wse2/ws2"])
def test_names_are_read_as_people_write_them(name: str) -> None:
    assert find(name) == "WSe2/WS2"


@pytest.mark.parametrize(("name", "meant"), [("WSe2/WS3", "WSe2/WS2"), ("WSe2-WS2", "WSe2/WS2"), ("defalt", "default")])
def test_misspelt_materials(name: str, meant: str) -> None:
    with pytest.raises(QernelError, match=f"did you mean {meant}"):
        find(name)
    with pytest.raises(QernelError, match="There are default"):
        find("kryptonite")


def test_what_a_material_does_not_say_has_to_be_given() -> None:
    with pytest.raises(QernelError, match=r"--period and --depth must be given .*e\.g\. --period 8nm --depth 5meV"):
        setting("MoSe2/WS2")
    with pytest.raises(QernelError, match=r"--mass and --epsilon .* must be given"):
        setting(None, gate="10nm")
    sample = setting("MoSe2/WS2", period="7.5nm", depth=10)
    assert sample["period_nm"] == 7.5 and sample.numbers["period_nm"].source == "as given" and len(sample.notes) == 1


# The nearest model and point


def test_the_point_has_the_dimensionless_numbers_of_the_sample() -> None:
    """By hand: E0 = ħ²/(m a²), λ = V/E0/V0 with the V0 of the model, U = a m/(a_B ε)."""
    sample = setting("WSe2/WS2", period="8nm", epsilon=7, gate="10nm", depth="5meV")
    best = candidates(SHIPPED, sample, TWO_THIRDS)[0]
    E0 = 0.6582119569509066**2 / (0.45 * 5.685630060215049e-3 * 64)
    assert best.wanted["lam"] == pytest.approx(5 / E0 / 4.443709, rel=1e-6)
    assert best.wanted["U"] == pytest.approx(8 / 0.0529177210544 * 0.45 / 7)
    assert best.wanted["gate_distance"] == 1.25 and best.point == {"lam": pytest.approx(best.wanted["lam"])}
    assert {one.name for one in best.deviations} == {"U", "gate_distance"} and not best.inside
    assert best.shelf.name == "n54"  # equally far, so the largest


def test_the_largest_model_that_was_trained_there_answers() -> None:
    order = [one.shelf.name for one in candidates(SHIPPED, setting("default"), TWO_THIRDS)]
    assert order == ["n54", "n24", "n6"]
    deep = candidates(SHIPPED, setting("default", depth="26.5meV"), TWO_THIRDS)  # λ = 1.77: beyond 1.6, within 1.85
    assert deep[0].shelf.name == "n6" and deep[0].inside and deep[1].point["lam"] == 1.6
    assert "0.17 beyond [0.3, 1.6]" in deep[1].deviations[0].text
    assert candidates(SHIPPED, setting("default"), Fraction(1, 2)) == []


def test_gates_far_away_are_none() -> None:
    near, far = (candidates(["n6"], setting("default", gate=gate), TWO_THIRDS)[0] for gate in ("5nm", "1um"))
    assert not near.inside and far.inside
    share = 1 - math.tanh(4 * math.pi / 3 * 5 / 8.031)
    assert f"differs by {100 * share:.2g} % at the wave vector of the crystal" in near.deviations[0].text


def test_potentials_that_are_the_same() -> None:
    assert turn(45, 165) == pytest.approx(0) and turn(45, -45) == 0 and turn(0, 60) == 60
    same = candidates(["n6"], setting("default", phase=-75), TWO_THIRDS)[0]  # −75° + 120° = 45°
    assert same.inside and not candidates(["n6"], setting("default", phase=10), TWO_THIRDS)[0].inside


# Answers


def test_inside_the_answer_is_the_stored_one(quick: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    found = qernel.ask("default", depth="18 meV", models=SHIPPED)
    assert (found.word, found.inside, found.mean_field) == ("crystal", True, None) and quick == []
    best = found.said[0]
    assert best.answer is not None
    data = qernel.open(models_folder() / "n54" / "observables.nc").sel(lam=1.2, method="nearest")
    assert best.answer.energy.value == float(data["energy"]) and tuple(best.change or ()) == (0.8, 1.0)
    assert found.sentence.startswith("crystal: default at filling 2/3; n24 and n6 agree")
    assert all(words in found.sentence for words in ("54 electrons", "|ρ_K|²", "R̂ = 1.45", "between λ = 0.8 and 1"))
    meV = float(data["energy"]) * found.sample.material.energy_unit_meV
    assert f"{meV:.2f}" in found.text() and "Geier" in found.text() and found.as_dict()["train"] is None


def test_only_what_says_something_agrees_or_does_not() -> None:
    """A model of which nothing is stored has no say; one for every size is named with its electrons."""
    found = qernel.ask("default", depth="18 meV", models=SHIPPED)
    first, second, third = found.said
    silent = replace(second, answer=None, change=None)
    assert replace(found, said=[first, silent, third]).sure.startswith("n6 agrees")
    assert third.answer is not None
    other = replace(third, answer=third.answer._replace(phase="liquid"))
    assert replace(found, said=[first, silent, other]).sure == "n6 says otherwise"


def test_energies_are_in_the_units_of_the_sample() -> None:
    """Twice the mass and twice ε: half of E0 at the same U, so the same dimensionless state at half of the depth."""
    heavy = qernel.ask(None, mass=0.7, epsilon=10, period="8.031nm", depth="9 meV", phase=45, models=["n6"])
    light = qernel.ask("default", depth="18 meV", models=["n6"])
    assert heavy.inside and heavy.said[0].candidate.point == pytest.approx(light.said[0].candidate.point)
    assert heavy.sample.material.energy_unit_meV == pytest.approx(light.sample.material.energy_unit_meV / 2)
    answer = light.said[0].answer
    assert answer is not None and f"{answer.energy.value * 3.3755585 / 2:.4f}"[:6] in heavy.text()


def test_between_the_phases_it_is_undecided() -> None:
    found = qernel.ask("default", depth="13.5 meV", models=["n54"])
    assert found.word == "undecided" and "changes, between 0.8 (liquid) and 1 (crystal)" in found.sentence


def test_outside_says_which_by_how_much_and_how_to_train(quick: list[Any]) -> None:
    found = qernel.ask("WSe2/WS2", period="8nm", epsilon=7, gate="10nm", depth="5meV", models=SHIPPED)
    assert found.word == "liquid" and not found.inside and "estimate only" in found.sentence and quick == [(6, 3)]
    text = found.text()
    assert "U = 9.72 (ε = 7), trained at 10.62 alone (-9%)" in text and "gates at 10 nm (1.25 a_M)" in text
    assert "biased towards the crystal" in text and "0.76" in text and "1.085" in text
    (line,) = [line.strip() for line in text.splitlines() if line.strip().startswith("qernel train")]
    _, _, preset, _, *values = shlex.split(line)
    trained = load_config(preset, values)
    assert trained == config(found.sample, TWO_THIRDS) and trained.system.material is not None
    assert pytest.approx(found.sample.material.U) == trained.system.material.U
    assert trained.system.constant("gate_distance") == pytest.approx(1.25)
    low, high = trained.family.lam
    assert low < 5 / trained.system.depth_meV < high


def test_the_trained_model_would_have_it_inside(tmp_path: Path) -> None:
    """The configuration of the command, as if it had been trained: nothing of the sample lies outside of it."""
    sample = setting("WSe2/WS2", period="8nm", epsilon=7, gate="10nm", depth="5meV")
    from qernel.ask.candidates import candidate
    from qernel.measure.shelf import Shelf

    trained = config(sample, TWO_THIRDS)
    shelf = Shelf("trained", None, trained, "", 0)
    assert candidate(shelf, lambda: None, trained.system, sample).inside  # type: ignore[arg-type, return-value]


def test_mean_field_that_disagrees_leaves_it_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verb, "mean_field", lambda *_: MeanField("crystal", "crystal, q = (2/3, 1/3)", -30.0, 6))
    assert qernel.ask("default", epsilon=7, depth="5meV", models=["n6"]).word == "undecided"
    assert qernel.ask("default", epsilon=4, depth="22meV", models=["n6"]).word == "crystal"


@pytest.mark.parametrize("share", ["1/3", "2/3", "1/2", "1", "1/4", "2/5", "3/4"])
@pytest.mark.parametrize("gate", [None, "10nm"])
def test_the_command_is_valid_at_every_filling(share: str, gate: str | None) -> None:
    sample = setting("WSe2/WS2", gate=gate)
    trained = config(sample, Fraction(share))
    assert Fraction(trained.system.count, trained.system.cells) == Fraction(share)
    base, values = overrides(sample, Fraction(share))
    assert (base, trained.model.ansatz) == (("n24", "lem") if share in ("1/3", "2/3") else ("hf24", "qernel"))
    assert shlex.split(command(sample, Fraction(share))) == ["qernel", "train", base, "--set", *values]


@pytest.mark.parametrize(("share", "twist"), [("1/3", (0.0, 0.0)), ("2/3", (0.5, 0.0))])
def test_the_shell_is_closed_where_a_real_one_can_be(share: str, twist: tuple[float, float]) -> None:
    assert config(setting("WSe2/WS2"), Fraction(share)).system.twist == twist


def test_what_is_said_of_the_charge_gap(quick: list[Any]) -> None:
    """None in a liquid; in a crystal that of point charges, 1.5422 e²/(4πε₀ε a_M) without gates, and Hartree–Fock's."""
    crystal = qernel.ask("default", depth="18 meV", models=["n6"])
    coulomb = 1439.96 / (5 * 8.031)  # e²/(4πε₀) = 1439.96 meV nm
    assert crystal.word == "crystal" and crystal.point_charge_gap_meV == pytest.approx(1.5422 * coulomb, rel=1e-3)
    assert "not computed" in crystal.gap and "at most about 55.3 meV" in crystal.gap and crystal.gap in crystal.text()
    gated = qernel.ask("default", depth="18 meV", gate="10 nm", models=["n6"], hartree_fock=False)
    share = 1.5422 - math.log(2) * 8.031 / 10  # far from the gates: the image of the charge itself alone
    assert gated.point_charge_gap_meV == pytest.approx(share * coulomb, rel=1e-3)
    assert "if it is the crystal" in gated.gap
    found = replace(crystal, mean_field=MeanField("crystal", "crystal", -30.0, 6, 52.4))
    assert "Hartree–Fock has 52.4 meV with frozen orbitals, biased upwards" in found.gap
    assert found.as_dict()["charge_gap"]["hartree_fock_meV"] == 52.4
    assert "none, as a liquid conducts" in qernel.ask("default", depth="8 meV", models=["n6"]).gap
    half = qernel.ask("default", filling="1/2", hartree_fock=False)
    assert half.point_charge_gap_meV is None and half.gap.startswith("Charge gap: not computed")


def test_no_model_of_a_filling(quick: list[Any]) -> None:
    found = qernel.ask("default", filling="1/2")
    assert found.word == "liquid" and "no model of this filling, Hartree–Fock alone" in found.sentence
    assert "no model was trained at filling 1/2" in found.text() and quick == [small_cell(Fraction(1, 2), 6)]
    assert qernel.ask("default", filling="1/2", hartree_fock=False).word == "undecided"


def test_the_bias_of_mean_field_is_that_of_the_records() -> None:
    stored = json.loads((ROOT / "studies" / "hartree_fock" / "n6.json").read_text("utf-8"))
    assert bias()["hartree_fock"] == stored["transition"]
    value, error = bias()["exact"]
    assert f"λ = {value:g}({error * 1000:.0f})" in (ROOT / "docs" / "results" / "n6.md").read_text("utf-8")


def test_mean_field_is_that_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At two electrons, where it takes a second: the same energy as `qernel hf` of the configuration, in meV."""
    sample = setting("default", depth="30meV")
    found = mean_field(sample, 3, 3)
    assert found.word == "crystal"
    line = ["hf", "n3", "--depth", "30", "--cutoff", "100", "--json"]
    assert main(line) == 0
    (row,) = json.loads(capsys.readouterr().out)["results"]
    assert found.energy_meV == pytest.approx(row["energy"] * sample.material.energy_unit_meV, rel=1e-6)


def test_runs_of_ones_own_are_asked_too(tmp_path: Path) -> None:
    shutil.copytree(models_folder() / "n6", tmp_path / "mine", ignore=shutil.ignore_patterns("identity.json"))
    found = qernel.ask("default", models=[str(tmp_path / "mine"), "n24"])
    assert [one.candidate.shelf.name for one in found.said] == ["n24", "mine"]
    assert isinstance(found.said[1], Evidence) and found.said[1].word == "liquid"
    assert Results(found.said[1].candidate.shelf).at("lam", 1.0, {}) is not None


# The command


def test_the_question_of_the_command_line(quick: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", *QUESTION.split(), "--models", *SHIPPED]) == 0
    text = capsys.readouterr().out
    assert text.startswith("liquid: WSe2/WS2 at filling 2/3; outside of what any model was trained on")
    assert main(["ask", *QUESTION.split(), "--models", *SHIPPED, "--no-hartree-fock", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (
        data["answer"] == "undecided" and data["hartree_fock"] is None and data["train"].startswith("qernel train n24")
    )
    assert data["material"]["effective_mass"]["value"] == 0.45 and "PRL" in data["material"]["effective_mass"]["source"]
    assert [one["model"] for one in data["models"]] == ["n54", "n24", "n6"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--material WSe2/WS3", "did you mean WSe2/WS2"),
        ("--material default --depth 5nm", "is no energy"),
        ("--material default --filling 5", "--filling"),
        ("", "must be given"),
        ("--material default --models n7", "neither a run folder nor a shipped model"),
    ],
)
def test_misuse_is_one_sentence(line: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", *line.split()]) == 2
    out, err = capsys.readouterr()
    assert out == "" and words in err and err.count("\n") == 1 and err.startswith("qernel: error: ")


def test_the_table_is_packaged() -> None:
    assert tomllib.loads((ROOT / "src" / "qernel" / "ask" / "materials.toml").read_text("utf-8")) == table()
