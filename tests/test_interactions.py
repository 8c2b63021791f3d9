"""Periodic interactions against closed forms, regulated Fourier sums and sums over image charges.

None of the oracles uses Ewald's splitting, the reduced supercell basis or the form factors of the module.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from scipy.special import k0

from families import AtGate
from families import kernel as interaction
from lattice_sums import basis_of, fourier_sum, points_within
from qernel.errors import QernelError
from qernel.hamiltonian.ewald import Ewald, Screened
from qernel.hamiltonian.terms import gates
from qernel.lattice import FloatArray, Supercell
from qernel.primitive import LATTICES

Matrix = tuple[tuple[int, int], tuple[int, int]]

PRIMITIVE: Matrix = ((1, 0), (0, 1))
SQRT3: Matrix = ((1, 1), (-1, 2))
CELLS: list[tuple[Matrix, str]] = [
    (PRIMITIVE, "triangular"),
    (SQRT3, "triangular"),
    (((1, 0), (1, 4)), "triangular"),
    (((2, 1), (0, 2)), "square"),
]
FORM_FACTORS: dict[str, Callable[[FloatArray, float], FloatArray]] = {
    "coulomb": lambda q, d: np.ones_like(q),
    "dual_gate": lambda q, d: np.tanh(q * d),
    "single_gate": lambda q, d: 1 - np.exp(-2 * q * d),
}
GATE = 0.45
# Away from the charges at the lattice points: in the cell, near a charge, and in other cells.
POSITIONS = np.array([[0.31, 0.22], [-0.27, 0.41], [0.5, -2.2], [7.13, 3.4]])


def between_plates(r: FloatArray, gate: float) -> FloatArray:
    """Potential of a charge midway between two grounded plates at distance d: (2/d) Σ_odd K0(nπr/2d).

    The terms left out, n > 300, are below e^{−50} for r > d/10.
    """
    n = np.arange(1, 300, 2)
    total: FloatArray = 2 / gate * k0(np.pi * n * np.asarray(r)[..., None] / (2 * gate)).sum(-1)
    return total


def alternating_sum(term: Callable[[FloatArray], FloatArray], order: int = 40) -> float:
    """Σ_{k≥0} (−1)^k term(k) by Cohen, Rodriguez Villegas and Zagier's acceleration: error 5.8^−order."""
    total, scale = 0.0, (3 + np.sqrt(8)) ** order
    scale = (scale + 1 / scale) / 2
    b, c = -1.0, -scale
    values = term(np.arange(order, dtype=float))
    for k in range(order):
        c = b - c
        total += c * values[k]
        b *= (k + order) * (k - order) / ((k + 0.5) * (k + 1))
    return float(total / scale)


@partial(jax.jit, static_argnums=0)
def compiled(kernel: AtGate, positions: Array, gate: float) -> Array:
    """One compilation for each kernel and shape, shared by the tests."""
    return kernel(positions, gate)


def evaluate(kernel: AtGate, positions: Any, gate: float = 1.0) -> FloatArray:
    """v at positions ``[..., 2]``, as a NumPy array; evaluated in blocks of four, so that shapes repeat."""
    flat = np.asarray(positions, float).reshape(-1, 2)
    padded = np.concatenate([flat, np.full((-len(flat) % 4, 2), 0.1)]).reshape(-1, 4, 2)
    values = np.concatenate([np.asarray(compiled(kernel, jnp.asarray(block), gate)) for block in padded])
    return values[: len(flat)].reshape(np.shape(positions)[:-1])


# Madelung constants -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "matrix"),
    [("1x1", PRIMITIVE), ("sqrt3", SQRT3)] + [(f"{n}x{n}", ((n, 0), (0, n))) for n in (3, 6, 9)],
)
def test_madelung_constant_matches_the_reference(reference: dict[str, Any], name: str, matrix: Matrix) -> None:
    xi = interaction(Supercell(matrix)).self_image()
    assert float(xi) == pytest.approx(reference["madelung"]["xi_by_cell"][name], rel=2e-14)


@pytest.mark.parametrize(("lattice", "printed"), [("triangular", -1.1061026), ("square", -1.1002445)])
def test_wigner_crystal_energy(reference: dict[str, Any], lattice: str, printed: float) -> None:
    """½ξ per electron with π r_s² the area of the cell. The literature digits: physics texts print the
    square one as −1.1002445 although it is −1.10024442, hence one unit of the last digit."""
    cell = Supercell(PRIMITIVE, lattice)
    energy = 0.5 * float(interaction(cell).self_image()) * np.sqrt(cell.area / np.pi)
    assert energy == pytest.approx(printed, abs=1e-7)
    exact = reference["madelung"][f"{lattice}_wigner_energy_per_e_times_rs"]
    assert energy == pytest.approx(exact, rel=2e-14)


def test_madelung_constants_equal_their_dirichlet_series() -> None:
    """Σ'|R|^{−2s} at s = ½: 4 ζ(s) β(s) for the square, 6 ζ(s) L_{−3}(s) for the triangular lattice."""
    zeta = alternating_sum(lambda k: (k + 1) ** -0.5) / (1 - 2**0.5)
    beta = alternating_sum(lambda k: (2 * k + 1) ** -0.5)
    mod3 = alternating_sum(lambda k: (3 * k + 1) ** -0.5 + (3 * k + 2) ** -0.5) / (1 + 2**0.5)
    square = interaction(Supercell(PRIMITIVE, "square")).self_image()
    triangular = interaction(Supercell(PRIMITIVE, "triangular")).self_image()
    assert float(square) == pytest.approx(4 * zeta * beta, rel=1e-13)
    assert float(triangular) == pytest.approx(6 * zeta * mod3, rel=1e-13)


# Against independent sums -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("matrix", "lattice"), CELLS)
@pytest.mark.parametrize("name", FORM_FACTORS)
def test_equals_the_regulated_fourier_sum(name: str, matrix: Matrix, lattice: str) -> None:
    basis = basis_of(matrix, lattice)
    kernel = interaction(Supercell(matrix, lattice), name, None if name == "coulomb" else GATE)
    form = FORM_FACTORS[name]
    expected = [fourier_sum(r, basis, lambda q: 2 * np.pi / q * form(q, GATE)) for r in POSITIONS]
    np.testing.assert_allclose(evaluate(kernel, POSITIONS, GATE), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("matrix", "lattice"), CELLS)
@pytest.mark.parametrize("gate", [0.3, 1.1])
def test_dual_gate_equals_the_sum_over_charges_between_grounded_plates(
    matrix: Matrix, lattice: str, gate: float
) -> None:
    """Σ_R φ(|r + R|) − 2πd/A, the last being the removed q = 0 component; φ falls as e^{−πr/2d}.

    For ξ, φ(r) − 1/r → −(ln 2)/d, the alternating sum of a charge's own images at distances 2d, 4d, …
    """
    basis = basis_of(matrix, lattice)
    cell = Supercell(matrix, lattice)
    kernel = interaction(cell, "dual_gate", gate)
    charges = points_within(basis, 25 * gate + 9)
    removed = 2 * np.pi * gate / cell.area
    expected = [between_plates(np.linalg.norm(r - charges, axis=1), gate).sum() - removed for r in POSITIONS]
    np.testing.assert_allclose(evaluate(kernel, POSITIONS, gate), expected, rtol=0, atol=2e-13)
    distance = np.linalg.norm(charges, axis=1)
    xi = between_plates(distance[distance > 0], gate).sum() - removed - np.log(2) / gate
    assert float(kernel.self_image(gate)) == pytest.approx(xi, abs=2e-13)


def test_single_gate_is_bare_minus_the_potential_of_images_at_twice_the_distance() -> None:
    """Images far below are a regulated sum by themselves: (1/A) Σ (2π/q) e^{−2qd} e^{iq·r}, also for ξ."""
    cell = Supercell(SQRT3)
    bare, gated = interaction(cell), interaction(cell, "single_gate", GATE)
    waves = points_within(2 * np.pi * np.linalg.inv(basis_of(SQRT3, "triangular")).T, 20 / GATE)
    length = np.linalg.norm(waves, axis=1)
    waves, length = waves[length > 1e-9], length[length > 1e-9]
    weight = 2 * np.pi / length * np.exp(-2 * length * GATE) / cell.area
    images = np.cos(POSITIONS @ waves.T) @ weight
    expected = evaluate(bare, POSITIONS) - images
    np.testing.assert_allclose(evaluate(gated, POSITIONS, GATE), expected, rtol=0, atol=1e-13)
    assert float(gated.self_image(GATE)) == pytest.approx(float(bare.self_image()) - weight.sum(), abs=1e-13)


@pytest.mark.parametrize("name", ["dual_gate", "single_gate"])
def test_distant_gates_leave_the_bare_interaction(name: str) -> None:
    """The largest missing term is of the order of e^{−2qd}, here e^{−98} on the first reciprocal shell."""
    cell = Supercell(SQRT3)
    bare, gated = interaction(cell), interaction(cell, name, 1.0)
    np.testing.assert_allclose(evaluate(gated, POSITIONS, 12.0), evaluate(bare, POSITIONS), rtol=0, atol=1e-14)
    assert float(gated.self_image(12.0)) == pytest.approx(float(bare.self_image()), abs=1e-14)
    far = interaction(cell, name, 1e4)
    np.testing.assert_array_equal(evaluate(far, POSITIONS, 1e4), evaluate(bare, POSITIONS))


@pytest.mark.parametrize("name", ["dual_gate", "single_gate"])
def test_a_kernel_resolved_for_closer_gates_gives_the_same(name: str) -> None:
    """Gate distances are parameters: the sum for the smallest one serves them all."""
    cell = Supercell(SQRT3)
    exact, fine = interaction(cell, name, GATE), interaction(cell, name, GATE / 3)
    expected = evaluate(exact, POSITIONS, GATE)
    np.testing.assert_allclose(evaluate(fine, POSITIONS, GATE), expected, rtol=0, atol=1e-13)
    assert float(fine.self_image(GATE)) == pytest.approx(float(exact.self_image(GATE)), abs=1e-13)


def test_derivative_by_gate_distance() -> None:
    """∂_d (2π/q) tanh(qd) = 2π sech²(qd)."""
    cell = Supercell(SQRT3)
    kernel = interaction(cell, "dual_gate", GATE)
    waves = points_within(2 * np.pi * np.linalg.inv(basis_of(SQRT3, "triangular")).T, 20 / GATE)
    length = np.linalg.norm(waves, axis=1)
    weight = np.where(length > 1e-9, 2 * np.pi / np.cosh(length * GATE) ** 2, 0) / cell.area
    slope = jax.jit(jax.grad(lambda d: kernel(jnp.asarray(POSITIONS[0]), d)))(GATE)
    assert float(slope) == pytest.approx(np.cos(waves @ POSITIONS[0]) @ weight, rel=1e-12)
    assert float(jax.grad(kernel.self_image)(GATE)) == pytest.approx(weight.sum(), rel=1e-12)


# Analytic properties ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("matrix", "lattice"), CELLS)
def test_does_not_depend_on_the_splitting(matrix: Matrix, lattice: str) -> None:
    """Both sums are cut where their terms are 1e-18; what remains is rounding."""
    cell = Supercell(matrix, lattice)
    default = interaction(cell)
    for factor in (0.6, 1.9):
        other = AtGate(Ewald(cell, factor * float(np.sqrt(np.pi / cell.area))))
        np.testing.assert_allclose(evaluate(other, POSITIONS), evaluate(default, POSITIONS), rtol=0, atol=2e-13)
        assert float(other.self_image()) == pytest.approx(float(default.self_image()), abs=1e-13)


@pytest.mark.parametrize("name", FORM_FACTORS)
def test_is_even_and_periodic_in_the_supercell(name: str) -> None:
    matrix: Matrix = ((2, 1), (-1, 3))
    basis = basis_of(matrix, "triangular")
    kernel = interaction(Supercell(matrix), name, None if name == "coulomb" else GATE)
    value = evaluate(kernel, POSITIONS, GATE)
    for shift in ([1, 0], [0, 1], [-3, 5]):
        np.testing.assert_allclose(evaluate(kernel, POSITIONS + shift @ basis, GATE), value, rtol=0, atol=1e-13)
    np.testing.assert_allclose(evaluate(kernel, -POSITIONS, GATE), value, rtol=0, atol=1e-13)
    moire_shift = evaluate(kernel, POSITIONS + LATTICES["triangular"][0], GATE)
    assert np.abs(moire_shift - value).min() > 1e-3


def test_has_sixfold_symmetry_in_a_hexagonal_supercell() -> None:
    kernel = interaction(Supercell(SQRT3))
    turn = np.deg2rad(60)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    value = evaluate(kernel, POSITIONS)
    for moved in (POSITIONS @ rotation, POSITIONS * [-1, 1]):
        np.testing.assert_allclose(evaluate(kernel, moved), value, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", FORM_FACTORS)
@pytest.mark.parametrize("transform", [((1, 0), (-1_000_003, 1)), ((0, 1), (1, 0)), ((89, 144), (55, 89))])
def test_equivalent_supercell_matrices_give_identical_numbers(name: str, transform: Matrix) -> None:
    rows = [[sum(transform[i][k] * SQRT3[k][j] for k in range(2)) for j in range(2)] for i in range(2)]
    gate = None if name == "coulomb" else GATE
    kernel = interaction(Supercell(SQRT3), name, gate)
    other = interaction(Supercell(((rows[0][0], rows[0][1]), (rows[1][0], rows[1][1]))), name, gate)
    np.testing.assert_array_equal(evaluate(other, POSITIONS, GATE), evaluate(kernel, POSITIONS, GATE))
    assert float(other.self_image(GATE)) == float(kernel.self_image(GATE))


@pytest.mark.parametrize("name", FORM_FACTORS)
def test_charges_of_a_large_cell_add_up_to_those_of_the_small_one(name: str) -> None:
    """Σ_t v_L(r + t) over the moiré translations of the supercell is v of the moiré cell, ξ included."""
    cell, gate = Supercell(((2, 1), (-1, 3))), None if name == "coulomb" else GATE
    large = interaction(cell, name, gate)
    small = interaction(Supercell(PRIMITIVE), name, gate)
    total = evaluate(large, POSITIONS[:, None, :] + cell.translations[None], GATE).sum(axis=1)
    np.testing.assert_allclose(total, evaluate(small, POSITIONS, GATE), rtol=0, atol=1e-12)
    others = evaluate(large, cell.translations[1:], GATE).sum()
    assert float(large.self_image(GATE)) + others == pytest.approx(float(small.self_image(GATE)), abs=1e-12)


@pytest.mark.parametrize("name", FORM_FACTORS)
@pytest.mark.parametrize(("matrix", "lattice"), CELLS)
def test_average_over_the_cell_is_zero(name: str, matrix: Matrix, lattice: str) -> None:
    """Charges on an M times finer lattice: the mean of v over M × M shifts of r is v(M r; M d)/M exactly.

    A constant c in v would add c on the left and c/M on the right.
    """
    m = 5
    basis = basis_of(matrix, lattice)
    kernel = interaction(Supercell(matrix, lattice), name, None if name == "coulomb" else GATE)
    index = np.arange(m) / m
    shifts = np.stack(np.meshgrid(index, index, indexing="ij"), axis=-1).reshape(-1, 2) @ basis
    start = np.array([0.03, 0.05])
    mean = evaluate(kernel, start + shifts, GATE).mean()
    assert mean == pytest.approx(float(evaluate(kernel, m * start, m * GATE)) / m, abs=2e-14 * 25)


@pytest.mark.parametrize("name", FORM_FACTORS)
def test_approaches_one_over_r_plus_the_madelung_constant(name: str) -> None:
    """v − 1/r − ξ starts with c r², c ~ 1 by the symmetry of the cell; two radii extrapolate to r⁴ ~ 1e-8.

    c does not depend on direction in a hexagonal cell.
    """
    kernel = interaction(Supercell(SQRT3), name, None if name == "coulomb" else GATE)
    radii, angles = np.array([0.004, 0.008]), np.array([0.1, 1.0, 2.5])
    positions = radii[:, None, None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    rest = evaluate(kernel, positions, GATE) - 1 / radii[:, None]
    limit = (4 * rest[0] - rest[1]) / 3
    np.testing.assert_allclose(limit, float(kernel.self_image(GATE)), rtol=0, atol=2e-8)
    curvature = (rest[1] - rest[0]) / (radii[1] ** 2 - radii[0] ** 2)
    np.testing.assert_allclose(curvature, curvature.mean(), rtol=0, atol=1e-3)


def test_gradient_and_laplacian_of_the_bare_interaction() -> None:
    """∇²v is the Fourier sum of −2πq; the gradient is checked by central differences of v.

    The regulated series now starts from ∇²(1/r): its coefficients are (2n + 1)² times larger, 1e-9 in all.
    """
    basis = basis_of(SQRT3, "triangular")
    kernel = interaction(Supercell(SQRT3))
    laplacian = jax.jit(jax.vmap(lambda r: jnp.trace(jax.hessian(kernel)(r))))(jnp.asarray(POSITIONS))
    expected = [fourier_sum(r, basis, lambda q: -2 * np.pi * q) for r in POSITIONS]
    np.testing.assert_allclose(laplacian, expected, rtol=0, atol=1e-7)
    gradient = np.asarray(jax.jit(jax.vmap(jax.grad(kernel)))(jnp.asarray(POSITIONS)))
    h = 1e-3
    for axis, step in enumerate(h * np.eye(2)):
        near = evaluate(kernel, POSITIONS + step) - evaluate(kernel, POSITIONS - step)
        far = evaluate(kernel, POSITIONS + 2 * step) - evaluate(kernel, POSITIONS - 2 * step)
        np.testing.assert_allclose(gradient[:, axis], (8 * near - far) / (12 * h), rtol=0, atol=1e-8)


def test_laplacian_between_grounded_plates() -> None:
    """∇²K0(κr) = κ² K0(κr)."""
    gate = 0.5
    kernel = interaction(Supercell(SQRT3), "dual_gate", gate)
    laplacian = jax.jit(jax.vmap(lambda r: jnp.trace(jax.hessian(kernel)(r, gate))))(jnp.asarray(POSITIONS))
    kappa = np.pi * np.arange(1, 120, 2) / (2 * gate)
    charges = points_within(basis_of(SQRT3, "triangular"), 22.0)
    distance = np.linalg.norm(POSITIONS[:, None] - charges, axis=-1)
    expected = 2 / gate * (kappa**2 * k0(kappa * distance[..., None])).sum((-1, -2))
    np.testing.assert_allclose(laplacian, expected, rtol=1e-11)


# Precision and refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORM_FACTORS)
def test_single_precision_is_accurate_to_1e_5(name: str) -> None:
    kernel = interaction(Supercell(((6, 0), (0, 6))), name, None if name == "coulomb" else 1.0)
    positions = np.random.default_rng(5).uniform(-3, 3, (200, 2))
    single = compiled(kernel, jnp.asarray(positions, jnp.float32), 1.0)
    double = compiled(kernel, jnp.asarray(positions.astype(np.float32), float), 1.0)
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, double, rtol=1e-5, atol=1e-5 * np.abs(double).mean())


def test_any_batch_shape() -> None:
    kernel = interaction(Supercell(SQRT3), "dual_gate", GATE)
    batch = np.asarray(compiled(kernel, jnp.asarray(POSITIONS.reshape(2, 2, 2)), GATE))
    assert batch.shape == (2, 2)
    np.testing.assert_allclose(batch.reshape(4), evaluate(kernel, POSITIONS, GATE), rtol=0, atol=1e-14)
    np.testing.assert_allclose(batch[1, 0], compiled(kernel, jnp.asarray(POSITIONS[2]), GATE), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", FORM_FACTORS)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_the_energy_of_a_configuration_is_the_sum_over_its_pairs(name: str, dtype: Any) -> None:
    """Electrons anywhere, also outside the cell."""
    cell = Supercell(((3, 0), (0, 3)))
    kernel = interaction(cell, name, 0.7)
    x = jnp.asarray(np.random.default_rng(3).uniform(-1, 2, (7, 2)) @ cell.vectors, dtype)
    i, j = np.triu_indices(7, 1)
    pairs = float(kernel(x[i] - x[j], 0.8).sum())
    assert float(kernel.energy(x, 0.8)) == pytest.approx(pairs, rel=1e-12 if dtype == jnp.float64 else 2e-5)


def yukawa(q: Array, d: Array | float) -> Array:
    """1 − f(q) of 2π/√(q² + 1/d²): falls as 1/q²."""
    return 1.0 - q / jnp.sqrt(q**2 + 1.0 / d**2)


def screened(cell: Supercell, missing: Callable[[Any, Any], Any], closest: float) -> AtGate:
    """An interaction of one's own by its 1 − f(q)."""
    return AtGate(Screened(Ewald(cell), "new", missing, gates.GATE, closest))


@pytest.mark.parametrize(
    ("missing", "left"),
    [
        (yukawa, "0.025"),  # ∫ from 20 of 1/(2q²)
        (lambda q, d: jnp.exp(-q * d / 5), "0.092"),  # 5 e^{−4}
        (lambda q, d: 1.0 / (1.0 + (q * d) ** 2), "0.049"),
        (lambda q, d: jnp.exp(-q / d), ""),  # dies out at d = 1, and not for gates farther away
        (lambda q, d: jnp.cos(q * d), ""),
        (lambda q, d: jnp.nan * q, "nan"),
    ],
)
def test_an_interaction_that_cannot_be_summed_is_refused(missing: Callable[[Any, Any], Any], left: str) -> None:
    with pytest.raises(QernelError, match=rf"'new' cannot be summed.*wrong by {left}.*decays exponentially"):
        screened(Supercell(SQRT3), missing, 1.0)


@pytest.mark.parametrize(
    "missing",
    [lambda q, d: jnp.exp(-0.5 * (q * d) ** 2), lambda q, d: jnp.exp(-1.5 * q * d)],
    ids=["gaussian", "slow"],
)
def test_an_interaction_of_ones_own(
    missing: Callable[[Any, Any], Any],
) -> None:
    """Bare Coulomb less a plain sum over more waves than are used."""
    cell, gate = Supercell(SQRT3), 0.6
    q = points_within(2 * np.pi * np.linalg.inv(basis_of(SQRT3, "triangular")).T, 60.0)
    q = q[np.linalg.norm(q, axis=1) > 1e-9]
    length = np.linalg.norm(q, axis=1)
    weights = 2 * np.pi / length * np.asarray(missing(length, gate)) / cell.area
    bare, own = interaction(cell), screened(cell, missing, 0.5)
    np.testing.assert_allclose(
        evaluate(own, POSITIONS, gate), evaluate(bare, POSITIONS, gate) - np.cos(POSITIONS @ q.T) @ weights, atol=1e-9
    )
    assert float(own.self_image(gate)) == pytest.approx(float(bare.self_image()) - weights.sum(), abs=1e-9)


@pytest.mark.parametrize("name", ["dual_gate", "single_gate"])
def test_a_gate_closer_than_was_built_for_is_refused(name: str) -> None:
    cell = Supercell(SQRT3)
    kernel, exact = interaction(cell, name, 0.5), interaction(cell, name, 0.05)
    positions = jnp.asarray(POSITIONS)
    for ask in (kernel.self_image, partial(kernel, positions), partial(kernel.energy, positions)):
        with pytest.raises(QernelError, match=r"gate_distance = 0\.05 is closer than 0\.5 a_M.*0\.5 or more"):
            ask(0.05)
        assert np.isnan(jax.jit(ask)(0.05)).all(), "a compiled function cannot raise"
        # Single precision is not closer, and farther away is right.
        assert np.isfinite(jax.jit(ask)(jnp.float32(0.5) * (1 - 1e-7))).all()
    assert float(kernel.self_image(3.0)) == pytest.approx(float(exact.self_image(3.0)), abs=1e-12)
    np.testing.assert_allclose(kernel.fourier(np.array([1.0, 3.0]), 0.05), exact.fourier(np.array([1.0, 3.0]), 0.05))
