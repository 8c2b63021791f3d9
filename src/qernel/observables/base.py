"""What an observable is, what it is given and what it gives back."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from qernel.estimators.statistics import Summary, summarise, summarise_components
from qernel.lattice import FloatArray

if TYPE_CHECKING:
    from qernel.hamiltonian.family import Hamiltonian

BLOCKS = 25
"""Most records of a chain that enter the error of an array: longer chains are averaged over stretches of records."""


class Coordinate(NamedTuple):
    """Labels along one or more axes of a variable.

    Attributes:
        name: of the coordinate; equal to the name of its axis, or else an auxiliary coordinate.
        axes: names of the axes it runs along.
        values: array with one axis each.
        unit: ``"1"`` for pure numbers.
        description: one line.
    """

    name: str
    axes: tuple[str, ...]
    values: npt.NDArray[Any]
    unit: str
    description: str


class Variable(NamedTuple):
    """A measured number or array.

    Attributes:
        name: of the variable.
        values: estimates.
        errors: one standard error of each, autocorrelation included; None for what has none (a configuration).
        unit: such as ``"E0"``, ``"1/a_M^2"``; ``"1"`` for pure numbers.
        description: one line, with the definition.
        axes: names of the axes of ``values``.
        coordinates: labels of the axes.
        summary: convergence diagnostics of a single number.
    """

    name: str
    values: npt.NDArray[Any]
    errors: FloatArray | None
    unit: str
    description: str
    axes: tuple[str, ...] = ()
    coordinates: tuple[Coordinate, ...] = ()
    summary: Summary | None = None


class Amplitude(Protocol):
    """ψ at the point that was sampled."""

    def log_psi(self, positions: npt.ArrayLike) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """``(sign, log)`` ``[...]`` of configurations ``[..., N, 2]``; ψ = sign · exp(log)."""

    def log_psi_gradient(self, positions: npt.ArrayLike) -> npt.NDArray[Any]:
        """∂ log ψ/∂p for the family parameters, ``[..., p]``; complex where ψ is."""

    def gates(self, positions: npt.ArrayLike) -> npt.NDArray[Any]:
        """Gates of the experts, ``[..., blocks, experts]``; ``[..., 0, 0]`` for a wavefunction without any."""

    @property
    def active_experts(self) -> int:
        """How many experts of a block the local energy computes."""


@dataclass(frozen=True)
class Samples:
    """Configurations drawn from |ψ|² at one point of a family, and what was recorded with them.

    Attributes:
        positions: ``[chains, samples, N, 2]`` in a_M, electrons with spin up first.
        hamiltonian: the family.
        point: its parameters ``[p]``.
        energies: local energies ``[chains, samples]`` in E0 in total: ``kinetic``, ``moire``, ``interaction`` and
            ``kinetic_imaginary``. Empty unless an observable needs them.
        psi: the wavefunction; None unless an observable needs it.
        seed: of the chains.
    """

    positions: FloatArray
    hamiltonian: Hamiltonian
    point: FloatArray
    energies: Mapping[str, FloatArray] = field(default_factory=dict)
    psi: Amplitude | None = None
    seed: int = 0

    @property
    def chains(self) -> int:
        """Number of independent chains."""
        return int(self.positions.shape[0])

    @property
    def count(self) -> int:
        """Number of electrons N."""
        return int(self.positions.shape[2])

    @property
    def species(self) -> dict[str, slice]:
        """The electrons of each spin that there are: ``{"up": ..., "down": ...}``."""
        up, down = self.hamiltonian.electrons
        every = {"up": slice(0, up), "down": slice(up, up + down)}
        return {spin: electrons for spin, electrons in every.items() if electrons.stop > electrons.start}

    @property
    def stretches(self) -> list[slice]:
        """The records of a chain in at most `BLOCKS` stretches, whose lengths differ by one at most."""
        total = int(self.positions.shape[1])
        edges = np.linspace(0, total, min(total, BLOCKS) + 1).round().astype(int)
        return [slice(start, stop) for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)]

    def amplitude(self) -> Amplitude:
        """ψ, for observables that declare ``needs = {"psi"}``."""
        if self.psi is None:
            raise ValueError("these samples carry no wavefunction: the observable must declare needs = {'psi'}")
        return self.psi


@dataclass(frozen=True)
class Observable(abc.ABC):
    """A property of the state. Subclasses are frozen dataclasses whose fields are the options, each with a default.

    Attributes:
        name: what it is called in Python, on the command line and in files.
        summary: one line.
        needs: of ``"energies"`` (local energies of the samples) and ``"psi"`` (the wavefunction itself); an
            observable that declares neither works on positions alone.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset()

    @abc.abstractmethod
    def measure(self, samples: Samples) -> list[Variable]:
        """Estimate it from samples.

        Raises:
            RunError: if it is not defined for this system.
        """


def averaged(
    name: str,
    series: npt.ArrayLike,
    unit: str,
    description: str,
    axes: tuple[str, ...] = (),
    coordinates: Sequence[Coordinate] = (),
) -> Variable:
    """The mean of a series over chains and samples, with its error: the one way from samples to a `Variable`.

    A quantity that is not a mean but a function of means (a variance, a ratio) is passed as its linearisation: the
    series whose mean is the value and whose fluctuations are those of the value to first order.

    Args:
        name: of the variable.
        series: real ``[chains, samples, *shape]``; for arrays the samples may be averages over stretches.
        unit: of the series.
        description: one line.
        axes: a name for each axis of ``shape``.
        coordinates: labels.
    """
    array = np.asarray(series)
    if array.ndim != 2 + len(axes):
        raise ValueError(f"{name} has shape {array.shape}: expected [chains, samples] and the axes {', '.join(axes)}")
    if not axes:
        one = summarise(array)
        return Variable(name, np.array(one.mean), np.array(one.error), unit, description, summary=one)
    many = summarise_components(array)
    return Variable(name, many.mean, many.error, unit, description, axes, tuple(coordinates))


def ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """The linearised series of ⟨a⟩/⟨b⟩, for `averaged`.

    R + (a_t − R b_t)/⟨b⟩ has the mean R = ⟨a⟩/⟨b⟩ and, to first order, its fluctuations.

    Args:
        numerator: a, ``[chains, samples, *shape]``.
        denominator: b, of the same shape or ``[chains, samples]``.
    """
    b = denominator.reshape(*denominator.shape, *[1] * (numerator.ndim - denominator.ndim))
    mean = b.mean((0, 1))
    value = numerator.mean((0, 1)) / mean
    return value + (numerator - value * b) / mean
