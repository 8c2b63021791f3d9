"""How often error bars hold the truth.

    coverage.py [REPETITIONS]                 made-up chains whose mean is known
    coverage.py MODEL LAM [CHAINS [RECORDS]]  a model: many chains, cut into small measurements

The first prints the share of REPETITIONS (1000) whose bar holds the exact mean, without and with the widening of
`qernel.estimators.student`; 68 % is nominal. The second draws CHAINS (704) of RECORDS (500) with the settings of the
model and takes disjoint pieces of 16 chains × 20 records, and of fewer and more chains, against the mean of all.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from unittest import mock

import numpy as np
import numpy.typing as npt

from qernel.estimators.doubts import RHAT_LIMIT
from qernel.estimators.statistics import summarise, summarise_components

FloatArray = npt.NDArray[np.float64]

CHAINS = (2, 4, 8, 16, 64)
PIECES = ((2, 20), (4, 20), (16, 20), (64, 20))


def autoregressive(rng: np.random.Generator, shape: tuple[int, ...], time: float) -> FloatArray:
    """Gaussian chains of mean 0 and variance 1 along axis 1, with integrated autocorrelation time ``time``."""
    rho = (time - 1) / (time + 1)
    x = rng.normal(size=shape)
    for t in range(1, shape[1]):
        x[:, t] = rho * x[:, t - 1] + np.sqrt(1 - rho**2) * x[:, t]
    return x


def switching(rng: np.random.Generator, shape: tuple[int, ...], time: float, share: float) -> FloatArray:
    """Chains that jump between 0 and 1, at 1 for ``share`` of the time, with noise of 0.1; mean subtracted."""
    stay = (time - 1) / (time + 1)
    x = (rng.random(shape) < share).astype(np.float64)
    keep = rng.random(shape) < stay
    for t in range(1, shape[1]):
        x[:, t] = np.where(keep[:, t], x[:, t - 1], x[:, t])
    return x - share + 0.1 * rng.normal(size=shape)


PROCESSES = {
    "Gaussian, τ = 3, 400 records": (400, lambda rng, shape: autoregressive(rng, shape, 3.0)),
    "Gaussian, τ = 3, 20 records": (20, lambda rng, shape: autoregressive(rng, shape, 3.0)),
    "Gaussian, τ = 20, 20 records": (20, lambda rng, shape: autoregressive(rng, shape, 20.0)),
    "Gaussian, τ = 100, 20 records": (20, lambda rng, shape: autoregressive(rng, shape, 100.0)),
    "two phases, 1 : 1, τ = 10, 40 records": (40, lambda rng, shape: switching(rng, shape, 10.0, 0.5)),
    "two phases, 1 : 6, τ = 10, 40 records": (40, lambda rng, shape: switching(rng, shape, 10.0, 1 / 7)),
    "two phases, 1 : 6, τ = 40, 40 records": (40, lambda rng, shape: switching(rng, shape, 40.0, 1 / 7)),
}
"""Records and series ``[chains, records, repetitions]`` of mean 0."""


def covered(series: FloatArray) -> float:
    """The share of repetitions whose bar holds 0."""
    found = summarise_components(series)
    return float(np.mean(np.abs(found.mean) <= found.error))


def made_up(repetitions: int) -> Iterator[str]:
    """A row for each process."""
    yield "| | " + " | ".join(f"{chains} chains" for chains in CHAINS) + " |"
    yield "|---" * (1 + len(CHAINS)) + "|"
    for number, (name, (records, draw)) in enumerate(PROCESSES.items()):
        cells = []
        for chains in CHAINS:
            series = draw(np.random.default_rng([number, chains]), (chains, records, repetitions))
            with mock.patch("qernel.estimators.statistics.widening", lambda *_: 1.0):
                before = covered(series)
            cells.append(f"{before:.0%} → {covered(series):.0%}")
        yield f"| {name} | " + " | ".join(cells) + " |"


def drawn(name: str, lam: float, chains: int, records: int) -> dict[str, FloatArray]:
    """Order parameter and interaction energy per electron of a model, ``[chains, records]``."""
    import jax
    import jax.numpy as jnp

    import qernel
    from qernel.estimators.order_parameter import crystal_order

    state = qernel.load(name).at(lam)
    hamiltonian, point = state.model.hamiltonian, jnp.asarray(state.point)
    potential = jax.jit(jax.vmap(lambda x: hamiltonian.potential(x, point).interaction / hamiltonian.count))
    order, interaction = [], []
    for record in state.records(records, chains, None, energies=False, progress=None):
        positions = jnp.asarray(record.positions)
        order.append(crystal_order(positions, hamiltonian.supercell))
        interaction.append(potential(positions))
    return {"order parameter": np.stack(order, axis=1), "interaction": np.stack(interaction, axis=1)}


def pieces(series: FloatArray, most: int = 600) -> Iterator[str]:
    """Coverage of small measurements cut out of a large one, and how often R̂ says that something is wrong."""
    truth = float(series.mean())
    for chains, records in PIECES:
        rows, columns = series.shape[0] // chains * chains, series.shape[1] // records * records
        cut = series[:rows, :columns].reshape(-1, chains, columns // records, records).swapaxes(1, 2)
        found = [summarise(piece) for piece in cut.reshape(-1, chains, records)[:most]]
        distance = np.array([abs(one.mean - truth) / one.error for one in found])
        warned = np.mean([not one.rhat <= RHAT_LIMIT for one in found])
        yield (
            f"| {chains} × {records} | {len(found)} | {np.mean(distance <= 1):.0%} | {np.mean(distance <= 2):.0%} | "
            f"{distance.max():.1f} | {warned:.0%} |"
        )


def main(arguments: list[str]) -> None:
    """Print a table."""
    if not arguments or arguments[0].isdigit():
        print("\n".join(made_up(int(arguments[0]) if arguments else 1000)))
        return
    lam, *sizes = arguments[1:]
    chains, records = [*map(int, sizes), *(704, 500)[len(sizes) :]]
    for name, series in drawn(arguments[0], float(lam), chains, records).items():
        print(f"{name}\n| chains × records | pieces | within 1 σ | within 2 σ | largest, σ | R̂ > {RHAT_LIMIT} |")
        print("|---|---|---|---|---|---|", *pieces(series), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
