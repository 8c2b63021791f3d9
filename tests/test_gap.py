"""The charge gap of Hartree–Fock: frozen orbitals by differences of energies, bands, and point charges."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from qernel.ask.gap import point_charges as closed_form
from qernel.config import load_config
from qernel.hamiltonian.bands import one_body_bands
from qernel.hamiltonian.family import Hamiltonian
from qernel.hartree_fock.gap import gap
from qernel.hartree_fock.search import lowest, search
from qernel.hartree_fock.solution import Solution

GATES = [[], ["system.interaction=dual_gate", "system.gate_distance=0.4"]]


def solved(*values: str, preset: str = "n2", cutoff: float = 40.0) -> tuple[Hamiltonian, Solution]:
    """The lowest solution of two electrons, unless told otherwise."""
    hamiltonian = load_config(preset, ["family.lam=1", *values], sections=("system", "family")).hamiltonian()
    (branches,) = search(hamiltonian, [1.0], cutoff=cutoff)
    return hamiltonian, lowest(branches)


@pytest.mark.parametrize("extra", GATES)
def test_with_frozen_orbitals_it_is_a_difference_of_energies(extra: list[str]) -> None:
    """E(N+1) + E(N−1) − 2E(N) of determinants, each by the functional itself; ½NUξ cancels."""
    _, state = solved(*extra)
    found, (orbitals,) = gap(state), state.orbitals
    matrix = state.field.fock(state.orbitals)[0]
    levels, vectors = np.linalg.eigh(matrix)
    empty = vectors[:, np.argmin(np.abs(levels - found.empty))]
    inside = orbitals.conj() @ matrix @ orbitals.T
    turned = np.linalg.eigh(inside)[1].T @ orbitals  # canonical orbitals, the highest last

    anything = replace(state.field, real=False)  # orbitals may have any phase

    def energy(block: Any) -> float:
        return anything.apply([block])[0].energy

    more, fewer = np.vstack([turned, empty]), turned[:-1]
    assert energy(more) + energy(fewer) - 2 * energy(turned) == pytest.approx(found.of_cell, abs=1e-4)
    shares = anything.apply(state.orbitals)[1][0]
    np.testing.assert_allclose(orbitals @ matrix.T, shares, atol=1e-10)


def test_without_interaction_it_is_that_of_the_bands() -> None:
    hamiltonian, state = solved("system.V0=4", "system.U=1e-9", preset="n6")
    bands = one_body_bands(hamiltonian, np.array([1.0]), 7, cutoff=40.0).energies
    assert gap(state).of_cell == pytest.approx(float(bands[6] - bands[5]), abs=1e-3)
    assert gap(state).image == pytest.approx(0.0, abs=1e-8)


def point_charges(hamiltonian: Hamiltonian, empty: Any, filled: Any) -> float:
    """What it costs in E0 to move one of the charges at ``filled`` to ``empty``, far away from where it was."""
    values = hamiltonian.numbers(np.array([1.0]))
    first, others = filled[0], filled[1:]

    def potential(place: Any, charges: Any) -> float:
        return values["U"] * float(np.sum(np.asarray(hamiltonian.interaction.shape(place - charges, values))))

    isolated = -values["U"] * np.log(2.0) / values["gate_distance"] if "gate_distance" in values else 0.0
    images = float(hamiltonian.interaction.self_image(values)) - isolated
    return potential(empty, np.asarray(filled)) - potential(first, np.asarray(others)) - images


@pytest.mark.parametrize("gates", GATES)
def test_point_charges_have_the_same_in_every_cell(gates: list[str]) -> None:
    """The honeycomb of √3×√3 cells and of 3×3 cells; without the images they differ by many E0."""
    first, second = np.array([1.0, 0.0]), np.array([0.5, np.sqrt(3) / 2])
    small, _ = solved(*gates)
    large = load_config("n6", gates, sections=("system", "family")).hamiltonian()
    honeycomb = [(i * first + j * second) for i in range(3) for j in range(3) if (i - j) % 3 != 2]
    empty = next(i * first + j * second for i in range(3) for j in range(3) if (i - j) % 3 == 2)
    root = [0 * first, first]
    assert len(honeycomb) == 6
    one, other = point_charges(small, 2 * first, root), point_charges(large, empty, honeycomb)
    assert one == pytest.approx(other, rel=1e-6)
    values = small.numbers(np.array([1.0]))
    assert closed_form(values["U"], values.get("gate_distance")) == pytest.approx(one, rel=1e-6)
    third = load_config("n3", gates, sections=("system", "family")).hamiltonian()
    left_out = [i * first + j * second for i in range(3) for j in range(3) if (i - j) % 3 == 2]
    assert point_charges(third, 0 * first, left_out) == pytest.approx(one, rel=1e-6)


@pytest.mark.parametrize("gates", GATES)
def test_in_deep_wells_it_is_that_of_point_charges(gates: list[str]) -> None:
    hamiltonian, state = solved("system.V0=300", "system.phase_deg=0", "system.U=10", *gates, cutoff=400.0)
    found, first = gap(state), np.array([1.0, 0.0])
    assert state.kind == "crystal"
    # Charges spread over σ² = 1/2ω with ω about 90 E0, which lowers the gap of points by some ½Uσ²∇²v of a neighbour.
    assert found.value == pytest.approx(point_charges(hamiltonian, 2 * first, [0 * first, first]), abs=0.02 * 10)
    assert found.image < -0.2 * found.value, "a cell this small takes away much of it"
