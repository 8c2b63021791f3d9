"""Diffusion Monte Carlo of the polarised 2D electron gas with the nodes of plane waves: a second implementation.

    python studies/projection/single_electron_moves.py 57 5 --time-step 1 0.5

It shares nothing with Qernel. One electron moves at a time, inverses are updated by Sherman–Morrison, walkers are born
and die in whole numbers, the Jastrow factor is a polynomial of pairs and shells of |ρ_k|² fitted to the spread of local
energies. Effective atomic units (Hartree*, Bohr*): H = Σ −½∇² + Σ 1/r on a square of area N π r_s², with the
self-image energy; double precision.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)
Array = jax.Array


class Gas(NamedTuple):
    """The system: side of the square, waves k (half of a closed shell without 0) and their shells, Ewald sum."""

    side: float
    waves: Array
    shell: Array
    alpha: float
    long: Array
    constant: float


def nearest(gas: Gas, apart: Array) -> Array:
    """The nearest image of a distance."""
    return apart - gas.side * jnp.round(apart / gas.side)


class Walker(NamedTuple):
    """Positions (N, 2); transposed inverse (electron, orbital) of the matrix of orbitals; sums of orbitals."""

    place: Array
    inverse: Array
    sums: Array


def make_gas(electrons: int, density: float, splitting: float = 8.0) -> Gas:
    """The gas at r_s = `density`; `splitting` times 1/side divides the Ewald sum into near and far."""
    side = float(np.sqrt(np.pi * electrons) * density)
    whole = np.array([(x, y) for x in range(9) for y in range(-8, 9) if x > 0 or y > 0])
    square = (whole**2).sum(1)
    order = np.argsort(square, kind="stable")
    half, last = (electrons - 1) // 2, np.sort(square)
    assert electrons % 2 == 1 and (half == 0 or last[half - 1] < last[half]), "no closed shell"
    waves, square = whole[order[:half]], square[order[:half]]
    alpha, count = splitting / side, int(1.4 * splitting)
    n = np.stack(np.meshgrid(np.arange(-count, count + 1), np.arange(-count, count + 1), indexing="ij"), -1)
    q = 2 * np.pi / side * np.sqrt((n**2).sum(-1))
    q[count, count] = 1.0
    long = 2 * np.pi / q * np.array(jax.scipy.special.erfc(q / (2 * alpha))) / side**2
    long[count, count] = -2 * np.sqrt(np.pi) / alpha / side**2
    constant = -electrons * alpha / np.sqrt(np.pi)
    shell = jnp.unique(square, return_inverse=True)[1]
    return Gas(side, 2 * np.pi / side * jnp.array(waves), shell, alpha, long, constant)


def potential(gas: Gas, place: Array) -> Array:
    """½ Σ_ij v(r_i − r_j) with the self-image energy: near pairs by erfc, far ones by Fourier components."""
    i, j = np.triu_indices(len(place), 1)
    distance = jnp.sqrt((nearest(gas, place[i] - place[j]) ** 2).sum(-1))
    near = jax.scipy.special.erfc(gas.alpha * distance) / distance
    count = len(gas.long) // 2
    phases = jnp.exp(2j * jnp.pi / gas.side * place[..., None] * jnp.arange(-count, count + 1))
    density = phases[:, 0].T @ phases[:, 1]
    return near.sum() + 0.5 * (gas.long * jnp.abs(density) ** 2).sum() + gas.constant


def orbitals(gas: Gas, r: Array) -> tuple[Array, Array]:
    """The waves 1, cos kr, sin kr at a point, and their gradients (orbital, 2)."""
    c, s = jnp.cos(gas.waves @ r), jnp.sin(gas.waves @ r)
    gradient = jnp.concatenate([jnp.zeros((1, 2)), -s[:, None] * gas.waves, c[:, None] * gas.waves])
    return jnp.concatenate([jnp.ones(1), c, s]), gradient


def pair(gas: Gas, numbers: Array, apart: Array) -> tuple[Array, Array, Array]:
    """u, u'/r and u'' + u'/r of pairs: (1 − x)³ times a polynomial of x = 2r/side; u'(0) = −numbers[0]."""
    square, reach = (apart**2).sum(-1), gas.side / 2
    r = jnp.sqrt(jnp.where(square > 0, square, 1.0))
    powers = jnp.array([*numbers[:1:-1], 3 * numbers[1] - reach * numbers[0], numbers[1]])
    u = jnp.convolve(jnp.array([-1.0, 3.0, -3.0, 1.0]), powers)
    u, first, second = (jnp.polyval(jnp.polyder(u, n), jnp.minimum(r / reach, 1.0)) / reach**n for n in range(3))
    keep = square > 0
    return jnp.where(keep, u, 0.0), jnp.where(keep, first / r, 0.0), jnp.where(keep, second + first / r, 0.0)


def coefficients(gas: Gas, numbers: Array) -> tuple[Array, Array]:
    """The numbers of pairs, and one number an orbital of the factor exp(−½ Σ a_m (Σ_i φ_m(r_i))²)."""
    a = numbers[5:][gas.shell]
    return numbers[:5], jnp.concatenate([jnp.zeros(1), a, a])


def no_jastrow(gas: Gas) -> Array:
    """The numbers of a Jastrow factor of one: cusp, four of pairs, one a shell."""
    return jnp.zeros(5 + int(gas.shell.max()) + 1)


def log_jastrow(gas: Gas, numbers: Array, place: Array) -> Array:
    """The logarithm of the Jastrow factor."""
    pairs, a = coefficients(gas, numbers)
    sums = jax.vmap(partial(orbitals, gas))(place)[0].sum(0)
    return -0.5 * (a * sums**2).sum() - 0.5 * pair(gas, pairs, nearest(gas, place[:, None] - place))[0].sum()


def prepare(gas: Gas, place: Array) -> Walker:
    """A walker from positions."""
    matrix = jax.vmap(partial(orbitals, gas))(place)[0]
    return Walker(place, jnp.linalg.inv(matrix).T, matrix.sum(0))


def local_energy(gas: Gas, numbers: Array, walker: Walker) -> Array:
    """E_L: the determinant's part of ∇²ψ/ψ is −Σk², a constant."""
    pairs, a = coefficients(gas, numbers)
    gradient = jax.vmap(partial(orbitals, gas))(walker.place)[1]
    apart = nearest(gas, walker.place[:, None] - walker.place)
    _, slope, laplacian = pair(gas, pairs, apart)
    determinant = jnp.einsum("im,imd->id", walker.inverse, gradient)
    jastrow = -jnp.einsum("m,imd->id", a * walker.sums, gradient) - (slope[..., None] * apart).sum(1)
    k2 = (gas.waves**2).sum(1)
    k2 = jnp.concatenate([jnp.zeros(1), k2, k2])
    second = (a * k2 * (walker.sums**2 - len(apart) / 2)).sum() - laplacian.sum()
    kinetic = k2.sum() - 2 * (determinant * jastrow).sum() - second - (jastrow**2).sum()
    return 0.5 * kinetic + potential(gas, walker.place)


def velocity(gas: Gas, numbers: Array, walker: Walker, i: Array, r: Array) -> tuple[Array, Array, Array, Array]:
    """Of electron i at r: ratio of determinants, ∇_i log ψ, orbitals, and log of the Jastrow factor's part with i."""
    pairs, a = coefficients(gas, numbers)
    value, gradient = orbitals(gas, r)
    row = walker.inverse[i]
    ratio = value @ row
    sums = walker.sums - orbitals(gas, walker.place[i])[0] + value
    apart = nearest(gas, r - walker.place)
    others = jnp.arange(len(apart)) != i
    u, slope, _ = pair(gas, pairs, apart)
    drift = row @ gradient / ratio - (a * sums) @ gradient - ((slope * others)[:, None] * apart).sum(0)
    return ratio, drift, value, -0.5 * (a * sums**2).sum() - (u * others).sum()


def limited(drift: Array, step: float) -> Array:
    """The mean drift over a time step near a node (Umrigar, Nightingale and Runge)."""
    size = (drift**2).sum() * step + 1e-300
    return drift * (jnp.sqrt(1 + 2 * size) - 1) / size


def move(gas: Gas, numbers: Array, step: float, walker: Walker, i: Array, key: Array) -> tuple[Walker, Array]:
    """One electron drifts, diffuses, and is accepted or not; the inverse follows. Also Δr² proposed and accepted."""
    normal, uniform = jax.random.split(key)
    old = walker.place[i]
    _, drift, before, jastrow = velocity(gas, numbers, walker, i, old)
    there = limited(drift, step) * step
    jump = there + jnp.sqrt(step) * jax.random.normal(normal, (2,))
    ratio, drift, value, after = velocity(gas, numbers, walker, i, old + jump)
    back = limited(drift, step) * step
    green = (((jump - there) ** 2).sum() - ((jump + back) ** 2).sum()) / (2 * step)
    chance = 2 * jnp.log(jnp.abs(ratio)) + 2 * (after - jastrow) + green
    accept = (ratio > 0) & (jnp.log(jax.random.uniform(uniform)) < chance)
    change = jnp.where(accept, (walker.inverse @ (value - before)) / ratio, 0.0)
    place = walker.place.at[i].add(jnp.where(accept, jump, 0.0))
    inverse = walker.inverse - change[:, None] * walker.inverse[i]
    moved = Walker(place, inverse, walker.sums + jnp.where(accept, value - before, 0.0))
    return moved, (jump**2).sum() * jnp.stack([jnp.ones(()), accept * 1.0])


@partial(jax.jit, static_argnums=(0, 5))
def sweeps(static: tuple[int, bool], gas: Gas, numbers: Array, state: tuple, step: float, count: int, key: Array):
    """`count` sweeps of all walkers: (energies, walkers alive, trial energies, acceptance), and the state.

    The state is the walkers' positions, which of them are alive, and the trial energy's centre. Weights are those of
    the effective time step; local energies are cut at 0.2 √(N/τ) from the centre. Copies are whole numbers. `static` is
    the number of walkers aimed at and whether they branch; without, this samples ψ² in one pocket of its nodes.
    """
    target, branch = static
    place, alive, centre = state
    electrons = place.shape[1]
    walkers = jax.vmap(partial(prepare, gas))(place)
    energy = jax.vmap(partial(local_energy, gas, numbers))(walkers)
    cut = 0.2 * jnp.sqrt(electrons / step)

    def one(carry: tuple, key: Array) -> tuple[tuple, tuple]:
        walkers, energy, alive = carry
        keys = jax.random.split(key, 1 + len(energy) // 25)

        def electron(walkers: Walker, argument: tuple[Array, Array]) -> tuple[Walker, Array]:
            i, key = argument
            each = jax.random.split(key, len(walkers.place))
            return jax.vmap(partial(move, gas, numbers, step), (0, None, 0))(walkers, i, each)

        def few(argument: tuple[Walker, Array]) -> tuple[Walker, Array]:
            order = (jnp.arange(electrons), jax.random.split(argument[1], electrons))
            walkers, squares = jax.lax.scan(electron, argument[0], order)
            return walkers, squares.sum(0)

        parts = jax.tree.map(lambda leaf: leaf.reshape(-1, 25, *leaf.shape[1:]), walkers)  # that fit into a cache
        parts, squares = jax.lax.map(few, (parts, keys[1:]))
        walkers, squares = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), (parts, squares))
        new = jax.vmap(partial(local_energy, gas, numbers))(walkers)
        squares = (squares * alive[:, None]).sum(0)
        effective = step * squares[1] / squares[0]
        trial = centre - jnp.log(alive.sum() / target) / (50 * step)
        excess = 0.5 * (jnp.clip(energy - centre, -cut, cut) + jnp.clip(new - centre, -cut, cut)) + centre - trial
        weight = jnp.exp(-effective * excess) if branch else jnp.ones(len(energy))
        weight *= alive
        mean = (weight * new).sum() / weight.sum()
        spread = (weight * (new - mean) ** 2).sum() / weight.sum()
        record = (mean, weight.sum(), trial, squares[1] / squares[0], spread)
        copies = jnp.floor(weight + jax.random.uniform(keys[0], weight.shape)).astype(int) * alive
        ends = jnp.cumsum(copies)
        slots = jnp.arange(len(energy))
        source = jnp.minimum(jnp.searchsorted(ends, slots, side="right"), len(slots) - 1)
        walkers, new, alive = jax.tree.map(lambda leaf: leaf[source], (walkers, new, alive))
        return (walkers, new, slots < ends[-1]), record

    (walkers, _, alive), records = jax.lax.scan(one, (walkers, energy, alive), jax.random.split(key, count))
    return (walkers.place, alive, centre), records


def run(gas: Gas, numbers: Array, place: Array, step: float, total: int, *, branch: bool, seed: int = 1) -> tuple:
    """Sweeps in calls of 20, the trial energy's centre following the energy: positions of walkers, and records."""
    target = len(place)
    spare = target // 8 if branch else 0
    centre = energies(gas, numbers, place).mean()
    state = (jnp.concatenate([place, place[:spare]]), jnp.arange(target + spare) < target, centre)
    key, records = jax.random.key(seed), []
    for _ in range(0, total, 20):
        key, one = jax.random.split(key)
        state, record = sweeps((target, branch), gas, numbers, state, step, 20, one)
        records.append(np.array(record))
        centre = np.concatenate([r[0] for r in records[len(records) // 2 :]]).mean()
        state = (state[0], state[1], jnp.asarray(centre))
    return state[0][:target], np.concatenate(records, 1)


@jax.jit
def energies(gas: Gas, numbers: Array, place: Array) -> Array:
    """Local energies of walkers by their positions."""
    return jax.vmap(lambda one: local_energy(gas, numbers, prepare(gas, one)))(place)


def optimise(gas: Gas, place: Array, step: float, rounds: int = 5) -> tuple[Array, Array]:
    """The numbers of the Jastrow factor that make E_L vary least, by Gauss–Newton without outliers; and walkers."""
    numbers = no_jastrow(gas).at[0].set(1 / 3).at[1].set(gas.side / 30)
    for n in range(rounds):
        place, _ = run(gas, numbers, place, step, 20, branch=False, seed=n)
        residual, slope = energies(gas, numbers, place), jax.jit(jax.jacfwd(energies, 1))(gas, numbers, place)
        residual -= jnp.median(residual)
        inside = jnp.abs(residual) < 6 * jnp.median(jnp.abs(residual))
        residual, slope = residual[inside], slope[inside].at[:, 0].set(0.0)  # the cusp stays
        slope -= slope.mean(0)
        scale = jnp.sqrt((slope**2).mean(0)) + 1e-12
        change = jnp.linalg.lstsq(slope / scale, residual.mean() - residual, rcond=1e-3)[0] / scale
        trials = [numbers + f * change for f in (0.0, 0.25, 0.5, 1.0)]
        spread = [float(jnp.abs(e - jnp.median(e)).mean()) for e in (energies(gas, x, place) for x in trials)]
        numbers = trials[int(np.nanargmin(spread))]
        print(f"  mean deviation of E_L {spread[0]:.4f}, fitted {min(spread):.4f}", flush=True)
    return numbers, place


def error(series: np.ndarray) -> float:
    """The error of the mean of a correlated series: the largest over lengths of blocks with 16 blocks or more."""
    lengths = [n for n in 2 ** np.arange(20) if len(series) // n >= 16]
    blocks = [series[: len(series) // n * n].reshape(-1, n).mean(1) for n in lengths]
    return float(max(b.std(ddof=1) / np.sqrt(len(b)) for b in blocks))


def measure(gas: Gas, numbers: Array, place: Array, step: float, first: int, total: int, branch: bool) -> Array:
    """The energy of the sweeps from `first` on: lines, with the bias of population control taken out too; walkers."""
    begun, electrons = time.process_time(), len(place[0])
    place, record = run(gas, numbers, place, step, total, branch=branch, seed=7)
    energy, weight, trial, accepted, spread = record[:, first:]
    mean = (weight * energy).sum() / weight.sum()
    undo, window = np.cumsum(step * (mean - trial) * accepted), len(energy) // 20
    undone = weight[window:] * np.exp(undo[window:] - undo[:-window]) if branch else weight[window:]
    free = (undone * energy[window:]).sum() / undone.sum() / electrons
    quarters = " ".join(f"{part.mean() / electrons:.6f}" for part in np.array_split(energy, 4))
    name = f"projected, tau {step:g}" if branch else "variational"
    print(f"{name}: {mean / electrons:.7f} +- {error(energy) / electrons:.7f} Ha* an electron, quarters {quarters}")
    print(
        f"  without population control {free:.7f}, {weight.min():.0f} to {weight.max():.0f} walkers, accepted", end=" "
    )
    print(f"{accepted.mean():.5f}, spread of E_L {np.sqrt(spread.mean()):.4f}, {len(energy)} sweeps", end=", ")
    print(f"{time.process_time() - begun:.0f} s", flush=True)
    return place


def main() -> None:
    """Hartree–Fock energy, Jastrow factor, and the fixed-node energy at each time step."""
    parser = argparse.ArgumentParser(description="fixed-node diffusion Monte Carlo of the 2D electron gas")
    parser.add_argument("electrons", type=int)
    parser.add_argument("density", type=float, help="r_s")
    parser.add_argument("--walkers", type=int, default=200, help="a multiple of 25, and of 200 to branch")
    parser.add_argument("--time-step", type=float, nargs="+", default=[], help="1/Ha*")
    parser.add_argument("--time", type=float, default=240, help="imaginary time measured, 1/Ha*")
    parser.add_argument("--settle", type=float, default=40, help="imaginary time before that, 1/Ha*")
    parser.add_argument("--variational", type=int, default=40, help="sweeps of variational energies")
    given = parser.parse_args()
    gas = make_gas(given.electrons, given.density)
    place = gas.side * jax.random.uniform(jax.random.key(0), (given.walkers, given.electrons, 2))
    step, sweeps = 0.2 * given.density**2, 60 + given.variational
    place = measure(gas, no_jastrow(gas), place, step, 60, sweeps, False)
    numbers, place = optimise(gas, place, step)
    place = measure(gas, numbers, place, step, 0, given.variational, False)
    for step in given.time_step:
        settle, measured = int(given.settle / step), int(given.time / step)
        measure(gas, numbers, place, step, settle, settle + measured, True)


if __name__ == "__main__":
    main()
