"""Growing a network from a smaller one: Hartree–Fock orbitals stay what the network knows them as."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import ortho_group, unitary_group

from ansatz_cases import FAMILY, SQRT3
from qernel.hamiltonian.family import Hamiltonian
from qernel.wavefunction.orbitals.chebyshev import Series, chebyshev_fit
from qernel.wavefunction.orbitals.hartree_fock import HartreeFockOrbitals

CASES = {
    "real": (replace(FAMILY, electrons=(6, 0), ranges=((0.5, 1.3),)), 2),
    "twisted": (replace(FAMILY, electrons=(3, 0), supercell=SQRT3, twist=(0.2, -0.35)), 1),
    "spinful": (replace(FAMILY, electrons=(2, 1), supercell=SQRT3), 1),
}


@pytest.fixture(scope="module")
def study() -> Any:
    path = Path(__file__).parents[1] / "studies" / "grow.py"
    spec = importlib.util.spec_from_file_location("grow", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("case", CASES)
def test_orbitals_are_brought_back(study: Any, case: str) -> None:
    """From another place, mixed among themselves, in a larger basis."""
    family, determinants = CASES[case]
    old = started(family, determinants, cutoff=30.0, order=2)
    new = started(family, determinants, cutoff=45.0, order=2)
    cell, rng = family.supercell, np.random.default_rng(5)
    row = {tuple(turn): index for index, turn in enumerate(new.turns.tolist())}
    known = np.array([row[tuple(turn)] for turn in old.turns.tolist()])
    low, high = family.ranges[0]
    lam = 0.5 * (low + high) + 0.5 * (high - low) * np.cos(np.pi * (np.arange(2) + 0.5) / 2)
    tables, wanted = [], []
    for spin in range(len(old.amplitudes)):
        z = study.amplitudes(old, spin, lam)
        padded = np.zeros((*z.shape[:-1], len(new.turns)), complex)
        padded[..., known] = z
        wanted.append(padded.copy())
        for place in np.ndindex(z.shape[:2]):
            shift = cell.translations[rng.integers(1, cell.cells)]
            rotations: Any = unitary_group if new.complex else ortho_group
            rotation = rotations.rvs(z.shape[2], random_state=rng) if z.shape[2] > 1 else np.ones((1, 1))
            phases = np.exp(-1j * (new.turns @ cell.reciprocal) @ shift)
            padded[place] = rotation @ (padded[place] * phases)
        parts = [padded.real, padded.imag if new.complex else -padded.imag]
        tables.append(jnp.asarray(chebyshev_fit(np.moveaxis(np.stack(parts, axis=1), -1, 2))))
    disguised = eqx.tree_at(lambda o: o.amplitudes, new, tables)
    found = study.as_before(disguised, old)
    for spin, expected in enumerate(wanted):
        assert np.abs(study.amplitudes(disguised, spin, lam) - expected).max() > 0.1
        np.testing.assert_allclose(study.amplitudes(found, spin, lam), expected, atol=1e-9)


def started(family: Hamiltonian, determinants: int, *, cutoff: float, order: int) -> HartreeFockOrbitals:
    options: Any = {"cutoff": cutoff, "complex": any(family.twist), "dtype": jnp.float64}
    return HartreeFockOrbitals(Series(family, ("lam",), (order,)), determinants, **options).started()
