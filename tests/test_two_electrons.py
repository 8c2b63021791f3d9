"""Other interactions and lattices against exact and Hartree–Fock energies of two electrons from independent code.

`studies/exact/two_electrons.py` imports nothing of Qernel: matrix elements of v(q), ξ from plain sums over the lattice.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from qernel.config import Config, load_config
from qernel.hamiltonian.mixture import PeriodicMixture
from qernel.hamiltonian.terms import interactions
from qernel.hartree_fock.basis import PlaneWaves
from qernel.hartree_fock.functional import MeanField
from qernel.hartree_fock.search import lowest, search
from qernel.lattice import Supercell
from scripts import script
from term_cases import quick

EXACT = Path(__file__).parents[1] / "studies" / "exact"
STORED: dict[str, dict[str, Any]] = {
    case["name"]: case for case in json.loads((EXACT / "two_electrons.json").read_text("utf-8"))["cases"]
}
LENGTHS = {"yukawa": "screening_length", "rytova_keldysh": "r0", "dipolar": "layer_distance"}


@cache
def oracle() -> ModuleType:
    """The script, as a module."""
    return script("studies/exact/two_electrons.py")


def configuration(name: str, **sections: Any) -> Config:
    """A stored case as a configuration of Qernel."""
    case = STORED[name]
    system = {
        "electrons": 2,
        "supercell": case["supercell"],
        "lattice": case["lattice"],
        "U": case["U"],
        "interaction": case["interaction"],
        "potential": [
            {"wave": wave, "amplitude": amplitude, "phase_deg": phase} for wave, amplitude, phase in case["waves"]
        ],
    }
    if case["interaction"] in LENGTHS:
        system[LENGTHS[case["interaction"]]] = case["length"]
    return load_config({"system": system, "family": {"lam": 1.0}, **sections})


@pytest.mark.parametrize("lattice", ["triangular", "square"])
@pytest.mark.parametrize("name", LENGTHS)
def test_self_images_equal_plain_sums_over_the_lattice(name: str, lattice: str) -> None:
    """e^{−R/ℓ}/R summed; the potential of a lattice above itself; F(R/r0)/r0 − 1/R with its tail as an integral."""
    cell = Supercell(((2, 1), (0, 1)), lattice)
    kernel = PeriodicMixture(cell, interactions()[name]())  # type: ignore[arg-type]
    xi = quick(kernel.self_image)
    for length in (0.05, 1.0):
        expected = oracle().self_image(name, length, cell.vectors)
        assert float(xi({LENGTHS[name]: length})) == pytest.approx(expected, abs=2e-10)


def test_yukawa_of_a_configuration_of_six_electrons() -> None:
    """Plain sum over 30 cells in each direction, with U of the default material."""
    cell, strength = Supercell(((3, 0), (0, 3))), 10.623473362015782
    x = np.random.default_rng(0).random((6, 2)) @ cell.vectors
    index = np.stack(np.meshgrid(*[np.arange(-15, 16)] * 2), -1).reshape(-1, 2) @ cell.vectors
    distances = np.linalg.norm(x[:, None, None] - x[None, :, None] + index, axis=-1)
    pairs = sum((np.exp(-distances[i, j]) / distances[i, j]).sum() for i in range(6) for j in range(i))
    images = np.linalg.norm(index[index.any(1)], axis=1)
    xi = (np.exp(-images) / images).sum() - 2 * np.pi / cell.area - 1
    expected = strength * ((pairs - 15 * 2 * np.pi / cell.area) / 6 + 0.5 * xi)
    system = {"electrons": 6, "supercell": [[3, 0], [0, 3]], "U": strength, "V0": 0.0, "interaction": "yukawa"}
    family = load_config({"system": {**system, "screening_length": 1.0}}).hamiltonian()
    found = float(quick(family.potential)(jnp.asarray(x), jnp.ones(1)).interaction) / 6
    assert found == pytest.approx(expected, abs=1e-11)
    assert found == pytest.approx(-10.5951, abs=5e-5)
    alone = strength * (pairs / 6 + 0.5 * ((np.exp(-images) / images).sum() - 1))
    assert alone - found == pytest.approx(np.pi * 6 / cell.area * strength, abs=1e-10), "without a background"


@pytest.mark.parametrize("name", STORED)
def test_the_hartree_fock_functional_equals_the_energy_in_all_pairs(name: str) -> None:
    """Of random orbitals, with a grid that carries every product of two."""
    case = next(case for case in oracle().CASES if case.name == name)
    problem = oracle().TwoElectrons(case, 30.0, each=True)
    family = configuration(name).hamiltonian()
    basis = PlaneWaves(family.supercell, 30.0, oversampling=2.0)
    rng = np.random.default_rng(5)
    orbitals = np.linalg.qr((rng.normal(size=(2, len(basis.turns), 2)) @ [1, 1j]).T)[0].T
    energy = MeanField(family, np.ones(1), basis).apply([orbitals])[0].energy
    # The same waves in the order and in the vectors of the script.
    theirs = {tuple(row): index for index, row in enumerate(problem.waves.tolist())}
    turns = np.rint(basis.momenta @ case.vectors.T / (2 * np.pi)).astype(int)
    c = np.zeros((2, len(problem.waves)), complex)
    c[:, [theirs[tuple(row)] for row in turns.tolist()]] = orbitals
    pairs = c[0, problem.first] * c[1, problem.second] - c[0, problem.second] * c[1, problem.first]
    expected = np.vdot(pairs, problem.matrix() @ pairs).real + problem.constant
    assert energy == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", STORED)
def test_hartree_fock_finds_the_independent_minimum(name: str) -> None:
    """Of 24 random starts there, and of the starts of Qernel here."""
    stored = STORED[name]["hartree_fock"]
    found = lowest(search(configuration(name).hamiltonian(), [1.0], cutoff=stored["cutoff"])[0])
    assert 2 * found.energy == pytest.approx(stored["energy"], abs=1e-6)


@pytest.mark.parametrize("name", STORED)
def test_stored_energies_are_those_of_the_script(name: str) -> None:
    """The lowest cut-off again; the others fall towards the exact energy."""
    case, stored = next(case for case in oracle().CASES if case.name == name), STORED[name]["exact"]
    ladder, cutoff = stored["energies"], stored["cutoffs"][0]
    momenta = range(len(oracle().TwoElectrons(case, cutoff).momenta))
    problems = [oracle().TwoElectrons(case, cutoff, momentum) for momentum in momenta]
    ground = min(np.linalg.eigvalsh(problem.matrix())[0] + problem.constant for problem in problems)
    assert ground == pytest.approx(ladder[0], abs=1e-9)
    assert np.all(np.diff(ladder) < 0) and 0 < stored["uncertainty"] < 2e-4
