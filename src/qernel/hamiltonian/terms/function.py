"""A potential given as a function of position and of parameters: what a notebook writes when it has no components.

The components follow by FFT at each value of the parameters (`qernel.hamiltonian.harmonics`); the local energy calls
the function itself.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from qernel.errors import QernelError
from qernel.hamiltonian.harmonics import harmonics
from qernel.hamiltonian.terms.base import Components, OneBody, Values
from qernel.hamiltonian.terms.fourier import Fourier
from qernel.lattice import FloatArray, Supercell

if TYPE_CHECKING:
    from jax import Array


@dataclass(frozen=True)
class PeriodicFunction(OneBody):
    """A potential that says its `value` and nothing else. Whether λ scales it is up to the function.

    Attributes:
        lattices: the one lattice whose period it has.
    """

    lattices: ClassVar[tuple[str, ...]] = ("triangular",)

    def __init_subclass__(cls) -> None:
        if len(cls.lattices) != 1:
            raise QernelError(
                f"{cls.__qualname__} has the lattices {', '.join(cls.lattices) or 'none'}: a function has the period "
                "of one, so make a class for each"
            )

    @abstractmethod
    def value(self, positions: Array, values: Values, cell: Supercell) -> Array:
        """V(r) in E0 ``[...]`` at positions ``[..., 2]`` in a_M, in jax.numpy; smooth and periodic."""

    def components(self, values: Values) -> Components:
        """By FFT, at values that are numbers.

        Raises:
            QernelError: if the function is not real, not periodic, or needs more waves than can be resolved.
        """
        return self._waves(values).components(_WHOLE)

    def lower(self, values: Values) -> float:
        """What the sum of its waves cannot be below, to a part in 10³ of its depth."""
        return self._waves(values).lower(_WHOLE)

    def _waves(self, values: Values) -> Fourier:
        import jax.numpy as jnp

        lattice = self.lattices[0]
        cell = Supercell(((1, 0), (0, 1)), lattice)

        def function(positions: FloatArray) -> Array:
            return self.value(jnp.asarray(positions), values, cell)

        return Fourier(harmonics(function, lattice))


_WHOLE = {"lam": 1.0}
"""What `Fourier` multiplies its waves by."""
