"""One conformance list over every kind of move, registered or not: it needs nothing but its place in `MOVES`."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from scipy import stats

from qernel.config import load_config
from qernel.lattice import Supercell, fractional
from qernel.sampling.metropolis import Walkers, sweep
from qernel.sampling.moves import MOVES, Gaussian, Hop, Move, Stream, Translation, moves_of
from qernel.sampling.population import Population
from qernel.training.metrics import MetricsFile
from qernel.training.run import initial_state, initial_wavefunction
from qernel.training.step import make_step
from runs import TINY, measured

CELL = Supercell(((3, 0), (0, 3)))
WAVE = CELL.reciprocal[0]
STRENGTHS = np.array([0.4, -0.25])
"""|ψ|² ∝ Π_i (1 + a_i cos B_1·r_i)²: electrons that differ, so that swapping them is no symmetry."""


@dataclass(frozen=True)
class SpinExchange(Move):
    """One spin-up electron and one spin-down electron change places: a kind of move as somebody would add it."""

    name = "spin_exchange"

    @property
    def possible(self) -> bool:
        """Whether there are both spins."""
        return min(self.electrons) > 0

    def draw(self, stream: Stream, count: int, dtype: Any) -> tuple[Array, Array]:
        """Which two electrons."""
        up, down = self.electrons
        first = jax.random.randint(stream(4), (count,), 0, up)
        return first, up + jax.random.randint(stream(5), (count,), 0, down)

    def propose(self, positions: Array, width: Array, drawn: tuple[Array, Array]) -> Array:
        """See `Move.propose`."""
        first, second = drawn
        return positions.at[first].set(positions[second]).at[second].set(positions[first])


@dataclass(frozen=True)
class Forward(Move):
    """A move that is not symmetric: steps along a_1 and never back."""

    name = "forward"

    def draw(self, stream: Stream, count: int, dtype: Any) -> Array:
        """How far."""
        return jax.random.uniform(stream(9), (count,), dtype)

    def propose(self, positions: Array, width: Array, drawn: Array) -> Array:
        """See `Move.propose`."""
        return positions + drawn * jnp.asarray(self.supercell.primitive[0], positions.dtype)


KINDS = (*MOVES, SpinExchange)
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def made(kind: type[Move]) -> Move:
    move = kind(CELL, (1, 1))
    assert move.possible, "else the test would show nothing"
    return move


def log_modulus(positions: Array) -> Array:
    return jnp.log(1.0 + jnp.asarray(STRENGTHS) * jnp.cos(positions @ jnp.asarray(WAVE))).sum(-1)


def marginal(u: np.ndarray, a: float) -> np.ndarray:
    """Cumulative distribution of the turns s of B_1·r under (1 + a cos 2πs)²."""
    wave = u * (1 + a**2 / 2) + a / np.pi * np.sin(2 * np.pi * u) + a**2 / (8 * np.pi) * np.sin(4 * np.pi * u)
    return np.asarray(wave / (1 + a**2 / 2))


def exact_walkers(count: int, seed: int) -> Walkers:
    """Independent draws from |ψ|², by inversion along the first supercell vector."""
    rng = np.random.default_rng(seed)
    grid = np.linspace(0.0, 1.0, 20001)
    turns = [np.interp(rng.uniform(size=count), marginal(grid, a), grid) for a in STRENGTHS]
    fractions = np.stack([np.stack(turns, -1), rng.uniform(size=(count, 2))], axis=-1)
    positions = jnp.asarray(fractions @ CELL.vectors)[None]
    return Walkers(positions, log_modulus(positions), jnp.asarray([0.6]))


def bins(positions: np.ndarray, count: int) -> np.ndarray:
    """In which of count² bins of (B_1·r_1, B_1·r_2) a configuration is."""
    turns = np.asarray(fractional(positions, CELL.vectors))[..., 0] % 1.0
    index = np.minimum((turns * count).astype(int), count - 1)
    return np.asarray(index[..., 0] * count + index[..., 1])


def stationary(move: Move) -> tuple[float, float]:
    """p-value of exact walkers still being exact after this move alone, and the fraction accepted."""
    walkers = exact_walkers(6000, 5)
    step = jax.jit(lambda keys, state: sweep(keys, state, log_modulus, (move,), moves=2))
    for index in range(3):
        walkers, acceptance = step(jax.random.split(jax.random.key(index), (1, 6000)), walkers)
    edges = np.linspace(0.0, 1.0, 5)
    expected = np.outer(*(np.diff(marginal(edges, a)) for a in STRENGTHS)).ravel()
    counts = np.bincount(bins(np.asarray(walkers.positions[0]), 4), minlength=16)
    return float(stats.chisquare(counts, 6000 * expected).pvalue), float(acceptance[move.name].mean())


def symmetric(move: Move) -> float:
    """p-value of Bowker's test that, from uniform walkers, a → b is as frequent as b → a."""
    count = 30000
    positions = jax.random.uniform(jax.random.key(1), (count, 2, 2)) @ jnp.asarray(CELL.vectors)

    @jax.jit
    @jax.vmap
    def proposed(key: Array, x: Array) -> Array:
        drawn = move.draw(lambda number: jax.random.fold_in(key, number), 1, x.dtype)
        return move.propose(x, jnp.asarray(0.6), jax.tree.map(lambda leaf: leaf[0], drawn))

    after = proposed(jax.random.split(jax.random.key(2), count), positions)
    table = np.zeros((9, 9))
    np.add.at(table, (bins(np.asarray(positions), 3), bins(np.asarray(after), 3)), 1)
    upper = np.triu_indices(9, 1)
    total, difference = (table + table.T)[upper], (table - table.T)[upper]
    seen = total >= 10
    assert seen.any(), "the move goes nowhere"
    return float(stats.chi2.sf((difference[seen] ** 2 / total[seen]).sum(), seen.sum()))


@every_kind
def test_a_proposal_is_as_likely_as_its_reverse(kind: type[Move]) -> None:
    assert symmetric(made(kind)) > 1e-3


@every_kind
def test_exact_walkers_stay_exact(kind: type[Move]) -> None:
    p_value, accepted = stationary(made(kind))
    assert p_value > 1e-3
    assert 0.3 < accepted < 0.98, "a move that is always or never accepted would show nothing"


def test_both_checks_notice_a_move_that_is_not_symmetric() -> None:
    assert symmetric(Forward(CELL, (1, 1))) < 1e-6
    assert stationary(Forward(CELL, (1, 1)))[0] < 1e-6


@every_kind
def test_a_single_walker_keeps_its_shape_and_type(kind: type[Move]) -> None:
    move = made(kind)
    drawn = move.draw(lambda number: jax.random.key(number), 3, jnp.float32)
    assert {leaf.shape[0] for leaf in jax.tree.leaves(drawn)} == {3}
    first = jax.tree.map(lambda leaf: leaf[0], drawn)
    proposed = move.propose(jnp.ones((2, 2), jnp.float32), jnp.asarray(0.3, jnp.float32), first)
    assert proposed.shape == (2, 2) and proposed.dtype == jnp.float32


def test_no_two_kinds_share_a_name_or_random_numbers() -> None:
    used: list[int] = []

    def stream(number: int) -> Array:
        used.append(number)
        return jax.random.key(number)

    for kind in KINDS:
        made(kind).draw(stream, 1, jnp.float64)
    assert len(set(used)) == len(used)
    assert len({kind.name for kind in KINDS}) == len(KINDS)


def flat(positions: Array) -> Array:
    return jnp.zeros(positions.shape[:-2])


STORED = [
    [[1.485113004, 3.905800086], [3.318135585, 0.954020859], [1.0, 1.0]],
    [[2.5, 3.5], [4.165661097, 1.943443493], [3.784999795, 3.503935787]],
]
ACCEPTED = {
    "gaussian": [0.333333, 0.333333, 0.0, 0.0, 0.666667, 0.666667],
    "translation": [1.0, 0.0, 0.0, 1.0, 1.0, 0.0],
    "hop": [0.0, 0.0, 0.0, 1.0, 1.0, 0.0],
}
"""Places along x and accepted proposals of six walkers after one sweep, by the kernel of version 0.1."""


def test_the_random_numbers_of_a_walker_stay_what_they_are() -> None:
    def density(positions: Array) -> Array:
        return 1.5 * jnp.cos(positions @ jnp.asarray(WAVE)).sum(-1)

    places = jnp.ones((1, 6, 2, 2))
    start = Walkers(places, density(places), jnp.asarray([0.6]))
    keys = jax.random.split(jax.random.key(7), (1, 6))
    after, acceptance = jax.jit(lambda s: sweep(keys, s, density, moves_of(CELL, (2, 0)), moves=3))(start)
    np.testing.assert_allclose(after.positions[0, :, :, 0], np.reshape(STORED, (6, 2)), atol=1e-8)
    for name, stored in ACCEPTED.items():
        np.testing.assert_allclose(acceptance[name][0], stored, atol=1e-6)


def test_a_further_kind_changes_nothing_for_the_others() -> None:
    """One that is never accepted, at the end of the tuple."""

    @dataclass(frozen=True)
    class Nowhere(SpinExchange):
        name = "nowhere"

        def propose(self, positions: Array, width: Array, drawn: tuple[Array, Array]) -> Array:
            return jnp.full_like(positions, jnp.nan)

    walkers, keys = exact_walkers(50, 1), jax.random.split(jax.random.key(3), (1, 50))
    plain = moves_of(CELL, (1, 1))[:2]
    one, before = jax.jit(lambda w: sweep(keys, w, log_modulus, plain, moves=4))(walkers)
    further = (*plain, Nowhere(CELL, (1, 1)))
    other, after = jax.jit(lambda w: sweep(keys, w, log_modulus, further, moves=4))(walkers)
    np.testing.assert_array_equal(one.positions, other.positions)
    assert float(after.pop("nowhere").max()) == 0.0
    for name, accepted in before.items():
        np.testing.assert_array_equal(accepted, after[name])


def test_one_cell_has_nowhere_to_hop() -> None:
    cell = Supercell(((1, 0), (0, 1)))
    start = Walkers(jnp.ones((1, 2, 2, 2)), jnp.zeros((1, 2)), jnp.asarray([0.3]))
    keys = jax.random.split(jax.random.key(7), (1, 2))
    _, acceptance = jax.jit(lambda s: sweep(keys, s, flat, moves_of(cell, (2, 0)), moves=2))(start)
    assert {name: float(accepted.max()) for name, accepted in acceptance.items()} == {
        Gaussian.name: 1.0,
        Translation.name: 0.0,
        Hop.name: 0.0,
    }


def test_a_registered_kind_is_proposed_in_training_and_recorded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    older = MetricsFile(tmp_path / "metrics.csv", ("lam",), 0)
    older.append(1, measured())
    older.close()
    for module in ("sampling.moves", "training.metrics"):
        monkeypatch.setattr(f"qernel.{module}.MOVES", KINDS)
    config = load_config({**TINY, "system": {**TINY["system"], "electrons": [1, 1]}, "model": {"ansatz": "slater"}})
    template = initial_wavefunction(config)
    _, info = jax.eval_shape(make_step(template, config.train), initial_state(config, template))
    assert list(info.other_acceptance) == ["hop", "spin_exchange", "translation"]
    metrics = MetricsFile(tmp_path / "metrics.csv", ("lam",), 1)
    others = dict.fromkeys(("translation", "hop", "spin_exchange"), np.array([0.25, 0.5]))
    metrics.append(2, measured(other_acceptance=others))
    metrics.close()
    rows = list(csv.DictReader((tmp_path / "metrics.csv").read_text().splitlines()))
    assert [row["spin_exchange_acceptance"] for row in rows] == ["nan", "nan", "0.25", "0.5"]
    assert list(rows[0])[-1] == "spin_exchange_acceptance"


STRENGTH_AT = jnp.asarray([[0.3], [0.6]])


def conditioned(parameters: Array, positions: Array, points: Array) -> Array:
    return parameters[0] * points[:, :1] * jnp.cos(positions @ jnp.asarray(WAVE)).sum(-1)


def test_a_population_uses_the_parameters_and_points_it_is_given() -> None:
    """log|ψ| of before belongs to others; swaps are the same whether they are decided before or when it runs."""
    population = Population(conditioned, CELL, (Gaussian(CELL, (1, 1)),))
    positions = jax.random.uniform(jax.random.key(0), (2, 6, 2, 2)) @ jnp.asarray(CELL.vectors)
    stale = Walkers(positions, jnp.full((2, 6), 1e3), jnp.asarray([0.5, 0.5]))
    keys = jax.random.split(jax.random.key(1), (2, 6))

    def run(swap: bool | Array) -> Any:
        return population.advanced(jnp.asarray([2.0]), stale, STRENGTH_AT, keys, moves=1, swap=swap)

    swapped, late = jax.jit(lambda: run(True))(), jax.jit(run)
    decided, without = late(jnp.asarray(True)), late(jnp.asarray(False))
    assert float(without.acceptance["gaussian"].mean()) > 0.2, "log|ψ| of before would refuse everything"
    for result in (without, swapped):
        log = conditioned(jnp.asarray([2.0]), result.walkers.positions, STRENGTH_AT)
        np.testing.assert_allclose(result.walkers.log_modulus, log, rtol=1e-12)
    assert np.isnan(without.swapped).all() and np.isnan(swapped.swapped[1]).all()
    assert float(swapped.swapped[0].max()) == 1.0
    for left, right in zip(jax.tree.leaves(swapped), jax.tree.leaves(decided), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-13)
