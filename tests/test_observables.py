"""Observables against closed forms: exact samples of determinants, where nothing but the estimator can be wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy import special, stats

from ansatz_cases import FAMILY
from families import changed, moire_bands
from families import kernel as kernel_of
from free_fermions import draw, free_gas
from qernel.errors import QernelError, RunError
from qernel.estimators.statistics import summarise, summarise_components
from qernel.lattice import Supercell
from qernel.observables import Observable, Samples, Variable, averaged, find, make, names, register, registry
from qernel.observables.base import ratio

CELL = Supercell(((3, 0), (0, 3)))
POLARISED = replace(FAMILY, electrons=(7, 0))
SPINFUL = replace(FAMILY, electrons=(7, 1))
K = np.concatenate([np.zeros((1, 2)), CELL.shells(1), -CELL.shells(1)])
"""The closed shell of seven plane waves."""

MOMENTA = {"polarised": [K], "spinful": [K, K[:1]]}
GASES = {"polarised": POLARISED, "spinful": SPINFUL}


@pytest.fixture(scope="module")
def gas() -> dict[str, Samples]:
    """Exact samples of the free gas of 7, and of 7 up and 1 down."""
    return {name: free_gas(GASES[name], MOMENTA[name], (32, 50), seed=3) for name in GASES}


def measured(name: str, samples: Samples, **options: Any) -> dict[str, Variable]:
    return {variable.name: variable for variable in make(name, options).measure(samples)}


def assert_agree(variable: Variable, exact: np.ndarray, precision: float) -> None:
    """Every component within its error bar as often as it should be, and error bars of the stated size.

    The largest of n deviations exceeds the bound in one of 10⁴ cases; bins in which nothing can be seen are exact.
    """
    assert variable.errors is not None and 0 < variable.errors.max() < precision
    seen = variable.errors > 0
    deviation = np.abs(variable.values - exact)
    assert np.all(deviation[~seen] < 1e-12)
    z = deviation[seen] / variable.errors[seen]
    assert z.max() < stats.norm.isf(0.5e-4 / seen.sum()), z.max()
    # The mean square must not be small either: an error bar that is too wide is wrong as well.
    if seen.sum() >= 30:
        assert 0.4 < np.mean(z**2) < 1.6, np.mean(z**2)


def pairs(momenta: list[np.ndarray], q: np.ndarray) -> np.ndarray:
    """How many k have both k and k + q occupied, summed over spin, for each q."""
    total = np.zeros(len(q))
    for k in momenta:
        difference = (k[:, None] - k[None, :]).reshape(-1, 2)
        total += (np.linalg.norm(difference[None] - q[:, None], axis=-1) < 1e-9).sum(1)
    return total


@pytest.mark.parametrize("system", ["polarised", "spinful"])
def test_structure_factor_of_the_free_gas(system: str, gas: dict[str, Samples]) -> None:
    """S(q) = 1 − (number of k with k and k + q occupied)/N, for charge and spin alike."""
    result = measured("structure_factor", gas[system], cutoff=1.2)
    coordinates = {c.name: c.values for c in result["structure_factor"].coordinates}
    q = np.stack([coordinates["qx"], coordinates["qy"]], axis=-1)
    # One of each ±q pair and never zero: with the mirror images and zero, all vectors inside the circle.
    both = np.concatenate([q, -q])
    assert len(np.unique(np.round(both, 9), axis=0)) == 2 * len(q) and np.linalg.norm(q, axis=1).min() > 1
    exact = 1 - pairs(MOMENTA[system], q) / gas[system].count
    assert exact.min() <= 0.5 and exact.max() == 1.0
    for variable in result.values():
        assert_agree(variable, exact, 0.1)
    assert set(result) == {"structure_factor"} | ({"spin_structure_factor"} if system == "spinful" else set())


def correlation(k: np.ndarray, r: np.ndarray) -> np.ndarray:
    """1 − |Σ_k e^{ik·r}|²/N² of one spin."""
    return 1 - np.abs(np.exp(1j * r @ k.T).sum(-1)) ** 2 / len(k) ** 2


def test_pair_correlation_of_the_free_gas(gas: dict[str, Samples]) -> None:
    bins, samples = 12, gas["polarised"]
    result = measured("pair_correlation", samples, bins=bins, grid=10)
    radial = result["pair_correlation"]
    edges = np.linspace(0, CELL.inscribed_radius, bins + 1)
    assert radial.coordinates[0].values == pytest.approx(0.5 * (edges[1:] + edges[:-1]))
    angle = 2 * np.pi * (np.arange(60) + 0.5) / 60
    unit = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    # Rings of equal area inside each bin: their mean is the mean over the bin.
    steps = np.sqrt(edges[:-1, None] ** 2 + np.diff(edges**2)[:, None] * (np.arange(40) + 0.5) / 40)
    exact = correlation(K, steps[:, :, None, None] * unit).mean((1, 2))
    assert exact[0] < 0.1
    assert_agree(radial, exact, 0.1)

    plane = result["pair_correlation_map"]
    labels = {c.name: c.values for c in plane.coordinates}
    offsets = (np.stack(np.meshgrid(*2 * [(np.arange(8) + 0.5) / 8 - 0.5]), axis=-1).reshape(-1, 2) / 10) @ CELL.vectors
    centres = np.stack([labels["dx"], labels["dy"]], axis=-1)
    assert_agree(plane, correlation(K, centres[:, :, None] + offsets).mean(2), 0.15)
    assert plane.values.mean() == pytest.approx(1 - 1 / 7)  # ∫ g = A(1 − 1/N), in every single configuration
    np.testing.assert_allclose(plane.values, plane.values[::-1, ::-1])


def test_pair_correlation_knows_spins(gas: dict[str, Samples]) -> None:
    result = measured("pair_correlation", gas["spinful"], bins=8, grid=4)
    assert_agree(result["pair_correlation_unlike"], np.ones(8), 0.2)
    steps = np.linspace(0, CELL.inscribed_radius, 8 * 400 + 1)
    middles = (0.5 * (steps[1:] + steps[:-1])).reshape(8, -1)
    angle = 2 * np.pi * (np.arange(60) + 0.5) / 60
    rings = middles[..., None, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    like = (49 * (correlation(K, rings).mean(-1) * middles).sum(1) / middles.sum(1)) / 50  # one electron has no like
    assert_agree(result["pair_correlation_like"], like, 0.2)


def test_momentum_distribution_of_the_free_gas(gas: dict[str, Samples]) -> None:
    """1 inside the shell without any noise, 0 outside within the errors, for each spin."""
    for system, samples in gas.items():
        variable = measured("momentum_distribution", samples, cutoff=1.0)["momentum_distribution"]
        labels = {c.name: c.values for c in variable.coordinates}
        k = np.stack([labels["kx"], labels["ky"]], axis=-1)
        assert list(labels["spin"]) == (["up", "down"] if system == "spinful" else ["up"])
        for values, errors, occupied in zip(variable.values, variable.errors, MOMENTA[system], strict=True):
            inside = (np.linalg.norm(k[:, None] - occupied[None], axis=-1) < 1e-9).any(1)
            assert inside.sum() == len(occupied) < len(k)
            np.testing.assert_allclose(values[inside], 1.0, atol=1e-9)
            z = np.abs(values[~inside]) / errors[~inside]
            assert z.max() < stats.norm.isf(0.5e-4 / z.size) and errors[~inside].max() < 0.1


def test_momentum_distribution_includes_the_twist() -> None:
    family = replace(POLARISED, twist=(0.2, -0.35))
    samples = free_gas(family, [K + family.twist_momentum], (8, 10), seed=4)
    variable = measured("momentum_distribution", samples, cutoff=0.4)["momentum_distribution"]
    np.testing.assert_allclose(variable.values[0], 1.0, atol=1e-9)
    assert variable.values.shape == (1, 7)


@pytest.mark.parametrize("twist", [(0.0, 0.0), (0.2, -0.35)])
def test_crystal_momentum_of_plane_waves_is_their_sum(twist: tuple[float, float]) -> None:
    """One momentum has all the weight, in every configuration; the twist is counted out."""
    family = replace(POLARISED, electrons=(4, 0), twist=twist)
    occupied = K[[0, 1, 2, 4]]
    samples = free_gas(family, [occupied + family.twist_momentum], (4, 3), seed=6)
    variable = measured("crystal_momentum", samples)["crystal_momentum"]
    kappa = np.stack([c.values for c in variable.coordinates], axis=-1)
    assert len(kappa) == CELL.cells and variable.values.sum() == pytest.approx(1.0)
    total = occupied.sum(0) @ CELL.primitive.T / (2 * np.pi)
    distance = kappa - total
    expected = (np.abs(distance - np.rint(distance)) < 1e-9).all(1)
    assert expected.sum() == 1
    np.testing.assert_allclose(variable.values, expected, atol=1e-9)


def test_natural_occupations_of_a_determinant(gas: dict[str, Samples]) -> None:
    variable = measured("natural_occupations", gas["polarised"], cutoff=1.0, orbitals=2.0)["natural_occupations"]
    np.testing.assert_allclose(variable.values[0, :7], 1.0, atol=0.02)
    assert variable.errors is not None
    # The empty orbitals were chosen as the largest of many: their noise is not centred, but it is no larger than noise.
    assert np.all(np.abs(variable.values[0, 7:]) < 4.5 * variable.errors[0, 7:])
    assert np.all(np.diff(variable.values[0]) <= 1e-12)


def band_orbitals(depth: float, count: int) -> Any:
    bands = moire_bands(CELL, depth, np.pi / 4, count, cutoff=300.0)

    def orbitals(r: np.ndarray) -> np.ndarray:
        waves = [np.exp(1j * r @ w.T) @ c for w, c in zip(bands.waves, bands.coefficients, strict=True)]
        return np.stack(waves, axis=-1) / np.sqrt(CELL.area)

    return orbitals


@pytest.fixture(scope="module")
def crystal() -> Samples:
    """Exact samples of nine electrons that fill the lowest band at λ = 0.3."""
    orbitals = band_orbitals(0.3 * FAMILY.constants["V0"], 9)
    fine = np.stack(np.meshgrid(*2 * [np.arange(24) / 24], indexing="ij"), axis=-1) @ CELL.primitive
    top = 1.05 * (np.abs(orbitals(fine)) ** 2).sum(-1).max()
    x = draw(np.random.default_rng(5), orbitals, 9, CELL.vectors, (32, 60), top)
    return Samples(x, changed(FAMILY, electrons=(9, 0), U=0.0), np.array([0.3]), seed=5)


def test_density_of_free_electrons_in_the_moire_potential(crystal: Samples) -> None:
    """n(r) = Σ_j |φ_j(r)|² of the filled band, averaged over each part of the grid; N electrons in every cell."""
    result = measured("density", crystal, grid=9, cell_grid=6)
    orbitals = band_orbitals(0.3 * FAMILY.constants["V0"], 9)
    root_three = np.array([[1.0, 1.0], [-1.0, 2.0]]) @ CELL.primitive
    cells = {"density": (CELL.vectors, 9, 9), "density_moire": (CELL.primitive, 6, 1)}
    for name, (vectors, grid, electrons) in (cells | {"density_sqrt3": (root_three, 6, 3)}).items():
        variable = result[name]
        fine = (np.arange(6 * grid) + 0.5) / (6 * grid)
        points = np.stack(np.meshgrid(fine, fine, indexing="ij"), axis=-1) @ vectors
        exact = (np.abs(orbitals(points)) ** 2).sum(-1).reshape(grid, 6, grid, 6).mean((1, 3))
        area = abs(np.linalg.det(vectors))
        assert variable.values.mean() * area == pytest.approx(electrons, rel=1e-12)
        assert_agree(variable, exact, 0.3 if name == "density" else 0.15)
        assert variable.unit == "1/a_M^2"
        centre = {c.name: c.values for c in variable.coordinates}
        prefix = variable.axes[0][0]
        expected = ((np.array([1, 2]) + 0.5) / grid) @ vectors
        assert (centre[f"{prefix}x"][1, 2], centre[f"{prefix}y"][1, 2]) == pytest.approx(tuple(expected))


def test_densities_of_spins_add_up(gas: dict[str, Samples]) -> None:
    result = measured("density", gas["spinful"], grid=5)
    np.testing.assert_allclose(result["density_up"].values + result["density_down"].values, result["density"].values)
    assert result["density_down"].values.mean() * CELL.area == pytest.approx(1.0)


def test_conditional_density(gas: dict[str, Samples]) -> None:
    """It integrates to N − 1, and around a point of the free gas it is n g(r)."""
    result = measured("conditional_density", gas["polarised"], at=(0.3, 0.1), radius=0.12, grid=5)
    given, correlated = result["conditional_density"], result["conditional_correlation"]
    assert given.values.mean() * CELL.area == pytest.approx(6.0)
    labels = {c.name: c.values for c in given.coordinates}
    offsets = (
        np.stack(np.meshgrid(*2 * [(np.arange(12) + 0.5) / 12 - 0.5]), axis=-1).reshape(-1, 2) / 5
    ) @ CELL.vectors
    centres = np.stack([labels["cx"], labels["cy"]], axis=-1)[:, :, None] + offsets - np.array([0.3, 0.1])
    # Averaged over the disc: rings of equal area, eight directions.
    rings = 0.12 * np.sqrt((np.arange(4) + 0.5) / 4)
    turns = np.pi / 4 * np.arange(8)
    disc = (rings[:, None, None] * np.stack([np.cos(turns), np.sin(turns)], axis=-1)).reshape(-1, 2)
    exact = np.mean([correlation(K, centres - shift).mean(2) for shift in disc], axis=0)
    assert_agree(given, exact * 7 / CELL.area, 0.1)
    assert_agree(correlated, exact, 0.15)
    with pytest.raises(RunError, match="larger radius"):
        measured("conditional_density", gas["polarised"], at=(0.3, 0.1), radius=0.0)


def test_order_parameter_and_sites() -> None:
    """The perfect honeycomb crystal: |ρ_K|² = ¼, one electron on each of two sublattices, none on the third."""
    sites = CELL.translations[CELL.sublattices != 1]
    x = np.broadcast_to(sites + 0.01, (2, 12, 6, 2)) + 3 * CELL.vectors[0]
    samples = Samples(x, replace(FAMILY, electrons=(6, 0)), np.array([1.0]))
    assert float(measured("order_parameter", samples)["order_parameter"].values) == pytest.approx(0.25)
    result = measured("site_charge", samples)
    np.testing.assert_array_equal(result["site_charge"].values, CELL.sublattices != 1)
    assert float(result["site_fluctuation"].values) == pytest.approx(2 / 3 * 1 / 3)
    assert float(result["empty_sites"].values) == pytest.approx(1 / 3)
    assert float(result["crowded_sites"].values) == 0.0
    square = replace(FAMILY, supercell=Supercell(((2, 0), (0, 2))))
    with pytest.raises(RunError, match="whole √3×√3 cells"):
        measured("order_parameter", replace_family(samples, square))


def test_density_order_of_any_crystal() -> None:
    """2×2 and stripes on 4×4 cells are named by M, the honeycomb by K, where it is the order parameter."""
    four = Supercell(((4, 0), (0, 4)))
    even = np.rint(four.translations @ np.linalg.inv(four.primitive)).astype(int) % 2 == 0
    cases = [
        (four, four.translations[even.all(1)], 1.0, (0.5, 0.0)),
        (four, four.translations[even[:, 1]], 1.0, (0.0, 0.5)),
        (CELL, CELL.translations[CELL.sublattices != 1], 0.25, (2 / 3, 1 / 3)),
    ]
    for cell, sites, strength, q in cases:
        family = replace(FAMILY, electrons=(len(sites), 0), supercell=cell)
        samples = Samples(np.broadcast_to(sites + 0.01, (2, 12, *sites.shape)), family, np.array([1.0]))
        found = measured("density_order", samples)
        assert float(found["density_order"].values) == pytest.approx(strength)
        np.testing.assert_allclose(found["density_order_q"].values, q)
    one = replace(FAMILY, electrons=(1, 0), supercell=Supercell(((1, 0), (0, 1))))
    with pytest.raises(RunError, match="larger supercell"):
        measured("density_order", Samples(np.zeros((2, 4, 1, 2)), one, np.array([1.0])))


def replace_family(samples: Samples, family: Any) -> Samples:
    return replace(samples, hamiltonian=family)


def test_local_moment(gas: dict[str, Samples]) -> None:
    """Uncorrelated spins of uniform density: ⟨(n_↑ − n_↓)²⟩ = Var n_↑ + Var n_↓ + (⟨n_↑⟩ − ⟨n_↓⟩)²."""
    result = measured("site_charge", gas["spinful"])
    moment, fluctuation = result["local_moment"], result["site_fluctuation"]
    assert moment.summary is not None and fluctuation.summary is not None
    exact = float(fluctuation.values) + (6 / 9) ** 2  # Var(n_↑ + n_↓) is the same sum of variances
    error = np.hypot(moment.summary.error, fluctuation.summary.error)
    assert abs(float(moment.values) - exact) < 4 * error < 0.1


@dataclass
class Wave:
    """ψ = exp((λ + iaλ) cos(g·x)) for one electron: ∂ log ψ/∂λ = (1 + ia) cos."""

    slope: float
    wave: np.ndarray

    def log_psi(self, positions: Any) -> Any:
        raise NotImplementedError

    def log_psi_gradient(self, positions: Any) -> np.ndarray:
        return (1 + 1j * self.slope) * np.cos(np.asarray(positions)[..., 0, :] @ self.wave)[..., None]


@pytest.mark.parametrize("slope", [0.0, 0.7])
def test_fidelity_susceptibility_in_closed_form(slope: float) -> None:
    """χ_F = (1 + a²) Var[cos] with ⟨cos⟩ = I_1/I_0 and ⟨cos²⟩ = ½(1 + I_2/I_0), all at 2λ."""
    lam, family = 0.8, replace(FAMILY, electrons=(1, 0))
    rng = np.random.default_rng(6)
    wave = CELL.reciprocal[0]
    x = rng.uniform(size=(100_000, 2)) @ CELL.vectors
    x = x[rng.uniform(size=len(x)) < np.exp(2 * lam * (np.cos(x @ wave) - 1))][:32_000].reshape(32, 1000, 1, 2)
    samples = Samples(x, family, np.array([lam]), psi=Wave(slope, wave))
    variable = measured("fidelity_susceptibility", samples)["fidelity_susceptibility"]
    bessel = special.iv([0, 1, 2], 2 * lam)
    exact = (1 + slope**2) * (0.5 * (1 + bessel[2] / bessel[0]) - (bessel[1] / bessel[0]) ** 2)
    assert variable.summary is not None
    assert abs(float(variable.values) - exact) < 3.5 * variable.summary.error < 0.02
    with pytest.raises(RunError, match="conditioned on lam only"):
        measured("fidelity_susceptibility", samples, parameter="U")


def energies(rng: np.random.Generator, shape: tuple[int, int], imaginary: float) -> dict[str, np.ndarray]:
    parts = {"kinetic": 24.0, "moire": -46.0, "interaction": -80.0}
    return {name: rng.normal(mean, 1.0, shape) for name, mean in parts.items()} | {
        "kinetic_imaginary": rng.normal(0.0, imaginary, shape)
    }


def test_energy_parts_and_v_score() -> None:
    """Known Gaussian local energies: the parts add up, and the V-score is calibrated over repetitions."""
    family = replace(FAMILY, electrons=(6, 0))
    self_image = float(kernel_of(family.supercell).self_image())
    exact = 6 * (3 + 0.25) / (-102.0 - 3 * family.constants["U"] * self_image) ** 2
    z = []
    for seed in range(60):
        table = energies(np.random.default_rng(seed), (16, 30), 0.5)
        samples = Samples(np.zeros((16, 30, 6, 2)), family, np.array([1.0]), energies=table)
        score = {v.name: v for v in make("v_score").measure(samples)}
        z.append((float(score["v_score"].values) - exact) / float(score["v_score"].errors))  # type: ignore[arg-type]
    assert abs(np.mean(z)) < 4 / np.sqrt(60) and 0.6 < np.std(z) < 1.25
    parts = measured("energy", samples)
    assert float(parts["energy"].values) == pytest.approx(sum(float(parts[n].values) for n in table if n in parts))
    assert parts["energy"].unit == "E0" and abs(float(parts["energy"].values) + 17.0) < 0.1


def test_snapshots(gas: dict[str, Samples]) -> None:
    samples = gas["spinful"]
    (variable,) = measured("snapshots", samples, count=40).values()
    assert variable.values.shape == (40, 8, 2) and variable.errors is None
    np.testing.assert_array_equal(variable.values[:32], samples.positions[:, -1])
    np.testing.assert_array_equal(variable.values[32:], samples.positions[:8, -2])
    assert list(variable.coordinates[0].values) == ["up"] * 7 + ["down"]


# Errors


def test_components_are_summarised_one_by_one() -> None:
    series = np.random.default_rng(8).normal(size=(6, 20, 3, 2)).cumsum(1)
    result = summarise_components(series)
    for index in np.ndindex(3, 2):
        one = summarise(series[(..., *index)])
        assert (result.mean[index], result.error[index]) == (one.mean, one.error)
        assert result.effective_samples[index] == one.effective_samples
    with pytest.raises(ValueError, match=r"\[chains, samples, ...\]"):
        summarise_components(np.zeros(3))


def test_ratios_are_calibrated() -> None:
    """⟨a⟩/⟨b⟩ of correlated a, b: the linearised error covers the exact ratio as often as it should."""
    rng = np.random.default_rng(9)
    b = rng.normal(2.0, 0.5, (300, 16, 20))
    a = 1.5 * b + rng.normal(0.0, 0.2, b.shape)
    z = []
    for top, bottom in zip(a, b, strict=True):
        one = summarise(ratio(top, bottom))
        assert one.mean == pytest.approx(top.mean() / bottom.mean())
        z.append((one.mean - 1.5) / one.error)
    assert 0.8 < np.std(z) < 1.1


def test_long_chains_are_averaged_over_stretches() -> None:
    samples = Samples(np.zeros((2, 61, 1, 2)), FAMILY, np.array([1.0]))
    lengths = [part.stop - part.start for part in samples.stretches]
    assert sum(lengths) == 61 and set(lengths) == {2, 3} and len(lengths) == 25
    assert samples.stretches[0].start == 0


# The registry


@dataclass(frozen=True)
class Chirality(Observable):
    """An observable of somebody else."""

    scale: float = 1.0
    name: ClassVar[str] = "chirality"
    summary: ClassVar[str] = "mean angle"

    def measure(self, samples: Samples) -> list[Variable]:
        """The mean of x/y."""
        return [averaged("chirality", self.scale * samples.positions[..., 0, 0], "a_M", "mean x of electron 1")]


def test_observables_of_others(monkeypatch: pytest.MonkeyPatch, gas: dict[str, Samples]) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    assert register(Chirality) is Chirality and register(Chirality) is Chirality
    assert names()[0] == "energy" and names()[-1] == "chirality" and find("chirality") is Chirality
    assert measured("chirality", gas["polarised"], scale=2)["chirality"].unit == "a_M"
    impostor = type("Other", (Chirality,), {})
    with pytest.raises(QernelError, match="exists already"):
        register(impostor)
    with pytest.raises(QernelError, match="exists already"):
        register(type("Mine", (Chirality,), {"name": "density"}))


def test_observables_of_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    good = EntryPoint("chirality", "test_observables:Chirality", registry.GROUP)
    broken = EntryPoint("broken", "no_such_package:Thing", registry.GROUP)

    def entry_points(group: str, name: str | None = None) -> list[EntryPoint]:
        return [entry for entry in (good, broken) if name in (None, entry.name) and group == registry.GROUP]

    monkeypatch.setattr(registry, "entry_points", entry_points)
    assert {"chirality", "broken"} <= set(names())
    assert find("chirality").__name__ == "Chirality"
    with pytest.raises(QernelError, match=r"broken of no_such_package:Thing does not load"):
        find("broken")


def test_every_observable_is_complete() -> None:
    for name in names():
        observable = make(name)
        assert observable.name == name and observable.summary and type(observable).__doc__
        assert observable.needs <= {"energies", "psi"}


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("densty", {}, "there is no observable densty: choose from energy"),
        ("density", {"size": 3}, "density.size = 3: density has no such option; its options: grid, cell_grid"),
        ("density", {"grid": 2.5}, "density.grid = 2.5 must be like its default, 48"),
        ("density", {"grid": True}, "must be like its default"),
        ("conditional_density", {"at": [1.0]}, "must be like its default, (0.0, 0.0)"),
        ("fidelity_susceptibility", {"parameter": 1}, "must be like its default, 'lam'"),
    ],
)
def test_wrong_requests_are_one_sentence(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(QernelError) as caught:
        make(name, options)
    assert words in str(caught.value)
    assert make("structure_factor", {"cutoff": 3}) == make("structure_factor", {"cutoff": 3.0})
