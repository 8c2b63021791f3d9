"""The word for a sampled state: a criterion checked on states whose phase is known, and where the word appears."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qernel
from free_fermions import free_gas
from qernel.config import load_config
from qernel.estimators.phases import flag, stored_phase, stored_phases, told_by_k
from qernel.lattice import Supercell
from qernel.measure.dataset import joined, to_dataset
from qernel.measure.tables import observed_table
from qernel.observables import Samples
from qernel.observables.phases import sampled_phase
from qernel.plots.kinds import draw
from qernel.storage import measured
from qernel.structure import PHASES, Phase, phase

MODELS = Path(qernel.__file__).parent / "models"


def samples(cell_size: int, positions: Any, lam: float = 1.0) -> Samples:
    """Positions ``[chains, samples, N, 2]`` in a supercell of so many cells along each side."""
    count, rows = positions.shape[2], [[cell_size, 0], [0, cell_size]]
    system = {"electrons": count, "supercell": rows}
    config = load_config({"system": system, "family": {"lam": [0.4, 1.4]}, "model": {"orbitals": "bloch"}})
    return Samples(np.asarray(positions), config.hamiltonian(), np.array([lam]))


def crystals(cell: Supercell, count: int, blur: float, *, chains: int = 32, records: int = 20) -> Any:
    """Honeycomb crystals in all three registries, a third of the chains each, with Gaussian zero-point motion."""
    rng = np.random.default_rng(3)
    sites = [cell.translations[cell.crystal(chain % 3, count)] for chain in range(chains)]
    return np.array(sites)[:, None] + blur * rng.standard_normal((chains, records, count, 2))


@pytest.mark.parametrize("size", [3, 6, 9])
def test_crystals_are_crystals_whatever_their_size(size: int) -> None:
    """With the zero-point motion of a quarter of the distance of neighbours that a moiré crystal has at most."""
    cell, count = Supercell(((size, 0), (0, size))), 2 * size * size // 3
    found = sampled_phase(samples(size, crystals(cell, count, 0.12)))
    assert found.word == "crystal" and "1/N" in found.why


@pytest.mark.parametrize("size", [3, 6])
def test_electrons_that_know_nothing_of_each_other_are_no_crystal(size: int) -> None:
    """Positions at random have ⟨|ρ_q|²⟩ = 1/N: more than a liquid of electrons, less than a crystal."""
    cell, count = Supercell(((size, 0), (0, size))), 2 * size * size // 3
    spread = np.random.default_rng(5).uniform(0, 1, (64, 50, count, 2)) @ cell.vectors
    assert sampled_phase(samples(size, spread)).word == "undecided"


def test_free_fermions_are_a_liquid() -> None:
    """Exact samples of a determinant of plane waves: the exchange hole alone takes S(K) below 1."""
    cell = Supercell(((3, 0), (0, 3)))
    waves = np.array([[0, 0], [1, 0], [0, 1], [-1, 0], [0, -1], [1, 1]]) @ cell.reciprocal
    family = samples(3, np.zeros((1, 1, 6, 2))).hamiltonian
    assert sampled_phase(free_gas(family, [waves], (50, 30), 7)).word == "liquid"


def test_other_fillings_are_told_by_any_wave_vector() -> None:
    """Rows of a half-filled lattice have nothing at K."""
    cell = Supercell(((6, 0), (0, 6)))
    even = np.rint(cell.translations @ np.linalg.inv(cell.primitive)).astype(int)[:, 0] % 2 == 0
    rows = cell.translations[even][None, None] + 0.1 * np.random.default_rng(1).standard_normal((16, 20, 18, 2))
    found = sampled_phase(samples(6, rows))
    assert found.word == "crystal" and found.why.startswith("the largest |ρ_q|²")
    assert not told_by_k(18, 36, uniform=False) and not told_by_k(24, 36, uniform=True)


def test_limits() -> None:
    """Errors, 1/N and chains that stay apart decide, each by itself."""
    assert phase(0.06, 0.004, 54).word == "crystal" and phase(0.06, 0.006, 54).word == "undecided"
    assert phase(0.06, 0.001, 12).word == "liquid"  # chance gives 0.083
    assert phase(0.017, 0.0005, 54).word == "liquid" and phase(0.017, 0.001, 54).word == "undecided"
    apart: dict[str, Any] = {"rhat": 1.8, "chains": 64}
    # Half the chains at 0.12, half at 0.013: an error of 0.054/√64.
    assert phase(0.067, 0.0067, 54, **apart).word == "undecided" and "apart" in phase(0.067, 0.0067, 54, **apart).why
    assert phase(0.12, 0.0043, 54, **apart).word == "crystal"
    assert phase(0.013, 0.0005, 54, **apart).word == "liquid"
    assert phase(float("nan"), 0.1, 54).word == "undecided" == phase(0.1, float("inf"), 54).word


@pytest.mark.parametrize(
    ("name", "last_liquid", "first_crystal"), [("n6", 1.05, 1.1), ("n24", 0.8, 1.0), ("n54", 0.8, 1.0)]
)
def test_shipped_models_change_phase_where_their_scans_find_the_transition(
    name: str, last_liquid: float, first_crystal: float
) -> None:
    data = qernel.open(MODELS / name / "observables.nc")
    words = dict(zip(data["lam"].values.tolist(), (found.word for found in stored_phases(data, "lam")), strict=True))
    assert all(word == ("liquid" if lam <= last_liquid + 1e-9 else "crystal") for lam, word in words.items())
    assert {last_liquid, first_crystal} <= {round(lam, 9) for lam in words}


def test_the_word_that_was_sampled_stays() -> None:
    """A file has a CF flag; one of an earlier version, or with a number that is none, is told from its order."""
    data = qernel.open(MODELS / "n6" / "observables.nc").isel(lam=0)
    assert stored_phase(data).word == "liquid"
    kept = data.assign(phase=((), *flag("undecided")))
    assert stored_phase(kept).word == "undecided" and "|ρ_K|²" in stored_phase(kept).why
    assert kept["phase"].attrs["flag_meanings"].split() == list(PHASES)
    assert stored_phase(data.assign(phase=((), np.int8(7)))).word == "liquid"
    assert stored_phase(data.drop_vars("order_parameter")) == Phase(
        "undecided", "no order that tells it is stored: observe density_order"
    )
    assert stored_phase(data.assign_attrs(V0=0.0)).word == "undecided"


def test_whatever_is_observed_the_file_says_the_phase() -> None:
    """From the positions, and in the table and the JSON that are made of the file."""
    state = qernel.load("n6").at(1.0)
    cell = state.model.hamiltonian.supercell
    drawn = Samples(crystals(cell, 6, 0.1), state.model.hamiltonian, state.point)
    data = joined([to_dataset(state, [], drawn, acceptance=0.5)], "lam")
    assert data["phase"].values.tolist() == [PHASES.index("crystal")] and "phase" not in measured(data)
    assert observed_table(data).splitlines()[1].split() == ["1", "crystal"]


def test_phase_diagrams_are_shaded_and_have_a_scale_in_meV() -> None:
    data = qernel.open(MODELS / "n6" / "observables.nc")
    upper, lower = draw("phase_diagram", data)[""].axes
    above = upper.child_axes[-1]
    assert above.get_xlabel() == "depth  (meV)"
    shown = [float(label.get_text()) for label in above.get_xticklabels()]
    np.testing.assert_allclose(shown, 15.0 * above.get_xticks(), rtol=5e-3)
    assert [text.get_text() for text in upper.texts] == ["liquid", "crystal"]
    edges = [patch.get_x() + patch.get_width() for patch in lower.patches if patch.get_alpha()]
    assert edges[0] == pytest.approx(1.075)
