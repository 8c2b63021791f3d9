"""Sampling a trained wavefunction at one point of its family: chains, energies, configurations.

Measuring is kept apart from training: chains start spread over the cell, the step width adapts during
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
from qernel.estimators.batched import refreshed_sweep, walker_functions
from qernel.estimators.local_energy import LocalEnergy
from qernel.sampling.devices import REPLICATED, SPLIT, WALKERS, over_walkers, walker_mesh
from qernel.sampling.metropolis import Walkers, adapt_width, spread_walkers
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


class ChainSampler:
    """Compiled sampling of one wavefunction, reused for every point of the family.

    Args:
        wavefunction: the trained ansatz.
        walkers: number of independent chains.
        laplacian: a key of `qernel.laplacian.methods.LAPLACIANS`.
    """

    def __init__(self, wavefunction: Wavefunction, walkers: int, *, laplacian: str = "forward", chunk: int = 0):
        self.walkers = walkers
        self._hamiltonian = wavefunction.hamiltonian
        self._parameters, _ = parameter_layout(wavefunction)
        self._functions = walker_functions(wavefunction, laplacian=laplacian, chunk=chunk)
        mesh = walker_mesh(walkers)
        self._advance = jax.jit(
            lambda moves, *arguments: over_walkers(partial(self._sweep, moves), mesh, (WALKERS, SPLIT))(*arguments),
            static_argnums=0,
        )
        self._measure = jax.jit(over_walkers(self._local_energy, mesh, SPLIT))
        # Inputs always lie where outputs do: anything else is compiled again, which takes longer than sampling.
        self._split, self._replicated = NamedSharding(mesh, SPLIT), NamedSharding(mesh, REPLICATED)

    def of(self, wavefunction: Wavefunction) -> ChainSampler:
        """The same sampler for other parameters of the same ansatz: nothing is compiled again."""
        other = copy(self)
        other._parameters, _ = parameter_layout(wavefunction)
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
            start: configurations ``[W, N, 2]`` in a_M before burn-in; spread over the cell by default.
            progress: called with the fraction done.

        Raises:
            NotFinite: if a walker has a local energy that is not finite.
        """
        key = jax.random.key(seed)
        start_key, key = jax.random.split(key)
        cell = self._hamiltonian.supercell
        dtype = self._parameters.dtype
        shape = (1, self.walkers, self._hamiltonian.count)
        walkers = spread_walkers(start_key, cell, shape, width=0.1, dtype=dtype)
        if start is not None:
            if np.shape(start) != walkers.positions.shape[1:]:
                raise ValueError(f"start has shape {np.shape(start)}: expected {walkers.positions.shape[1:]}")
            walkers = walkers._replace(positions=jnp.asarray(start, dtype)[None])
        # Where outputs lie, inputs lie: the sweep is compiled once.
        layout = Walkers(self._split, self._split, self._replicated)  # type: ignore[arg-type]
        walkers = jax.device_put(walkers, layout)
        points = jnp.asarray(point, dtype)[None]
        blocks = -(-burn_in // moves)
        for block in range(blocks + samples):
            measuring = block >= blocks
            keys = jax.random.split(jax.random.fold_in(key, block), (1, self.walkers))
            walkers, accepted = self._advance(moves, self._parameters, walkers, points, keys)
            # Waiting here keeps one computation in flight: several that talk between devices can block each
            # other for ever on XLA's CPU thread pool.
            acceptance = _host(accepted)
            if progress:
                progress((block + 1) / (blocks + samples))
            if measuring:
                parts = self._energies(walkers, points, keys, energies)
                yield Record(**parts, positions=_host(walkers.positions)[0], acceptance=acceptance[0])
            else:
                # Large nudges first, so that a poor starting width costs little; frozen once measuring.
                rate = 1.0 if block < blocks // 2 else 0.3
                width = adapt_width(
                    _host(walkers.width),
                    acceptance.mean(1),
                    target=target,
                    rate=rate,
                    largest=cell.inscribed_radius,
                )
                walkers = walkers._replace(width=jax.device_put(np.asarray(width, dtype), self._replicated))

    def _energies(
        self, walkers: Walkers, points: Array, keys: Array, wanted: bool
    ) -> dict[str, npt.NDArray[np.float64]]:
        """The energies of a `Record` for every chain; zeros if they are not wanted."""
        if not wanted:
            return dict.fromkeys([*LocalEnergy._fields, "kinetic_imaginary"], np.zeros(self.walkers))
        parts = self._measure(self._parameters, walkers, points, keys)
        energies = {name: _host(part)[0] for name, part in parts._asdict().items()}
        bad = self.walkers - int(np.isfinite(sum(energies.values())).sum())
        if bad:
            place = self._hamiltonian.parameters[0], float(points[0, 0])
            raise NotFinite(
                "at {} = {:.6g} the local energy of {} of {} walkers is not finite, so there is no mean: "
                "sample with another seed; if it comes back, the numbers of the model are out of range there, "
                'train it further or with train.precision = "float64"'.format(*place, bad, self.walkers)
            )
        return {name: part.real for name, part in energies.items()} | {"kinetic_imaginary": energies["kinetic"].imag}

    def _sweep(
        self, moves: int, parameters: Array, walkers: Walkers, points: Array, keys: Array
    ) -> tuple[Walkers, Array]:
        cell = self._hamiltonian.supercell
        walkers, info = refreshed_sweep(self._functions, parameters, walkers, points, keys, cell, moves=moves)
        return walkers, info.acceptance

    def _local_energy(self, parameters: Array, walkers: Walkers, points: Array, keys: Array) -> LocalEnergy:
        return self._functions.local_energy(parameters, walkers.positions, points)


def _host(array: Array) -> npt.NDArray[Any]:
    """An array off the devices, in double precision."""
    host = np.asarray(array)
    return host.astype(np.complex128 if np.iscomplexobj(host) else np.float64)
