"""Order parameter of the √3×√3 honeycomb crystal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qernel.errors import RunError
from qernel.estimators.order_parameter import crystal_order
from qernel.lattice import holds_root_three
from qernel.observables.base import Observable, Samples, Variable, averaged


@dataclass(frozen=True)
class OrderParameter(Observable):
    """⟨|ρ_K|²⟩ with ρ_K = (1/N) Σ_i e^{iK·r_i}; ¼ for the perfect honeycomb crystal."""

    name: ClassVar[str] = "order_parameter"
    summary: ClassVar[str] = "|rho_K|^2, the density harmonic of the √3×√3 crystal"

    def measure(self, samples: Samples) -> list[Variable]:
        """The mean over configurations."""
        cell = samples.hamiltonian.supercell
        if not holds_root_three(cell):
            raise RunError(
                f"order_parameter: the supercell {cell.matrix} does not hold the √3×√3 crystal, "
                "use one made of whole √3×√3 cells, such as [[3, 0], [0, 3]], or density_order, which takes any q"
            )
        series = np.asarray(crystal_order(samples.positions, cell))
        return [averaged("order_parameter", series, "1", "<|rho_K|^2>, rho_K = (1/N) sum_i exp(iK.r_i)")]
