"""Cards of shipped models: true to what they were taken from, shown by ``qernel models``, refused when damaged."""

from __future__ import annotations

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

from qernel.cli import main
from qernel.errors import RunError
from qernel.estimators.batched import walker_functions
from qernel.explore.catalogue import catalogue
from qernel.measure.card import Card, read_card
from qernel.wavefunction import parameter_layout

STUDIES = Path(__file__).parents[1] / "studies"


@pytest.fixture(scope="module")
def card() -> Card:
    card = catalogue([])["n6"].model().card
    assert card is not None
    return card


def test_references_are_the_lowest_exact_energies(card: Card) -> None:
    cases = json.loads((STUDIES / "exact" / "six_electrons.json").read_text(encoding="utf-8"))["cases"]
    for entry in card.accuracy:
        lowest = min((case for case in cases if case["lam"] == entry.lam), key=lambda case: case["energy"])
        assert entry.reference.value == pytest.approx(lowest["energy"], abs=5.1e-5)
        assert entry.reference.error == pytest.approx(lowest["uncertainty"], abs=5.1e-5)


def test_energies_are_those_of_the_shipped_weights(card: Card) -> None:
    """The stored observables, which name the weights they are of, were measured on other chains."""
    stored = catalogue([])["n6"].stored()
    assert stored is not None
    pulls = []
    for entry in card.accuracy:
        other = stored.sel(lam=entry.lam, method="nearest")
        assert float(other["lam"]) == pytest.approx(entry.lam)
        error = np.hypot(entry.energy.error, float(other["energy_error"]))
        pulls.append((entry.energy.value - float(other["energy"])) / error)
    assert np.sum(np.square(pulls)) < chi2.ppf(0.99, len(pulls))  # exceeded once in a hundred


@pytest.mark.parametrize("name", ["n6", "n24", "n54", "lem"])
def test_the_weights_mean_on_this_machine_what_they_meant_where_they_were_measured(name: str) -> None:
    """Local energies of stored configurations scatter about the stored energies.

    What weights mean is laid down by what is computed on reading them, the order of wave vectors for one. If that
    depended on rounding, as it did once, a model would be another function on another machine.
    """
    entry = catalogue([])[name]
    model, stored = entry.model(), entry.stored()
    assert stored is not None
    functions = walker_functions(model.wavefunction, laplacian="forward")
    positions = jnp.asarray(stored["snapshots"].values, jnp.float32)
    constants = [np.full(stored["lam"].shape, float(stored.attrs[name])) for name in model.hamiltonian.parameters[1:]]
    points = jnp.asarray(np.stack([stored["lam"].values, *constants], axis=1), jnp.float32)
    energies = functions.local_energy(parameter_layout(model.wavefunction).parameters, positions, points)
    found = np.asarray(energies.total.real) / positions.shape[2] - stored["energy"].values[:, None]
    # Medians, because local energies have heavy tails.
    scatter = 1.48 * np.median(np.abs(found - np.median(found)))
    assert scatter < 0.3
    assert abs(np.median(found)) < 4 * 1.25 * scatter / np.sqrt(found.size)


@pytest.mark.parametrize("name", ["n24", "n54"])
def test_larger_systems_are_below_hartree_fock(name: str) -> None:
    """At every λ of the card, with the energies stored with the weights and references that are solutions."""
    entry = catalogue([])[name]
    card, stored = entry.model().card, entry.stored()
    assert card is not None and stored is not None and len(card.accuracy) == 7
    energies: dict[float, float] = {}
    for file in sorted((STUDIES / "hartree_fock").glob(f"{name}*.json")):
        for row in json.loads(file.read_text(encoding="utf-8"))["results"]:
            lam = round(row["lam"], 6)
            energies[lam] = min(row["energy"], energies.get(lam, 0.0))
    for row in card.accuracy:
        assert row.reference.value == pytest.approx(energies[row.lam], abs=5.1e-5)
        measured = stored.sel(lam=row.lam, method="nearest")
        assert row.energy.value == pytest.approx(float(measured["energy"]), abs=5.1e-5)
        assert row.energy.error == pytest.approx(float(measured["energy_error"]), abs=5.1e-5)
        assert row.excess.value < -3 * row.excess.error


def test_models_shows_accuracy_range_and_limits(card: Card, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    text = capsys.readouterr().out
    assert "0.002 to 0.009" in text and "0.15 to 1.85" in text and "0.0093(28)" in text
    cards = [entry.model().card for entry in catalogue([]).values()]
    assert text.count("\n- ") == sum(len(other.not_good_for) for other in cards if other is not None)
    assert max(map(len, text.splitlines())) <= 120
    assert main(["models", "--json"]) == 0
    entry, *larger = json.loads(capsys.readouterr().out)["models"]
    assert [entry["name"], *(other["name"] for other in larger)] == ["n6", "lem", "n24", "n54"]
    models = [each.model() for each in catalogue([]).values()]
    assert [each["parameters"] for each in (entry, *larger)] == [each.parameters for each in models]
    assert [each["cells"] for each in (entry, *larger)] == [each.config.system.cells for each in models]
    assert entry["lam"] == [0.15, 1.85] and entry["electrons"] == 6 and entry["cells"] == 9
    assert entry["card"]["not_good_for"] == list(card.not_good_for)
    worst = max(entry["card"]["accuracy"], key=lambda row: row["excess"]["value"])
    assert worst["lam"] == 1.0 and worst["excess"]["value"] == pytest.approx(0.0093)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"format": 2}, "format"), ({"not_good_for": []}, "not_good_for"), ({"acuracy": []}, "acuracy"), (None, "JSON")],
)
def test_foreign_cards_are_refused(card: Card, change: dict[str, object] | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    assert read_card(path) is None
    path.write_text("{" if change is None else json.dumps(card.model_dump() | change))
    with pytest.raises(RunError, match=words) as caught:
        read_card(path)
    assert "\n" not in str(caught.value)
