"""The Hamiltonian family: what each parameter multiplies, symmetries, and sums written out pair by pair."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from families import AtGate, changed
from families import family as family_of
from families import kernel as kernel_of
from qernel.hamiltonian.family import Hamiltonian, Potential
from qernel.hartree_fock import mean_field
from qernel.hartree_fock.classical import wells
from qernel.lattice import FloatArray, Supercell
from qernel.sampling.starts import registry_positions
from qernel.units import Material

THREE = Supercell(((3, 0), (0, 3)))
MATERIAL = Material()
FAMILY = family_of(THREE, (6, 0), V0=MATERIAL.V0, U=MATERIAL.U, phase_deg=45.0, ranges=((0.3, 1.6),))
GATED = changed(FAMILY, interaction="dual_gate", gate_distance=0.8)
POSITIONS = np.random.default_rng(21).uniform(0, 1, (6, 2)) @ THREE.vectors


@partial(jax.jit, static_argnums=0)
def compiled(family: Hamiltonian, positions: Array, point: Array) -> Potential:
    """One compilation for each family and shape, shared by the tests."""
    return family.potential(positions, point)


def potential(family: Hamiltonian, positions: Any, point: list[float]) -> Potential:
    """Moiré and interaction energy in double precision."""
    return compiled(family, jnp.asarray(positions), jnp.asarray(point))


def moire_sum(positions: FloatArray, phase_deg: float) -> float:
    """Σ_i w(r_i) from the definition, one cosine at a time."""
    total = 0.0
    for x, y in positions:
        for degrees in (90, 210, 330):
            along = x * np.cos(np.deg2rad(degrees)) + y * np.sin(np.deg2rad(degrees))
            total -= 2 * np.cos(4 * np.pi / np.sqrt(3) * along + np.deg2rad(phase_deg))
    return total


def pair_sum(positions: FloatArray, kernel: AtGate, gate: float = 1.0) -> float:
    """Σ_{i<j} v(r_i − r_j) + ½Nξ, one pair at a time."""
    value = jax.jit(kernel)
    pairs = [float(value(jnp.asarray(a - b), gate)) for a, b in combinations(positions, 2)]
    return sum(pairs) + 0.5 * len(positions) * float(kernel.self_image(gate))


def agree(first: Potential, second: Potential, rel: float = 1e-12) -> None:
    """Both parts of the potential energy agree."""
    assert float(first.moire) == pytest.approx(float(second.moire), rel=rel)
    assert float(first.interaction) == pytest.approx(float(second.interaction), rel=rel)


@pytest.mark.parametrize("lam", [0.3, 1.0, 1.6])
def test_moire_energy_is_lambda_times_depth_times_the_sum(lam: float) -> None:
    result = potential(FAMILY, POSITIONS, [lam])
    assert float(result.moire) == pytest.approx(lam * MATERIAL.V0 * moire_sum(POSITIONS, 45.0), rel=1e-12)


@pytest.mark.parametrize("family", [FAMILY, GATED])
def test_interaction_is_the_pair_sum_with_the_self_image_term(family: Hamiltonian) -> None:
    gate = family.constants.get("gate_distance", 1.0)
    kernel = kernel_of(THREE, family.terms[1].name, gate)
    expected = MATERIAL.U * pair_sum(POSITIONS, kernel, gate)
    assert float(potential(family, POSITIONS, [1.0]).interaction) == pytest.approx(expected, rel=1e-12)


def test_lambda_changes_the_depth_and_nothing_else() -> None:
    weak, strong, none = (potential(FAMILY, POSITIONS, [lam]) for lam in (0.7, 1.4, 0.0))
    assert float(strong.moire) == pytest.approx(2 * float(weak.moire), rel=1e-14)
    assert float(none.moire) == 0.0
    assert float(strong.interaction) == float(weak.interaction) == float(none.interaction)
    slope = jax.jit(jax.grad(lambda p: sum(FAMILY.potential(jnp.asarray(POSITIONS), p))))(jnp.asarray([0.9]))
    assert float(slope[0]) == pytest.approx(MATERIAL.V0 * moire_sum(POSITIONS, 45.0), rel=1e-12)


def test_U_multiplies_the_whole_interaction_and_nothing_else() -> None:
    base, double = (
        potential(FAMILY, POSITIONS, [1.0]),
        potential(changed(FAMILY, U=2 * FAMILY.constants["U"]), POSITIONS, [1.0]),
    )
    assert float(double.interaction) == pytest.approx(2 * float(base.interaction), rel=1e-14)
    assert float(double.moire) == float(base.moire)
    assert float(potential(changed(FAMILY, U=0.0), POSITIONS, [1.0]).interaction) == 0.0


@pytest.mark.parametrize(("lattice", "constant"), [("triangular", -1.1061026), ("square", -1.1002445)])
@pytest.mark.parametrize("side", [1, 3])
def test_electrons_on_every_lattice_site_are_a_wigner_crystal(
    reference: dict[str, Any], lattice: str, constant: float, side: int
) -> None:
    """The same energy per electron from one electron in one cell and from nine in nine cells."""
    cell = Supercell(((side, 0), (0, side)), lattice)
    family = family_of(cell, (cell.cells, 0), V0=0.0, U=3.0, phase_deg=0.0)
    rs = np.sqrt(cell.area / cell.cells / np.pi)
    energy = float(potential(family, cell.translations + 0.3, [1.0]).interaction) / cell.cells * rs / 3.0
    assert energy == pytest.approx(constant, abs=1e-7)
    assert energy == pytest.approx(reference["madelung"][f"{lattice}_wigner_energy_per_e_times_rs"], rel=1e-13)


@pytest.mark.parametrize("family", [FAMILY, GATED])
def test_invariant_when_any_one_electron_moves_by_a_supercell_vector(family: Hamiltonian) -> None:
    base = potential(family, POSITIONS, [1.2])
    for electron in range(6):
        moved = POSITIONS.copy()
        moved[electron] += np.array([2, -1]) @ THREE.vectors
        agree(potential(family, moved, [1.2]), base)


def test_invariant_under_permutations_and_moire_translations() -> None:
    base = potential(FAMILY, POSITIONS, [1.2])
    agree(potential(FAMILY, POSITIONS[[3, 0, 5, 1, 4, 2]], [1.2]), base)
    for shift in THREE.translations[1:]:
        agree(potential(FAMILY, POSITIONS + shift, [1.2]), base)


def test_interaction_is_invariant_under_any_common_shift_and_the_moire_energy_is_not() -> None:
    base, moved = potential(FAMILY, POSITIONS, [1.0]), potential(FAMILY, POSITIONS - 0.21, [1.0])
    assert float(moved.interaction) == pytest.approx(float(base.interaction), rel=1e-12)
    assert abs(float(moved.moire) - float(base.moire)) > 1e-2


def test_independent_of_the_supercell_matrix() -> None:
    other = replace(FAMILY, supercell=Supercell(((3, 3_000_000), (0, -3))))
    np.testing.assert_array_equal(potential(other, POSITIONS, [1.1]), potential(FAMILY, POSITIONS, [1.1]))


def test_spin_does_not_enter_the_potential_energy() -> None:
    mixed = replace(FAMILY, electrons=(4, 2))
    assert mixed.count == 6
    np.testing.assert_array_equal(potential(mixed, POSITIONS, [1.1]), potential(FAMILY, POSITIONS, [1.1]))


def test_one_electron_interacts_with_its_own_images_only(reference: dict[str, Any]) -> None:
    family = replace(FAMILY, electrons=(1, 0))
    expected = 0.5 * MATERIAL.U * reference["madelung"]["xi_by_cell"]["3x3"]
    assert float(potential(family, POSITIONS[:1], [1.0]).interaction) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(
    ("name", "value", "interaction"),
    [
        ("U", 7.5, "coulomb"),
        ("phase_deg", 12.0, "coulomb"),
        ("gate_distance", 1.3, "dual_gate"),
        ("gate_distance", 0.6, "single_gate"),
    ],
)
def test_a_conditioned_quantity_equals_the_constant(name: str, value: float, interaction: str) -> None:
    """The gated sums of the two are cut at different momenta, both below 1e-16."""
    constants = {"interaction": interaction, "gate_distance": None if interaction == "coulomb" else 0.5}
    base = changed(FAMILY, **constants)
    conditioned = replace(base, parameters=("lam", name), ranges=((0.3, 1.6), (0.5, 20.0)))
    agree(potential(conditioned, POSITIONS, [0.8, value]), potential(changed(base, **{name: value}), POSITIONS, [0.8]))


def test_all_parameters_at_once_in_any_order() -> None:
    family = replace(
        GATED,
        parameters=("lam", "gate_distance", "phase_deg", "U"),
        ranges=((0.3, 1.6), (0.5, 3.0), (0.0, 60.0), (1.0, 20.0)),
    )
    fixed = changed(GATED, gate_distance=0.9, phase_deg=30.0, U=5.0)
    agree(potential(family, POSITIONS, [1.3, 0.9, 30.0, 5.0]), potential(fixed, POSITIONS, [1.3]))


def test_derivatives_by_U_and_phase() -> None:
    """∂H/∂U is the bare interaction; ∂H/∂φ (per degree) is 2λV0 Σ sin(g·r + φ) π/180."""
    family = replace(FAMILY, parameters=("lam", "U", "phase_deg"), ranges=((0.3, 1.6), (1.0, 20.0), (0.0, 60.0)))
    point = jnp.asarray([1.1, 6.0, 33.0])
    slopes = jax.jit(jax.jacobian(lambda p: family.potential(jnp.asarray(POSITIONS), p)))(point)
    per_u = pair_sum(POSITIONS, kernel_of(THREE))
    assert float(slopes.interaction[1]) == pytest.approx(per_u, rel=1e-12)
    per_degree = 1.1 * MATERIAL.V0 * moire_sum(POSITIONS, 33.0 + 90.0) * np.pi / 180
    assert float(slopes.moire[2]) == pytest.approx(per_degree, rel=1e-12)
    assert float(slopes.interaction[0]) == float(slopes.interaction[2]) == float(slopes.moire[1]) == 0.0


def test_value_reads_the_point_or_the_constant() -> None:
    family = replace(FAMILY, parameters=("lam", "U"), ranges=((0.3, 1.6), (1.0, 20.0)))
    point = jnp.asarray([0.4, 9.0])
    assert [float(family.value(n, point)) for n in ("lam", "U", "phase_deg")] == [pytest.approx(0.4), 9.0, 45.0]


def test_scaled_maps_each_training_range_to_minus_one_and_one() -> None:
    family = replace(FAMILY, parameters=("lam", "U", "phase_deg"), ranges=((0.3, 1.6), (4.0, 12.0), (45.0, 45.0)))
    low, middle, high = (family.scaled(jnp.asarray(p)) for p in ([0.3, 4, 45], [0.95, 8, 45], [1.6, 12, 45]))
    np.testing.assert_allclose(low, [-1, -1, 0], atol=1e-14)
    np.testing.assert_allclose(middle, 0, atol=1e-14)
    np.testing.assert_allclose(high, [1, 1, 0], atol=1e-14)


def test_twist_momentum_gives_the_phase_across_each_supercell_vector() -> None:
    twist = (0.15, -0.4)
    momentum = replace(FAMILY, twist=twist).twist_momentum
    np.testing.assert_allclose(THREE.vectors @ momentum, 2 * np.pi * np.array(twist), atol=1e-13)
    np.testing.assert_array_equal(FAMILY.twist_momentum, 0.0)


@pytest.mark.parametrize(("cells", "electrons", "name"), [(3, 6, "coulomb"), (6, 24, "coulomb"), (6, 24, "dual_gate")])
def test_single_precision_is_accurate_to_1e_5(cells: int, electrons: int, name: str) -> None:
    """At the same float32 positions and parameters."""
    cell = Supercell(((cells, 0), (0, cells)))
    gate = None if name == "coulomb" else 1.0
    family = changed(FAMILY, supercell=cell, electrons=(electrons, 0), interaction=name, gate_distance=gate)
    positions = (np.random.default_rng(3).uniform(0, 1, (electrons, 2)) @ cell.vectors).astype(np.float32)
    single = compiled(family, jnp.asarray(positions), jnp.asarray([1.25], jnp.float32))
    assert single.moire.dtype == single.interaction.dtype == jnp.float32
    agree(single, potential(family, positions.astype(float), [1.25]), rel=1e-5)


def test_batches_over_walkers_and_points() -> None:
    walkers = np.stack([POSITIONS, POSITIONS[::-1] + 0.1])
    points = jnp.asarray([[0.5], [1.5]])
    batch = jax.jit(jax.vmap(FAMILY.potential))(jnp.asarray(walkers), points)
    for i in range(2):
        agree(Potential(batch.moire[i], batch.interaction[i]), potential(FAMILY, walkers[i], [float(points[i, 0])]))


def test_equal_families_are_equal_and_hash_alike() -> None:
    """So that a family can be a static argument of a compiled function."""
    twin = family_of(Supercell(((3, 0), (0, 3))), (6, 0), V0=MATERIAL.V0, U=MATERIAL.U, ranges=((0.3, 1.6),))
    assert twin == FAMILY
    assert hash(twin) == hash(FAMILY)
    assert changed(FAMILY, U=1.0) != FAMILY
    assert changed(FAMILY, interaction="dual_gate", gate_distance=2.0) != GATED


def test_a_gated_family_without_a_distance_is_refused() -> None:
    with pytest.raises(ValueError, match="constants lack gate_distance"):
        changed(FAMILY, interaction="single_gate")


def test_what_takes_one_value_for_the_family_takes_the_middle() -> None:
    """Whatever constants were given: the wells of crystals, of walkers and of Hartree–Fock are those of the middle."""
    parameters = ("lam", "U", "phase_deg", "gate_distance")
    ranges = ((0.3, 1.6), (2.0, 6.0), (170.0, 190.0), (0.5, 2.5))
    family = replace(GATED, parameters=parameters, ranges=ranges)
    assert (family.constants["U"], family.constants["phase_deg"], family.constants["gate_distance"]) == (
        4.0,
        180.0,
        1.5,
    )
    ((_, kernel),) = family.interaction.terms
    assert kernel.shortest == 0.5
    assert replace(family, parameters=("lam",), ranges=((1.0, 1.0),)).constants["phase_deg"] == 180.0

    def depths(positions: FloatArray) -> list[float]:
        return [moire_sum(position[None], 180.0) for position in positions.reshape(-1, 2)]

    middle = np.array([list(family.middle.values())])
    assert max(depths(registry_positions(family, middle, 3, seed=1))) < -1.0, "around wells, not on top of hills"
    np.testing.assert_allclose(
        depths(wells(family, mean_field(family, 1.0, 20.0).values).level),
        -3.0,
        atol=1e-9,
    )
