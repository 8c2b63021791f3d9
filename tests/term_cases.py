"""The list of terms that the conformance tests run over: all of the catalogue, potentials made of waves and a function.

A term that is registered is picked up here and checked for everything, at values between the ends of the intervals that
its parameters show.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from own_terms import Bumps
from qernel.config.sections.potentials import potential
from qernel.hamiltonian.parameters import Parameter
from qernel.hamiltonian.terms import interactions, potentials
from qernel.hamiltonian.terms.base import Kernel, OneBody, Pair
from qernel.hamiltonian.terms.fourier import Fourier, Wave, star
from qernel.lattice import FloatArray, Supercell
from qernel.primitive import LATTICES, Lattice, lattice_vectors

Matrix = tuple[tuple[int, int], tuple[int, int]]

PRIMITIVE: Matrix = ((1, 0), (0, 1))
SQRT3: Matrix = ((1, 1), (-1, 2))

STRAINED = ((1.0, 0.0), (0.53, 0.84))
"""The vectors of a triangular lattice under strain; its waves have amplitudes and phases of their own."""

PLACES = np.array([[0.31, 0.22], [-0.27, 0.41], [0.5, -2.2], [7.13, 3.4]])
"""Away from the charges at the lattice points: in the cell, near a charge, and in other cells."""


def between(parameter: Parameter, part: float) -> float:
    """A value of a parameter inside its interval; what a family is never conditioned on has its example."""
    low, high = parameter.interval
    return low + part * (high - low) if parameter.conditioned else parameter.example


def values_of(term: OneBody | Pair, part: float) -> dict[str, float]:
    """Everything that a term reads."""
    return {parameter.name: between(parameter, part) for parameter in term.parameters}


def conditioned(term: OneBody | Pair) -> list[str]:
    """The parameters that a family can be conditioned on."""
    return [parameter.name for parameter in term.parameters if parameter.conditioned]


PAIRS: dict[str, Pair] = {name: term() for name, term in interactions().items()}


@cache
def kernel(name: str, matrix: Matrix, lattice: Lattice) -> Kernel:
    """An interaction on a supercell, for all values of its intervals."""
    intervals = {one.name: one.interval if one.conditioned else (one.example,) * 2 for one in PAIRS[name].parameters}
    return PAIRS[name].on(Supercell(matrix, lattice), intervals)


quick = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
"""Compiled with little effort: compilation is nearly all that these tests spend time on."""


@partial(quick, static_argnums=0)
def _interaction(kernel: Kernel, positions: Array, values: dict[str, Any]) -> tuple[Array, Array]:
    return kernel(positions, values), kernel.self_image(values)


def interaction(kernel: Kernel, positions: Any, values: dict[str, Any]) -> FloatArray:
    """v at positions ``[n, 2]``; evaluated in blocks of four, so that shapes repeat."""
    flat = np.asarray(positions, float).reshape(-1, 2)
    padded = np.concatenate([flat, np.full((-len(flat) % 4, 2), 0.1)]).reshape(-1, 4, 2)
    found = np.concatenate([np.asarray(_interaction(kernel, jnp.asarray(block), values)[0]) for block in padded])
    return found[: len(flat)]


def self_image(kernel: Kernel, values: dict[str, Any]) -> float:
    """ξ, by the same compiled function."""
    return float(_interaction(kernel, jnp.asarray(PLACES), values)[1])


@dataclass(frozen=True)
class Potential:
    """A one-body term on a lattice."""

    term: OneBody
    lattice: Lattice

    @property
    def cell(self) -> Supercell:
        """One moiré cell."""
        return Supercell(PRIMITIVE, self.lattice)

    def at(self, positions: Any, values: dict[str, Any]) -> FloatArray:
        """V at positions."""
        return np.asarray(self.term.value(jnp.asarray(positions), values, self.cell))


def _waves(lattice: str, *stars: tuple[tuple[int, int], float, float]) -> Fourier:
    return Fourier(tuple(Wave(one, depth, phase) for turns, depth, phase in stars for one in star(turns, lattice)))


def gaussian_wells(positions: Any) -> Any:
    """Wells of one's own on a square lattice, with many waves."""
    x, y = positions[..., 0], positions[..., 1]
    return -9.0 * np.exp(2.0 * (np.cos(2 * np.pi * x) + np.cos(2 * np.pi * y) - 2.0)) + 0.5 * np.sin(2 * np.pi * x)


def _own() -> Fourier:
    waves = potential(gaussian_wells, "square")
    return Fourier(tuple(Wave(tuple(one["wave"]), one["amplitude"], one.get("phase_deg", 0.0)) for one in waves))


WAVES: dict[str, Potential] = {
    "honeycomb": Potential(_waves("triangular", ((0, 1), 8.0, 0.0)), "triangular"),
    "kagome": Potential(_waves("triangular", ((0, 1), 4.0, 0.0), ((0, 2), -6.0, 0.0)), "triangular"),
    "square": Potential(_waves("square", ((1, 0), -8.0, 0.0)), "square"),
    "stripes": Potential(Fourier((Wave((1, 0), -8.0, 20.0),)), "triangular"),
    "own": Potential(_own(), "square"),
    "strained": Potential(
        Fourier((Wave((0, 1), -9.0, 40.0), Wave((-1, -1), -7.0, 45.0), Wave((1, 0), -8.0, 50.0))), STRAINED
    ),
}
"""Made of [[system.potential]] entries."""


def _potentials() -> Iterator[tuple[str, Potential]]:
    for name, term in potentials().items():
        for lattice in term.lattices or LATTICES:
            yield f"{name}-{lattice}", Potential(term(), lattice)
    yield from WAVES.items()
    yield "function", Potential(Bumps(), "square")


POTENTIALS: dict[str, Potential] = dict(_potentials())


def moire_grid(lattice: Lattice, size: int) -> FloatArray:
    """Positions ``[size², 2]`` of a grid over one moiré cell."""
    turns = np.stack(np.meshgrid(*[np.arange(size) / size] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    grid: FloatArray = turns @ lattice_vectors(lattice)
    return grid
