"""The phase of a sampled state, whatever else is measured on the samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from qernel.errors import RunError
from qernel.estimators.doubts import doubts_of
from qernel.estimators.order_parameter import crystal_order
from qernel.estimators.phases import ORDERS, told_by_k
from qernel.estimators.quantity import Quantity
from qernel.estimators.statistics import Summary, summarise
from qernel.lattice import FloatArray, holds_root_three
from qernel.observables.base import Samples
from qernel.observables.density_order import DensityOrder
from qernel.structure import UNDECIDED, Phase, phase


class Ordered(NamedTuple):
    """Order and phase of samples.

    Attributes:
        order: |ρ_K|², where the supercell holds the √3×√3 crystal.
        rhat: of it; nan where there is none.
        phase: the samples are in.
    """

    order: Quantity | None
    rhat: float
    phase: Phase


def ordered(samples: Samples, source: str, averaged: Callable[[FloatArray], Summary] = summarise) -> Ordered:
    """Order and phase of samples.

    Args:
        samples: positions of all chains.
        source: where they come from, in words.
        averaged: what a series ``[chains, samples]`` says; another than the plain mean where samples carry weights.
    """
    cell = samples.hamiltonian.supercell
    if not holds_root_three(cell):
        return Ordered(None, math.nan, sampled_phase(samples))
    found = averaged(np.asarray(crystal_order(samples.positions, cell)))
    order = Quantity(found.mean, found.error, "", source, doubts=doubts_of(found, samples.chains))
    return Ordered(order, found.rhat, sampled_phase(samples, found))


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
