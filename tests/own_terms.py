"""Terms as a user would write them: a file each, nothing else touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from qernel.hamiltonian import terms
from qernel.hamiltonian.parameters import LAM, STRENGTH, Parameter
from qernel.hamiltonian.terms.base import Components, Intervals, Kernel, OneBody, Pair, Values
from qernel.hamiltonian.terms.function import PeriodicFunction
from qernel.lattice import Supercell

if TYPE_CHECKING:
    from jax import Array

HEIGHT = Parameter("ridge_height", "W", "E0", "height of the ridges", least=0.0, example=2.0)
RATIO = Parameter(
    "ridge_ratio",
    "κ",
    "1",
    "height of the second ridges over that of the first",
    least=0.0,
    most=1.0,
    interval=(0.2, 0.8),
)
SHARPNESS = Parameter("sharpness", "s", "1", "sharpness of the bumps", least=0.1, most=5.0)
CORE = Parameter("core", "a", "a_M", "radius of the core", least=0.1, example=0.3, interval=(0.2, 0.5), reach=8.0)


@dataclass(frozen=True)
class Ridges(OneBody):
    """λ W [cos b_1·r + κ cos b_2·r]."""

    name: ClassVar[str] = "ridges"
    summary: ClassVar[str] = "two crossing sets of ridges"
    parameters: ClassVar[tuple[Parameter, ...]] = (LAM, HEIGHT, RATIO)

    def components(self, values: Values) -> Components:
        """Half of each cosine at each of ±b."""
        import jax.numpy as jnp

        half = 0.5 * values["lam"] * values["ridge_height"]
        waves = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
        return Components(waves, half * jnp.array([1.0, 1.0, values["ridge_ratio"], values["ridge_ratio"]]))


class Brought(Ridges):
    """The same under the name that a package gives it."""

    name: ClassVar[str] = "brought"


@dataclass(frozen=True)
class Bumps(PeriodicFunction):
    """−5 λ e^{s(cos 2πx + cos 2πy − 2)}: a function, whose components are nowhere said."""

    name: ClassVar[str] = "bumps"
    summary: ClassVar[str] = "wells of any sharpness on a square lattice"
    parameters: ClassVar[tuple[Parameter, ...]] = (LAM, SHARPNESS)
    lattices: ClassVar[tuple[str, ...]] = ("square",)

    def value(self, positions: Array, values: Values, cell: Supercell) -> Array:
        """V(r)."""
        import jax.numpy as jnp

        height = jnp.cos(2 * np.pi * positions).sum(-1) - 2.0
        return -5.0 * values["lam"] * jnp.exp(values["sharpness"] * height)


@dataclass(frozen=True)
class Cored(Pair):
    """(2π/q)(1 − e^{−(qa)²})."""

    name: ClassVar[str] = "cored"
    summary: ClassVar[str] = "without the waves that are longer than a"
    parameters: ClassVar[tuple[Parameter, ...]] = (STRENGTH, CORE)

    def on(self, supercell: Supercell, intervals: Intervals) -> Kernel:
        """1/r less a Gaussian in q."""
        from qernel.hamiltonian.ewald import Ewald, Screened

        return Screened(Ewald(supercell), self.name, self.missing, CORE, intervals["core"][0])

    def missing(self, q: Array, a: Any) -> Array:
        """e^{−(qa)²}."""
        import jax.numpy as jnp

        return jnp.exp(-((q * a) ** 2))


class Strange(Cored):
    """One that means another thing by U."""

    name: ClassVar[str] = "strange"
    parameters: ClassVar[tuple[Parameter, ...]] = (Parameter("U", "U", "E0", "something else"),)


def forget(*names: str) -> None:
    """As if these terms had never been registered."""
    for name in names:
        terms._registered.pop(name, None)
    for watcher in terms._watchers:
        watcher()
