"""The phase of a sampled state, whatever else is measured on the samples."""

from __future__ import annotations

import numpy as np

from qernel.errors import RunError
from qernel.estimators.order_parameter import crystal_order
from qernel.estimators.phases import ORDERS, told_by_k
from qernel.estimators.statistics import Summary, summarise
from qernel.lattice import holds_root_three
from qernel.observables.base import Samples
from qernel.observables.density_order import DensityOrder
from qernel.structure import UNDECIDED, Phase, phase


def sampled_phase(samples: Samples, order: Summary | None = None) -> Phase:
    """The phase that samples are in, by `qernel.structure.phase`.

    Args:
        samples: positions of all chains.
        order: their |ρ_K|², where it is known already.
    """
    family, cell = samples.hamiltonian, samples.hamiltonian.supercell
    by_k = told_by_k(samples.count, cell.cells, uniform=family.uniform(family.numbers(samples.point)))
    if by_k and holds_root_three(cell):
        name = "order_parameter"
        found = order or summarise(np.asarray(crystal_order(samples.positions, cell)))
    else:
        name = "density_order"
        try:
            measured = DensityOrder().measure(samples)[0].summary
        except RunError:  # one cell: no wave vector is left open
            measured = None
        if measured is None:
            return Phase(UNDECIDED, "no wave vector of this supercell tells a crystal")
        found = measured
    return phase(found.mean, found.error, samples.count, rhat=found.rhat, chains=samples.chains, name=ORDERS[name])
