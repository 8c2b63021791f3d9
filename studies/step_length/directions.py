"""Is the direction of an update downhill for walkers that did not make it?

    python studies/step_length/directions.py RUN [BATCHES]

The parameters of a run are frozen; its walkers (64 a group at most) move on and leave BATCHES (16) batches of score
rows Ō and residuals ε. Directions φ come from the first three quarters, and the slope ε·Ōφ is measured with the last
quarter, per unit of the length |Ōφ| in the Fisher metric: the energy of all electrons falls by twice that slope, to
first order.
A direction that follows the noise of its own walkers has none of it. Printed for the momentum that the run has
accumulated, and for SPRING from one batch and from all with several dampings, with and without that momentum.
"""

from __future__ import annotations

import sys
from pathlib import Path

from qernel.runtime import configure

configure()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from qernel.config import load_config  # noqa: E402
from qernel.estimators.batched import walker_functions  # noqa: E402
from qernel.sampling.population import Population  # noqa: E402
from qernel.training.filling import drift_fractions, family_points  # noqa: E402
from qernel.training.folder import RunFolder  # noqa: E402
from qernel.training.run import initial_state, initial_wavefunction  # noqa: E402
from qernel.training.step import sampled  # noqa: E402
from qernel.training.system import centred_system  # noqa: E402

MOST, MOVES, SWAP = 64, 20, 10
DAMPINGS, MOMENTA = (0.01, 0.1, 1.0, 10.0), (0.0, 0.5, 0.95)


def batches(run: Path, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Score rows ``[batches, n, P]``, residuals ``[batches, n]`` and the momentum of the run ``[P]``."""
    config = load_config(run / "config.toml")
    train, template = config.train, initial_wavefunction(config, start=False)
    state, *_ = RunFolder(run, config, template).checkpoints.load(initial_state(config, template))
    functions, hamiltonian = walker_functions(template, laplacian=train.laplacian), template.hamiltonian
    population = Population.of(functions.log_modulus, hamiltonian)

    @jax.jit
    def batch(walkers, fractions, key):  # type: ignore[no-untyped-def]
        fractions = drift_fractions(key, fractions, train.drift)
        points = family_points(hamiltonian, fractions, train)
        keys = jax.random.split(key, walkers.log_modulus.shape)
        shared = (state.parameters, jnp.zeros((), jnp.int32))
        advanced, energies, scores = sampled(
            functions, population, shared, walkers, points, keys, moves=MOVES, exchange_every=SWAP
        )
        rows, residuals, _, _ = centred_system(energies.total, scores, clip=train.clip, balance=train.balance)
        return advanced.walkers, fractions, rows.reshape(-1, rows.shape[-1]), residuals.reshape(-1)

    positions, log_modulus = state.walkers.positions[:, :MOST], state.walkers.log_modulus[:, :MOST]
    walkers, fractions = state.walkers._replace(positions=positions, log_modulus=log_modulus), state.fractions
    found = []
    for number in range(count):
        walkers, fractions, *system = batch(walkers, fractions, jax.random.fold_in(jax.random.key(11), number))
        found.append([np.asarray(part) for part in system])
    rows, residuals = (np.stack(parts) for parts in zip(*found, strict=True))
    return rows, residuals.astype(np.float64), np.asarray(state.optimiser.direction)


def solved(rows: np.ndarray, residuals: np.ndarray, previous: np.ndarray, damping: float) -> np.ndarray:
    """SPRING's direction from several batches at once, ``[P]``."""
    matrix = np.concatenate(list(rows)) / len(rows) ** 0.5
    target = residuals.reshape(-1) / len(rows) ** 0.5 - matrix @ previous
    kernel = (matrix @ matrix.T).astype(np.float64)
    return previous + np.linalg.solve(kernel + damping * np.eye(len(target)), target) @ matrix


def main(run: Path, count: int) -> None:
    """Print the table."""
    rows, residuals, momentum = batches(run, count)
    used = count - count // 4

    def show(name: str, direction: np.ndarray) -> None:
        along = np.einsum("bnp,p->bn", rows[used:], direction.astype(rows.dtype), optimize=True)
        length = float(np.sqrt((along**2).sum(1).mean()))
        slopes = (residuals[used:] * along).sum(1) / length
        error = slopes.std(ddof=1) / len(slopes) ** 0.5
        norm = np.linalg.norm(direction)
        print(f"{name:40s} |φ| {norm:8.3f}  Fisher length {length:7.3f}  slope {slopes.mean():7.3f}({error:.3f})")

    print(f"{rows.shape[1]} walkers a batch, {rows.shape[2]} parameters")
    show("momentum of the run", momentum)
    for batch_count in (1, used):
        for damping in DAMPINGS:
            for factor in MOMENTA:
                direction = solved(rows[:batch_count], residuals[:batch_count], factor * momentum, damping)
                show(f"{batch_count} batches, damping {damping:g}, momentum {factor:g}", direction)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 16)
