"""Bounds of the Hamiltonian: below every configuration, and close to the lowest one."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize

from families import kernel as kernel_of
from qernel.config import load_config
from qernel.hamiltonian.bounds import bounds
from qernel.hamiltonian.family import Hamiltonian
from qernel.hamiltonian.terms import interactions
from qernel.hamiltonian.terms.moire import moire_potential
from qernel.lattice import Supercell

SQUARE, THIN, SKEW = ((3, 0), (0, 3)), ((4, 0), (0, 1)), ((4, 1), (-1, 2))
SYSTEMS: list[tuple[str, float | None, tuple[tuple[int, int], ...], int]] = [
    ("coulomb", None, SQUARE, 6),
    ("coulomb", None, THIN, 7),
    ("dual_gate", 0.3, SQUARE, 4),
    ("dual_gate", 1.0, SKEW, 9),
    ("single_gate", 0.2, SKEW, 3),
    ("single_gate", 0.7, THIN, 2),
]


def interaction_bound(name: str, density: float, gate: float = 1.0) -> float:
    """Of (Σ_{i<j} v + ½Nξ)/N in 1/a_M."""
    return interactions()[name]().lower({"U": 1.0, "gate_distance": gate}, density)


@pytest.mark.parametrize(("name", "gate", "cell", "count"), SYSTEMS)
def test_no_configuration_is_below_the_bound(
    name: str, gate: float | None, cell: tuple[tuple[int, int], ...], count: int
) -> None:
    """Neither random ones nor those of lowest energy, in thin and skew cells, dilute and dense."""
    supercell = Supercell(cell)
    kernel = kernel_of(supercell, name, gate)
    d = 1.0 if gate is None else gate
    bound = interaction_bound(name, count / supercell.area, d)
    image = 0.5 * float(kernel.self_image(d))
    each = jax.jit(jax.vmap(jax.value_and_grad(lambda x: kernel.energy(x, d))))
    starts = np.random.default_rng(1).random((32, count, 2)) @ supercell.vectors
    assert (np.asarray(each(starts)[0]) / count + image > bound).all()

    def all_at_once(x: np.ndarray) -> tuple[float, np.ndarray]:
        values, gradients = each(x.reshape(starts.shape))
        return float(values.sum()), np.asarray(gradients).ravel()

    settled = minimize(all_at_once, starts.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 80}).x
    lowest = float(np.asarray(each(settled.reshape(starts.shape))[0]).min()) / count + image
    assert bound < lowest < 0.6 * bound, "a bound that is far below everything would find nothing"


def test_the_bound_is_two_percent_below_the_wigner_crystal() -> None:
    """−1.1061026 U/r_s with r_s = (πn)^(−1/2), against −2√n."""
    assert interaction_bound("coulomb", 0.7) * np.sqrt(1 / (np.pi * 0.7)) == pytest.approx(-1.1283792, rel=1e-7)


@pytest.mark.parametrize(("density", "gate"), [(0.3, 0.4), (1.1, 0.15), (0.8, 1.5)])
def test_gates_against_the_integral_over_gaussians(density: float, gate: float) -> None:
    """−√n [2 + ∫₀¹ (1 − s)(u⁻² − 1) du], with s the weight that gates leave to the Gaussian of width u/√(πn)."""
    images = np.arange(1, 200)

    def left(name: str, u: float) -> float:
        exponents = np.exp(-(images**2) * gate**2 * 4 * np.pi * density / u**2)
        return 1 - exponents[0] if name == "single_gate" else 1 + 2 * float((-1.0) ** images @ exponents)

    for name in ("single_gate", "dual_gate"):
        lost = quad(lambda u, name=name: (1 - left(name, u)) * (u**-2 - 1), 1e-6, 1, limit=200)[0]
        exact, found = -np.sqrt(density) * (2 + lost), interaction_bound(name, density, gate)
        assert exact * 1.02 < found <= exact + 1e-9


def test_near_gates_leave_the_attraction_by_the_own_image() -> None:
    """A charge at the distance d from a plate: −1/(4d); between two of them −ln 2/(2d)."""
    assert interaction_bound("single_gate", 0.1, 0.01) == pytest.approx(-1 / 0.04, rel=0.02)
    assert interaction_bound("dual_gate", 0.1, 0.01) == pytest.approx(-np.log(2) / 0.02, rel=0.05)
    assert interaction_bound("dual_gate", 0.7, 50.0) == pytest.approx(interaction_bound("coulomb", 0.7))


def hamiltonian(**changes: object) -> Hamiltonian:
    system = {"electrons": 6, "supercell": [[3, 0], [0, 3]], "V0": 4.0, "U": 10.0, **changes}
    return load_config({"system": system, "family": {"lam": [0.0, 1.0]}}).hamiltonian()


@pytest.mark.parametrize("phase", [0.0, 10.0, 45.0, 60.0, 101.0, 180.0, -77.0])
@pytest.mark.parametrize("lam", [1.3, -0.8])
def test_the_moire_minimum(phase: float, lam: float) -> None:
    """Of a fine grid; a negative λ turns wells into hills."""
    fractions = np.stack(np.meshgrid(*[np.arange(240) / 240] * 2), axis=-1).reshape(-1, 2)
    w = np.asarray(moire_potential(fractions @ np.array([[1, 0], [0.5, np.sqrt(0.75)]]), np.deg2rad(phase)))
    assert bounds(hamiltonian(phase_deg=phase), [lam]).moire == pytest.approx((4.0 * lam * w).min(), abs=1e-3)
    assert bounds(hamiltonian(phase_deg=phase), [lam]).moire <= (4.0 * lam * w).min() + 1e-9


def test_parameters_of_the_family_enter() -> None:
    data = {"system": {"electrons": 2, "supercell": [[1, 1], [-1, 2]], "V0": 4.0}}
    family = {"lam": [0.0, 1.0], "U": [5.0, 15.0], "phase_deg": [0.0, 60.0], "gate_distance": [0.5, 2.0]}
    data["system"]["interaction"] = "dual_gate"
    conditioned = load_config({**data, "family": family}).hamiltonian()
    found = bounds(conditioned, [1.0, 12.0, 0.0, 0.7])
    assert found.moire == pytest.approx(-24.0) and found.kinetic == 0.0
    density = 2 / conditioned.supercell.area
    assert found.interaction == pytest.approx(12.0 * interaction_bound("dual_gate", density, 0.7))
    assert found.total == found.potential == found.moire + found.interaction
    assert bounds(conditioned, [1.0, -1.0, 0.0, 0.7]).interaction == -np.inf
