"""Wavefunctions that start from Hartree–Fock: ψ is the determinant, its energy the Hartree–Fock energy."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ansatz_cases import FAMILY, SMALL, SQRT3, derivatives, evaluate, perturbed, random_positions
from qernel.config import load_config
from qernel.estimators.batched import walker_functions
from qernel.hamiltonian.family import Hamiltonian
from qernel.hartree_fock import MeanField, lowest, mean_field, search
from qernel.hartree_fock import family as families
from qernel.hartree_fock.functional import Orbitals, orthonormal
from qernel.laplacian.jet import value_of
from qernel.measure import Model
from qernel.training.run import initial_wavefunction, train
from qernel.wavefunction import build, log_psi, parameter_count, parameter_layout
from qernel.wavefunction.orbitals.bloch import BlochOrbitals
from qernel.wavefunction.orbitals.chebyshev import Series
from qernel.wavefunction.orbitals.hartree_fock import HartreeFockOrbitals

SIX = replace(FAMILY, electrons=(6, 0), ranges=((0.5, 1.3),))
TWISTED = replace(FAMILY, electrons=(3, 0), supercell=SQRT3, twist=(0.2, -0.35))
SPINFUL = replace(FAMILY, electrons=(2, 1), supercell=SQRT3)
CUTOFF, ORDER = 40.0, 5


@cache
def orbitals(family: Hamiltonian, determinants: int) -> HartreeFockOrbitals:
    """Started orbitals in float64."""
    is_complex = any(family.twist)
    return HartreeFockOrbitals(
        Series(family, ("lam",), (ORDER,)), determinants, cutoff=CUTOFF, complex=is_complex, dtype=jnp.float64
    ).started()


def determinant(started: HartreeFockOrbitals, place: Any, number: int) -> tuple[MeanField, Orbitals]:
    """The functional at a point and the orthonormal plane-wave amplitudes of one determinant."""
    field = replace(mean_field(started.hamiltonian, place, started.cutoff), real=False)
    row = {(i, j): n for n, (i, j) in enumerate(field.basis.turns.tolist())}
    # The products of Chebyshev polynomials once more, by NumPy.
    scaled = dict(zip(started.hamiltonian.parameters, started.hamiltonian.scaled(field.point).tolist(), strict=True))
    order = started.series.orders
    blocks = []
    for amplitude in started.amplitudes:
        values = np.asarray(amplitude)[..., number, :].reshape(*order, *amplitude.shape[1:3], -1)
        for name in started.series.names:
            values = np.polynomial.chebyshev.chebval(scaled[name], values)
        even, odd = values
        block = np.zeros((even.shape[1], len(row)), dtype=complex)
        for (i, j), c, s in zip(started.turns.tolist(), even, odd, strict=True):
            if started.complex:
                block[:, row[i, j]] = c + 1j * s
            else:
                block[:, row[i, j]] += 0.5 * (c - 1j * s)
                block[:, row[-i, -j]] += 0.5 * (c + 1j * s)
        blocks.append(block)
    return field, orthonormal(blocks)[0]


@pytest.mark.parametrize("family", [SIX, TWISTED, SPINFUL], ids=["real", "twisted", "spinful"])
def test_orbital_matrices_are_the_plane_wave_sums(family: Hamiltonian) -> None:
    started = orbitals(family, 4)
    x = random_positions(family, 1, 1)[0]
    begin = 0
    for spin, matrix in enumerate(started(x, jnp.asarray([0.7]))):
        for number in (0, 3):
            field, blocks = determinant(started, 0.7, number)
            own = np.asarray(x)[begin : begin + len(blocks[spin])]
            waves = field.basis.turns @ family.supercell.reciprocal
            expected = np.linalg.slogdet(np.exp(1j * own @ waves.T) @ blocks[spin].T)[1]
            # Interpolated amplitudes are not quite orthonormal: the same determinant up to a factor near 1.
            assert np.linalg.slogdet(np.asarray(matrix)[:, number])[1] == pytest.approx(expected, abs=0.02)
        begin += len(blocks[spin])


def test_between_nodes_the_energy_is_that_of_hartree_fock() -> None:
    """Variational, and within 10⁻³ E0 per electron of the solution at that λ."""
    started = orbitals(SIX, 4)
    lams = [0.55, 0.8, 1.2]
    for lam, branches in zip(lams, search(SIX, lams, cutoff=CUTOFF), strict=True):
        field, blocks = determinant(started, lam, 1)
        energy = field.apply(blocks)[0].energy / 6
        assert energy > lowest(branches).energy - 1e-6
        if "crystal" in branches:
            assert energy == pytest.approx(branches["crystal"].energy, abs=2e-3)


TWO = replace(FAMILY, electrons=(2, 0), supercell=SQRT3, parameters=("lam", "U"), ranges=((0.5, 1.3), (6.0, 12.0)))
PHASES = replace(TWO, parameters=("lam", "phase_deg"), ranges=((0.5, 1.3), (0.0, 30.0)))


@pytest.mark.parametrize(
    ("family", "place"),
    [(TWO, {"lam": 0.6, "U": 11.0}), pytest.param(PHASES, {"lam": 1.2, "phase_deg": 4.0}, marks=pytest.mark.slow)],
)
def test_orbitals_follow_every_parameter(family: Hamiltonian, place: dict[str, float]) -> None:
    """Between the nodes of two parameters; orbitals that follow λ alone miss it by a hundred times as much, or more."""
    settings: Any = {"cutoff": 30.0, "complex": False, "dtype": jnp.float64}
    best = lowest(search(family, [place], cutoff=30.0)[0]).energy
    excess = []
    for orders in ({"lam": 4, family.parameters[1]: 3}, {"lam": 4}):
        started = HartreeFockOrbitals(Series.following(family, orders), 1, **settings).started()
        field, blocks = determinant(started, place, 0)
        excess.append(field.apply(blocks)[0].energy / 2 - best)
    assert -1e-6 < excess[0] < 1e-5 < 1e-3 < excess[1]


def test_determinants_are_the_liquid_and_the_registries_of_the_crystal() -> None:
    """⟨ρ_K⟩ zero, then large; and its phase moves by a third of a turn from one registry to the next."""
    started = orbitals(SIX, 4)
    k = FAMILY.supercell.k_point
    values, angles = [], []
    for number in range(4):
        field, blocks = determinant(started, 1.25, number)
        structure = field.structure(blocks, k)
        assert structure is not None
        values.append(structure[0])
        angles.append(np.angle((field.density(blocks) * np.exp(1j * field.basis.grid_points() @ k)).sum()))
    assert values[0] < 1e-8 and min(values[1:]) > 0.1
    turns = np.sort(np.mod(np.array(angles[1:]) - angles[1], 2 * np.pi)) / (2 * np.pi)
    np.testing.assert_allclose(turns, [0, 1 / 3, 2 / 3], atol=1e-3)


@pytest.mark.parametrize(
    ("family", "tolerance"), [(SIX, 1e-8), (SPINFUL, 1e-8), (TWISTED, 5e-3)], ids=["real", "spinful", "complex"]
)
def test_the_first_of_several_determinants_is_that_of_the_bands(family: Hamiltonian, tolerance: float) -> None:
    """As `BlochOrbitals` has them; determinants of rotated orbitals differ by a constant factor.

    With a twist the waves up to the cut-off are not quite the same ones.
    """
    series = Series(family, ("lam",), (3,))
    settings: Any = {"cutoff": 200.0, "complex": any(family.twist), "dtype": jnp.float64}
    bare = HartreeFockOrbitals(series, 1, **settings)
    tables = [jnp.asarray(bare._bands(spin))[:, :, :, None] for spin in range(len(bare.amplitudes))]
    own = eqx.tree_at(lambda o: o.amplitudes, bare, tables)
    bloch = BlochOrbitals(series, **settings).started()
    point = jnp.asarray([float(np.mean(family.ranges[0]))])
    ratios = []
    for x in random_positions(family, 4, 5):
        pairs = zip(own(x, point), bloch(x, point), strict=True)
        ratios.append([np.linalg.det(matrix[:, 0]) / np.linalg.det(other[:, 0]) for matrix, other in pairs])
    np.testing.assert_allclose(ratios, np.broadcast_to(ratios[0], np.shape(ratios)), rtol=tolerance)


@pytest.mark.parametrize("ansatz", ["psiformer", "slater"])
def test_every_ansatz_starts_as_the_determinant(ansatz: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started = orbitals(SPINFUL, 1)
    monkeypatch.setattr(HartreeFockOrbitals, "started", lambda self: started)
    off = {"orbitals": "hartree_fock", "determinants": 1, "jastrow": False, "envelope": False}
    model = SMALL.model_copy(update={"ansatz": ansatz, "hf_order": ORDER, "hf_cutoff": CUTOFF, **off})
    x, p = random_positions(SPINFUL, 3, 5), jnp.asarray([[0.4], [1.0], [1.5]])
    sign, log = evaluate(build(model, SPINFUL, dtype=jnp.float64), x, p)
    for position, point, s, value in zip(x, p, sign, log, strict=True):
        pairs = [np.linalg.slogdet(np.asarray(matrix)[:, 0]) for matrix in started(position, point)]
        assert s == pytest.approx(np.prod([pair[0] for pair in pairs]))
        assert value == pytest.approx(sum(pair[1] for pair in pairs), rel=1e-9)


def test_frozen_orbitals_are_those_that_the_network_dresses_but_no_parameters() -> None:
    change = {"ansatz": "psiformer", "determinants": 2, "orbitals": "hartree_fock"}
    model = SMALL.model_copy(update={"hf_order": ORDER, "hf_cutoff": CUTOFF, **change})
    x, p = random_positions(SPINFUL, 1, 4), jnp.asarray([[0.9]])

    def layout_and_scores(trained: bool) -> tuple[Any, Any, Any]:
        chosen = model.model_copy(update={"hf_trained": trained})
        psi = perturbed(build(chosen, SPINFUL, dtype=jnp.float64, start=False), 3)
        layout = parameter_layout(psi)
        assert eqx.tree_equal(layout.rebuild(layout.parameters), psi)
        scores = walker_functions(psi, laplacian="forward").scores(layout.parameters, x[None], p)
        return psi, layout, scores[0, 0, 0]

    (free, full, scores), (frozen, layout, fewer) = layout_and_scores(True), layout_and_scores(False)
    value = log_psi(free, x[0], p[0])[1]
    assert value == log_psi(frozen, x[0], p[0])[1] and np.isfinite(value)
    amplitudes = free.head.dressings["hartree_fock"].amplitudes
    assert parameter_count(free) - parameter_count(frozen) == sum(leaf.size for leaf in amplitudes)
    assert fewer.size == layout.trainable < layout.parameters.size and scores.size == full.trainable
    slopes = full.rebuild(scores)
    assert all(np.any(leaf) for leaf in slopes.head.dressings["hartree_fock"].amplitudes)
    # With zeros for the frozen ones, the scores of the others are in their places.
    whole = layout.rebuild(jnp.pad(fewer, (0, layout.parameters.size - fewer.size)))
    zeros = [jnp.zeros_like(leaf) for leaf in amplitudes]
    expected = eqx.tree_at(lambda psi: psi.head.dressings["hartree_fock"].amplitudes, slopes, zeros)
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(whole.head.network.weights[0], slopes.head.network.weights[0])


def test_derivatives_of_the_dressed_orbitals(monkeypatch: pytest.MonkeyPatch) -> None:
    started = orbitals(TWISTED, 4)
    monkeypatch.setattr(HartreeFockOrbitals, "started", lambda self: started)
    change = {"ansatz": "psiformer", "determinants": 4, "orbitals": "hartree_fock"}
    model = SMALL.model_copy(update={"hf_order": ORDER, "hf_cutoff": CUTOFF, **change})
    psi = perturbed(build(model, TWISTED, dtype=jnp.float64), 3)
    x, p = random_positions(TWISTED, 2, 4), jnp.full((2, 1), 0.9)
    forward, loop = (derivatives(psi, x, p, method) for method in ("forward", "loop"))
    for one, other in zip(forward, loop, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-7)


def test_only_a_new_run_solves_hartree_fock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ``start`` the orbitals have the same shapes and are zero: parameters from a file fill them in."""
    change = {"ansatz": "slater", "orbitals": "hartree_fock", "hf_order": 2, "hf_cutoff": 20.0}
    model = SMALL.model_copy(update=change)
    family = replace(FAMILY, electrons=(2, 0), supercell=SQRT3)
    solved = build(model, family)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("Hartree–Fock was solved")

    monkeypatch.setattr(families, "search", refuse)
    bare = build(model, family, start=False)
    assert jax.tree.structure(bare) == jax.tree.structure(solved)
    assert [leaf.shape for leaf in jax.tree.leaves(bare)] == [leaf.shape for leaf in jax.tree.leaves(solved)]
    assert not any(np.any(block) for block in bare.orbitals.amplitudes)
    assert all(np.any(block) for block in solved.orbitals.amplitudes)
    with pytest.raises(AssertionError, match="was solved"):
        build(model, family)


@pytest.mark.slow
@pytest.mark.parametrize("lam", [0.6, 1.2])
def test_the_sampled_energy_is_the_hartree_fock_energy(lam: float) -> None:
    """N = 6, at step 0 of a network ansatz: total energy, parts and order parameter."""
    settings = [
        f"family.lam={lam}",
        "model.orbitals=hartree_fock",
        "model.determinants=1",
        "model.jastrow=false",
        "model.envelope=false",
        "model.crystal_seed=false",
        "model.hf_cutoff=60",
        "train.precision=float64",
    ]
    config = load_config("n6", settings)
    model = Model("start", config, initial_wavefunction(config))
    best = lowest(search(config.hamiltonian(), [lam], cutoff=60.0)[0])
    sampled = model.at(lam).energy(150, walkers=128)
    for name in ("energy", "kinetic", "moire", "interaction"):
        quantity, exact = getattr(sampled, name), getattr(best.parts, name) / 6
        assert quantity.error < 0.1
        assert abs(quantity.value - exact) < 4 * quantity.error, name
    assert sampled.energy.error < 0.03
    order = []
    for chain in model.at(lam).sample(100, walkers=128):
        turns = np.exp(1j * chain @ config.hamiltonian().supercell.k_point).sum(-1)
        order.append(float((np.abs(turns) ** 2).mean()) / 36)
    assert best.order_parameter is not None
    error = np.std(order, ddof=1) / np.sqrt(len(order))
    assert abs(np.mean(order) - best.order_parameter) < 4 * error and error < 0.01


@pytest.mark.slow
def test_a_run_that_starts_from_hartree_fock_is_loaded_and_resumed(tmp_path: Path) -> None:
    import qernel

    settings = ["model.orbitals=hartree_fock", "model.hf_cutoff=20", "model.hf_order=2", "model.crystal_seed=false"]
    settings += ["train.groups=2", "train.walkers=8", "train.iterations=3", "train.burn_in=1", "train.moves=2"]
    run = train(load_config("n2", settings), tmp_path / "run")
    loaded = qernel.load(run)
    amplitudes = loaded.wavefunction.head.dressings["hartree_fock"].amplitudes
    assert all(np.any(np.asarray(block)) for block in amplitudes)
    assert np.isfinite(value_of(loaded.at(0.5).log_psi(np.random.default_rng(0).normal(size=(2, 2)))[1]))
