"""What chains of samples say about the energies at one point of a family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qernel.estimators.doubts import doubts_of
from qernel.estimators.possible import impossible
from qernel.estimators.quantity import Quantity
from qernel.estimators.statistics import Summary, summarise
from qernel.estimators.weighted import ratio_of_weighted
from qernel.measure.energies import Energies
from qernel.measure.place import known
from qernel.observables.base import Samples
from qernel.observables.phases import ordered

if TYPE_CHECKING:
    from qernel.estimators.chains import Record
    from qernel.measure.state import State


def summary(state: State, records: Sequence[Record], seed: int, log_weights: npt.ArrayLike | None = None) -> Energies:
    """What records with local energies say.

    Args:
        state: they were drawn from.
        records: of all chains.
        seed: they were drawn with.
        log_weights: log |ψ/ψ_drawn|² ``[chains, samples]`` where they were drawn from another state.
    """

    def averaged(series: npt.ArrayLike) -> Summary:
        return summarise(series) if log_weights is None else ratio_of_weighted(series, log_weights)

    count = state.model.hamiltonian.count
    chains = len(records[0].kinetic)
    source = f"{len(records)} records of {chains} chains, seed {seed}, model {state.model.name}"
    series = {
        name: np.stack([getattr(record, name) for record in records], axis=1) / count
        for name in ("kinetic", "moire", "interaction")
    }
    total = series["kinetic"] + series["moire"] + series["interaction"]
    unit, meV = "E0", state.model.config.energy_unit_meV
    summaries = {name: averaged(values) for name, values in {"energy": total, **series}.items()}
    parts: dict[str, Any] = {
        name: Quantity(s.mean, s.error, unit, source, meV, doubts_of(s, chains)) for name, s in summaries.items()
    }
    positions = np.stack([record.positions for record in records], axis=1)
    trained = known(state.model)
    samples = Samples(positions, state.model.hamiltonian, state.point, seed=seed)
    order, order_rhat, (word, why) = ordered(samples, source, averaged)
    acceptance = float(np.mean([record.acceptance for record in records]))
    return Energies(
        lam=state.lam,
        **parts,
        variance=summaries["energy"].variance,
        acceptance=acceptance,
        autocorrelation=summaries["energy"].autocorrelation,
        rhat=summaries["energy"].rhat,
        effective_samples=summaries["energy"].effective_samples,
        extrapolating=state.extrapolating,
        in_gap=state.in_gap,
        order_parameter=order,
        order_parameter_rhat=order_rhat,
        size_trained=trained.size,
        twist_trained=trained.twist,
        impossible=impossible(state.model.hamiltonian, state.point, parts, acceptance),
        values=state.values,
        phase=word,
        phase_why=why,
    )
