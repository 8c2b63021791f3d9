"""∂log ψ/∂α of configurations, for the parameters of a wavefunction and for terms it does not have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array
from jax.sharding import PartitionSpec

from qernel.estimators.batched import walker_functions
from qernel.sampling.devices import walker_mesh
from qernel.tangent.base import Term
from qernel.wavefunction import Wavefunction, log_psi, parameter_layout, trainable

PROJECTED = 256
"""Columns that stand for the parameters of a part with more of them: random combinations (`projections`)."""

_AT_ONCE = 16
"""Walkers whose columns of terms are computed together."""

Columns = dict[str, npt.NDArray[Any]]
"""Columns ``[walkers, parts, K]`` by name; parts 1 for real ψ, 2 (real, imaginary) for complex ψ."""


def term_columns(wavefunction: Wavefunction, term: Term, positions: Array, point: Array) -> Array:
    """∂log ψ/∂α of a term at α = 0 ``[parts, size]``, for one configuration ``[N, 2]`` at a point ``[p]``."""

    def applied(coefficients: Array) -> Array:
        return term.applied(lambda x: log_psi(wavefunction, x, point)[1], coefficients, positions)

    absent = jnp.zeros(term.size, positions.dtype)
    parts = (jnp.real, jnp.imag) if jnp.iscomplexobj(jax.eval_shape(applied, absent)) else (jnp.real,)
    return jnp.stack([jax.grad(lambda a, part=part: part(applied(a)))(absent) for part in parts])


def modules(wavefunction: Wavefunction) -> dict[str, npt.NDArray[np.int64]]:
    """Where the trainable numbers of each part of a wavefunction are in its flat parameters (`parameter_layout`).

    A part is a module, or one inside a module that has several: ``blocks.attention``, ``correlation.pair``.
    """
    found: dict[str, list[npt.NDArray[np.int64]]] = {}
    start = 0
    for path, leaf in jax.tree_util.tree_leaves_with_path(trainable(wavefunction)):
        names = [entry.name for entry in path if isinstance(entry, jax.tree_util.GetAttrKey)]
        # The last name is that of the array, unless the array belongs to the wavefunction itself.
        part = ".".join(names[:-1][:2] or names)
        found.setdefault(part, []).append(np.arange(start, start + leaf.size))
        start += leaf.size
    return {part: np.concatenate(places) for part, places in found.items()}


def projections(sizes: Mapping[str, int], seed: int) -> dict[str, npt.NDArray[np.float32]]:
    """Random combinations ``[size, PROJECTED]`` for parts with more than `PROJECTED` parameters.

    What so many directions explain is a lower bound of what all of them do; the leading ones of a network are few.
    """
    rng = np.random.default_rng(seed)
    large = {part: size for part, size in sizes.items() if size > PROJECTED}
    return {
        part: rng.standard_normal((size, PROJECTED), dtype=np.float32) / np.float32(size**0.5)
        for part, size in large.items()
    }


class TangentColumns:
    """Compiled columns of one wavefunction: its own parameters by module, all of them together, and terms.

    Args:
        wavefunction: with its parameters.
        terms: that it does not have.
        walkers: configurations in each call.
        seed: of the random combinations.
        chunk: as of `walker_functions`.
    """

    EVERYTHING = "all parameters"

    def __init__(
        self, wavefunction: Wavefunction, terms: Sequence[Term], *, walkers: int, seed: int = 0, chunk: int = 0
    ) -> None:
        parameters, rebuild, _ = parameter_layout(wavefunction)
        self._parameters = parameters
        self._modules = modules(wavefunction)
        if len(self._modules) > 1:
            self._modules[self.EVERYTHING] = np.concatenate([*self._modules.values()])
        self.parameters = {part: len(places) for part, places in self._modules.items()}
        self._projections = projections(self.parameters, seed)
        self._terms = terms
        scores = walker_functions(wavefunction, laplacian="forward", chunk=chunk).scores

        def everything(parameters: Array, positions: Array, point: Array) -> tuple[Array, dict[str, Array]]:
            moved = rebuild(parameters)
            added = {
                term.name: jax.lax.map(
                    lambda x, term=term: term_columns(moved, term, x, point), positions, batch_size=_AT_ONCE
                )
                for term in terms
            }
            return scores(parameters, positions[None], point[None])[0], added

        rest, split = PartitionSpec(), PartitionSpec("walkers")
        self._columns: Callable[..., Any] = jax.jit(
            jax.shard_map(
                everything,
                mesh=walker_mesh(walkers),
                in_specs=(rest, split, rest),
                out_specs=split,
                check_vma=False,
            )
        )

    def __call__(self, positions: npt.ArrayLike, point: npt.ArrayLike) -> tuple[Columns, Columns]:
        """Columns of the wavefunction's own parameters by module, and of the terms.

        Args:
            positions: ``[walkers, N, 2]`` in a_M.
            point: family parameters ``[p]``.
        """
        like = partial(jnp.asarray, dtype=self._parameters.dtype)
        scores, added = jax.device_get(self._columns(self._parameters, like(positions), like(point)))
        own = {}
        for part, places in self._modules.items():
            rows = scores[..., places]
            own[part] = rows @ self._projections[part].astype(rows.dtype) if part in self._projections else rows
        return own, {term.name: added[term.name] for term in self._terms}
