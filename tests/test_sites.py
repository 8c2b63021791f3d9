"""Crystal orbitals against their definition, summed over lattice vectors one by one."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from ansatz_cases import FAMILY, SMALL
from qernel.errors import DamagedFile
from qernel.hamiltonian.family import Hamiltonian
from qernel.lattice import Supercell
from qernel.provenance import weights_digest
from qernel.training.tensors import fit
from qernel.wavefunction import build
from qernel.wavefunction.ansatz.lem import Lem
from qernel.wavefunction.orbitals.sites import SiteOrbitals

WIDTHS = np.array([0.19, 0.27, 0.38])
AMPLITUDES, HOPPING = np.array([0.2, 1.0, -0.1]), 0.17
CELL = Supercell(((3, 0), (0, 3)))


def system(electrons: int, cell: Supercell, twist: tuple[float, float] = (0.0, 0.0)) -> Hamiltonian:
    return replace(FAMILY, electrons=(electrons, 0), supercell=cell, twist=twist)


def orbitals(hamiltonian: Hamiltonian) -> SiteOrbitals:
    made = SiteOrbitals(hamiltonian, 0, dtype=jnp.float64)
    bases = (jnp.asarray(AMPLITUDES), jnp.asarray(HOPPING))
    return eqx.tree_at(lambda sites: (sites.amplitudes.base, sites.hopping.base), made, bases)


def by_definition(hamiltonian: Hamiltonian, r: Array, registry: int) -> Array:
    """All orbitals at one place r ``[2]``."""
    cell, twist = hamiltonian.supercell, hamiltonian.twist_momentum
    chosen = cell.crystal(registry, hamiltonian.count)
    lattice = np.array([*itertools.product(range(-5, 6), repeat=2)]) @ cell.vectors
    steps = np.array([[1, 0], [0, 1], [-1, 0], [0, -1], [1, -1], [-1, 1], [1, 1], [-1, -1]]) @ cell.primitive
    steps = steps[np.isclose(np.linalg.norm(steps, axis=1), 1.0)]
    assert len(steps) == 6
    overlaps = 2 * np.pi / (1 / WIDTHS[:, None] ** 2 + 1 / WIDTHS**2)
    weights = AMPLITUDES / np.sqrt(AMPLITUDES @ overlaps @ AMPLITUDES) * np.sqrt(cell.area)

    def around(site: np.ndarray) -> Array:
        square = ((r - site - lattice) ** 2).sum(1)
        gauss = jnp.exp(-square[:, None] / (2 * WIDTHS**2)) @ weights
        return (jnp.exp(1j * lattice @ twist) * gauss).sum()

    def is_empty(site: np.ndarray) -> bool:
        turns = (site - cell.translations[~chosen]) @ np.linalg.inv(cell.vectors)
        return bool(np.isclose(turns, np.rint(turns)).all(1).any())

    found = []
    for site in cell.translations[chosen]:
        beside = [around(site + step) for step in steps if is_empty(site + step)]
        assert len(beside) == (3 if 3 * hamiltonian.count == 2 * cell.cells else 6)
        found.append(around(site) + HOPPING * sum(beside))
    return jnp.stack(found)


@pytest.mark.parametrize(
    "hamiltonian",
    [
        system(6, CELL),
        system(3, CELL, (0.2, -0.35)),
        system(6, CELL, (0.5, 0.0)),
        system(8, Supercell(((2, 2), (-2, 4))), (1 / 3, 0.5)),
    ],
    ids=["Γ", "one third", "half a turn", "skew"],
)
def test_orbitals_are_what_they_are_defined_to_be(hamiltonian: Hamiltonian) -> None:
    places = jnp.asarray(np.random.default_rng(3).uniform(-2.0, 3.0, (hamiltonian.count, 2)))
    point, condition, registry = jnp.asarray([*hamiltonian.middle.values()]), jnp.zeros(0), 1
    made = orbitals(hamiltonian)
    found = made.expanded(places, point, condition, registry, real=hamiltonian.half_turns)
    if not hamiltonian.twisted:  # a complex ψ without a twist, which a configuration may ask for
        also = made.expanded(places, point, condition, registry, real=False)
        np.testing.assert_array_equal(also.value, found.value)

    def exact(r: Array) -> Array:
        values = by_definition(hamiltonian, r, registry)
        return jnp.concatenate([values.real, values.imag])

    functions = (exact, jax.jacfwd(exact), jax.jacfwd(jax.jacfwd(exact)))
    for part, function in zip(found, functions, strict=True):
        expected = np.asarray(jax.jit(jax.vmap(function))(places))
        half = expected.shape[1] // 2
        together = np.moveaxis(expected[:, :half] + 1j * expected[:, half:], (0, 1), (-2, -1))
        # Beyond the range of the images orbitals are nothing, 4e-10 of their largest.
        np.testing.assert_allclose(part, together, atol=1e-6 * np.abs(together).max())


def test_an_electron_in_an_empty_well_meets_no_tail() -> None:
    """Without t the local kinetic energy of an orbital there is that of a tail; with it that of a bound state."""
    hamiltonian = system(6, CELL)
    point, condition = jnp.asarray([*hamiltonian.middle.values()]), jnp.zeros(0)
    empty = jnp.asarray(CELL.translations[~CELL.crystal(0, 6)][:1] + 1e-3)
    kinetic = []
    for hopping in (0.0, HOPPING):
        sites = SiteOrbitals(hamiltonian, 0, dtype=jnp.float64)
        sites = eqx.tree_at(lambda sites: sites.hopping.base, sites, jnp.asarray(hopping))
        found = sites.expanded(empty, point, condition, 0, real=True)
        kinetic.append(np.asarray(-0.5 * jnp.trace(found.hessian) / found.value))
    assert kinetic[0].max() < -10.0 and kinetic[1].min() > 1.0


def test_models_of_before_do_not_hop() -> None:
    """A file without these arrays has zeros in them; one without others is not of this ansatz."""
    hamiltonian = system(6, CELL)
    model = SMALL.model_copy(update={"ansatz": "lem", "many_body_range": 2.0})
    template = eqx.filter(build(model, hamiltonian, key=jax.random.key(1), dtype=jnp.float32), eqx.is_inexact_array)
    leaves = jax.tree_util.tree_flatten_with_path(template)[0]
    tensors = {jax.tree_util.keystr(key, simple=True, separator="."): np.asarray(leaf) for key, leaf in leaves}
    assert set(Lem.later) < set(tensors) and tensors["sites.hopping.base"] > 0.0
    before = {name: tensor for name, tensor in tensors.items() if name not in Lem.later}
    read = fit(Path("a file"), before, template, Lem.later)
    assert float(read.sites.hopping.base) == 0.0 and not np.any(np.asarray(read.sites.hopping.slope))
    hopping = eqx.tree_at(lambda psi: psi.sites.hopping.base, read, jnp.asarray(0.1, jnp.float32))
    alone = [leaf for key, leaf in leaves if jax.tree_util.keystr(key, simple=True, separator=".") in before]
    assert weights_digest(read) == weights_digest(alone) != weights_digest(hopping)
    with pytest.raises(DamagedFile, match="other tensors"):
        fit(Path("a file"), before, template)
    with pytest.raises(DamagedFile, match="other tensors"):
        fit(Path("a file"), {name: before[name] for name in before if name != "dressing"}, template, Lem.later)
