"""Sampling a trained wavefunction at points of its family: chains, energies, configurations.

Measuring is kept apart from training: chains start anew, the step width adapts during
burn-in only, and every record keeps its chain index so that errors can account for autocorrelation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array
from jax.sharding import NamedSharding

from qernel.errors import NotFinite
from qernel.estimators.batched import walker_functions
from qernel.estimators.local_energy import LocalEnergy
from qernel.sampling.devices import REPLICATED, SPLIT, WALKERS, over_walkers, walker_mesh
from qernel.sampling.metropolis import Walkers
from qernel.sampling.moves import Gaussian
from qernel.sampling.population import ADVANCED, Population
from qernel.sampling.starts import start_walkers
from qernel.stopping import check
from qernel.wavefunction import Wavefunction, parameter_layout


class Record(NamedTuple):
    """One record of all chains ``[W]``: energies in E0 in total, positions ``[W, N, 2]``, acceptance.

    ``kinetic_imaginary`` is the imaginary part of the local energy: it averages to zero, but is part of its variance.
    """

    kinetic: npt.NDArray[np.float64]
    moire: npt.NDArray[np.float64]
    interaction: npt.NDArray[np.float64]
    gradient_kinetic: npt.NDArray[np.float64]
    kinetic_imaginary: npt.NDArray[np.float64]
    positions: npt.NDArray[np.float64]
    acceptance: npt.NDArray[np.float64]


class Replicas(NamedTuple):
    """A record of every point, and the fraction of swaps accepted since the last one between neighbours, ``[G - 1]``.

    Without exchange, and for one point, there is no such fraction: ``[0]``.
    """

    records: list[Record]
    exchange_acceptance: npt.NDArray[np.float64]


class ChainSampler:
    """Compiled sampling of one wavefunction, reused for every point of the family.

    Args:
        wavefunction: the trained ansatz.
        walkers: number of independent chains.
        laplacian: a key of `qernel.laplacian.methods.LAPLACIANS`.
        crystal_from: λ from which chains start as crystals (`qernel.sampling.starts.start_walkers`).
    """

    def __init__(
        self,
        wavefunction: Wavefunction,
        walkers: int,
        *,
        laplacian: str = "forward",
        chunk: int = 0,
        crystal_from: float | None = None,
    ):
        self.walkers = walkers
        self._crystal_from = crystal_from
        self._hamiltonian = wavefunction.hamiltonian
        self._parameters = parameter_layout(wavefunction).parameters
        self._functions = walker_functions(wavefunction, laplacian=laplacian, chunk=chunk)
        self._population = Population.of(self._functions.log_modulus, wavefunction.hamiltonian)
        mesh = walker_mesh(walkers)
        self._advance = jax.jit(
            lambda moves, swap, *arguments: over_walkers(
                partial(self._population.advanced, moves=moves, swap=swap), mesh, ADVANCED
            )(*arguments),
            static_argnums=(0, 1),
        )
        self._settle = jax.jit(over_walkers(self._population.settled, mesh, WALKERS))
        self._measure = jax.jit(over_walkers(self._local_energy, mesh, SPLIT))
        self._reweigh = jax.jit(over_walkers(self._weights_and_energies, mesh, (SPLIT, SPLIT)))
        # Inputs always lie where outputs do: anything else is compiled again, which takes longer than sampling.
        split, self._replicated = NamedSharding(mesh, SPLIT), NamedSharding(mesh, REPLICATED)
        self._layout = Walkers(split, split, self._replicated)  # type: ignore[arg-type]

    def of(self, wavefunction: Wavefunction) -> ChainSampler:
        """The same sampler for other parameters of the same ansatz: nothing is compiled again."""
        other = copy(self)
        other._parameters = parameter_layout(wavefunction).parameters
        return other

    def records(
        self,
        point: Array,
        *,
        samples: int,
        moves: int,
        burn_in: int,
        seed: int,
        target: float = 0.5,
        energies: bool = True,
        start: npt.ArrayLike | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Iterator[Record]:
        """Yield ``samples`` records at a point, ``moves`` Metropolis moves apart.

        Args:
            point: family parameters ``[p]``.
            samples: records per chain.
            moves: moves between records.
            burn_in: moves before the first record; the step width adapts after every ``moves`` of them.
            seed: of the chains; the same seed gives the same records.
            target: acceptance the step width is adapted to during burn-in.
            energies: whether to evaluate local energies (zeros otherwise).
            start: configurations ``[W, N, 2]`` in a_M before burn-in; otherwise see `crystal_from`.
            progress: called with the fraction done.

        Raises:
            NotFinite: if a walker has a local energy that is not finite.
        """
        options: dict[str, Any] = {"samples": samples, "moves": moves, "burn_in": burn_in, "seed": seed}
        options |= {"target": target, "energies": energies, "start": start, "progress": progress}
        for replicas in self.replicas(jnp.asarray(point)[None], swap=False, **options):
            yield replicas.records[0]

    def replicas(
        self,
        points: Array,
        *,
        samples: int,
        moves: int,
        burn_in: int,
        seed: int,
        target: float = 0.5,
        energies: bool = True,
        start: npt.ArrayLike | None = None,
        progress: Callable[[float], None] | None = None,
        swap: bool = True,
    ) -> Iterator[Replicas]:
        """The same at several points together, neighbours swapping configurations after every ``moves`` moves.

        Chains at one point stay independent of each other; chain w at one point and chain w at another are not.

        Args:
            points: ``[G, p]``, in the order in which they are neighbours.
            samples: records per chain.
            moves: moves between records.
            burn_in: moves before the first record.
            seed: of the chains.
            target: acceptance the step widths are adapted to.
            energies: whether to evaluate local energies.
            start: configurations ``[W, N, 2]`` before burn-in, the same at every point.
            progress: called with the fraction done.
            swap: whether there are swaps.
        """
        groups = len(points)
        swap = swap and groups > 1
        key = jax.random.key(seed)
        start_key, key = jax.random.split(key)
        check()  # before the start is compiled
        points = jnp.asarray(points, self._parameters.dtype)
        walkers = self._start(start_key, points, seed, start)
        blocks = -(-burn_in // moves)
        for block in range(blocks + samples):
            check()
            keys = jax.random.split(jax.random.fold_in(key, block), (groups, self.walkers))
            walkers, accepted, swapped = self._advance(moves, swap, self._parameters, walkers, points, keys)
            # Waiting here keeps one computation in flight: several that talk between devices can block each
            # other for ever on XLA's CPU thread pool.
            acceptance = _host(accepted[Gaussian.name])
            if progress:
                progress((block + 1) / (blocks + samples))
            if block >= blocks:
                records = self._records(walkers, points, keys, acceptance, energies)
                yield Replicas(records, _host(swapped)[:-1].mean(1) if swap else np.empty(0))
            else:
                # Large nudges first, so that a poor starting width costs little; frozen once measuring.
                rate = 1.0 if block < blocks // 2 else 0.3
                walkers = self._adapted(walkers, acceptance.mean(1), target, rate)

    def _records(
        self, walkers: Walkers, points: Array, keys: Array, acceptance: npt.NDArray[np.float64], energies: bool
    ) -> list[Record]:
        """What is recorded of the walkers at each point; zeros for energies that are not wanted."""
        parts = self._energies(walkers, points, keys, energies)
        columns = {**parts, "positions": _host(walkers.positions), "acceptance": acceptance}
        return [Record(**{name: column[group] for name, column in columns.items()}) for group in range(len(points))]

    def _start(self, key: Array, points: Array, seed: int, start: npt.ArrayLike | None) -> Walkers:
        """Walkers before burn-in, laid out over the devices; arguments as of `replicas`."""
        dtype = self._parameters.dtype
        settings: dict[str, Any] = {"crystal_from": self._crystal_from, "seed": seed, "dtype": dtype}
        walkers = start_walkers(key, self._hamiltonian, points, self.walkers, **settings)
        if start is not None:
            if np.shape(start) != walkers.positions.shape[1:]:
                raise ValueError(f"start has shape {np.shape(start)}: expected {walkers.positions.shape[1:]}")
            walkers = walkers._replace(positions=jnp.tile(jnp.asarray(start, dtype), (len(points), 1, 1, 1)))
        placed: Walkers = jax.device_put(walkers, self._layout)
        if start is None and self._crystal_from is not None:
            keys = jax.random.split(jax.random.fold_in(key, 1), walkers.positions.shape[:2])
            placed = self._settle(self._parameters, placed, points, keys)
        return placed

    def _adapted(self, walkers: Walkers, acceptance: npt.NDArray[np.float64], target: float, rate: float) -> Walkers:
        """The same walkers with step widths changed towards an acceptance, given that of each group ``[G]``."""
        width = self._population.adapted(_host(walkers.width), acceptance, target=target, rate=rate)
        return walkers._replace(width=jax.device_put(np.asarray(width, walkers.width.dtype), self._replicated))

    def _energies(
        self, walkers: Walkers, points: Array, keys: Array, wanted: bool
    ) -> dict[str, npt.NDArray[np.float64]]:
        """The energies of a `Record` for every chain ``[G, W]``; zeros if they are not wanted."""
        if not wanted:
            nothing = np.zeros((len(points), self.walkers))
            return dict.fromkeys([*LocalEnergy._fields, "kinetic_imaginary"], nothing)
        energies = _parts(self._measure(self._parameters, walkers, points, keys))
        bad = ~np.isfinite(sum(energies.values()))
        if bad.any():
            group = int(bad.any(axis=1).argmax())
            place = self._hamiltonian.parameters[0], float(points[group, 0])
            raise NotFinite(
                "at {} = {:.6g} the local energy of {} of {} walkers is not finite, so there is no mean: "
                "sample with another seed; if it comes back, the numbers of the model are out of range there, "
                'train it further or with train.precision = "float64"'.format(
                    *place, int(bad[group].sum()), self.walkers
                )
            )
        return energies

    def reweighed(self, points: Array, record: Record) -> tuple[npt.NDArray[np.float64], Record]:
        """The weights of a record at another point, and the record with the local energies of that point.

        Args:
            points: where it was drawn and where it is wanted, ``[2, p]``.
            record: of this sampler.

        Returns:
            log |ψ_wanted/ψ_drawn|² ``[W]``, and the record.
        """
        dtype = self._parameters.dtype
        shape = (1, self.walkers)
        start = Walkers(jnp.asarray(record.positions, dtype)[None], jnp.zeros(shape, dtype), jnp.ones(1, dtype))
        walkers = jax.device_put(start, self._layout)
        keys = jax.random.split(jax.random.key(0), shape)
        logs, energies = self._reweigh(self._parameters, walkers, jnp.asarray(points, dtype), keys)
        parts = {name: part[0] for name, part in _parts(energies).items()}
        return _host(logs)[0], record._replace(**parts)

    def _local_energy(self, parameters: Array, walkers: Walkers, points: Array, keys: Array) -> LocalEnergy:
        return self._functions.local_energy(parameters, walkers.positions, points)

    def _weights_and_energies(
        self, parameters: Array, walkers: Walkers, points: Array, keys: Array
    ) -> tuple[Array, LocalEnergy]:
        here, there = (self._functions.log_modulus(parameters, walkers.positions, p[None]) for p in points)
        return 2 * (there - here), self._local_energy(parameters, walkers, points[1:], keys)


def _parts(energies: LocalEnergy) -> dict[str, npt.NDArray[np.float64]]:
    """Local energies as the energies of a `Record`, ``[G, W]``."""
    parts = {name: _host(part) for name, part in energies._asdict().items()}
    return {name: part.real for name, part in parts.items()} | {"kinetic_imaginary": parts["kinetic"].imag}


def _host(array: Array) -> npt.NDArray[Any]:
    """An array off the devices, in double precision."""
    host = np.asarray(array)
    return host.astype(np.complex128 if np.iscomplexobj(host) else np.float64)
