"""Energies at one point of the family from configurations that were sampled at another one nearby."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from qernel.along import named
from qernel.errors import RunError
from qernel.estimators.weighted import effective_fraction

if TYPE_CHECKING:
    from qernel.estimators.chains import Record
    from qernel.measure.energies import Energies
    from qernel.measure.state import State

DIRECTION = "reweighted"
"""How `Energies` of such configurations are marked."""

LEAST = 0.2
"""Effective fraction of the records below which there is no answer: the rest of the weight sits on too few of them."""


def reweighted(
    source: State,
    target: State,
    records: Sequence[Record],
    seed: int,
    *,
    along: str = "lam",
    least: float = LEAST,
) -> Energies:
    """⟨E⟩ at ``target`` as Σ w E_L(R; target) / Σ w with w = |ψ_target(R)/ψ_source(R)|², R drawn at ``source``.

    Error bars hold the fluctuation and the autocorrelation of the weights
    (`qernel.estimators.weighted.ratio_of_weighted`). Numbers from the same records are correlated with each other,
    and with those of ``source``. What no chain visited at ``source`` is not seen: this does not lead across a
    first-order transition.

    Args:
        source: where ``records`` were drawn.
        target: the same model at another value of one parameter.
        records: from `State.records`; their energies are not used, those at ``target`` are evaluated.
        seed: they were drawn with.
        along: that parameter.
        least: refuse below this effective fraction (Σw)²/(n Σw²).

    Returns:
        Energies marked with ``reweighted_from`` and ``effective_fraction``; ``effective_samples`` holds both the
        weights and the autocorrelation, ``acceptance`` is that of the records.

    Raises:
        RunError: if the effective fraction is below ``least``.
    """
    if source.model is not target.model:
        raise ValueError("source and target are states of different models: reweighting needs one wavefunction family")
    sampler = source.model.sampler(len(records[0].acceptance))
    points = jnp.asarray(np.stack([source.point, target.point]))
    evaluated = [sampler.reweighed(points, record) for record in records]
    log_weights = np.stack([log for log, _ in evaluated], axis=1)
    fraction = effective_fraction(log_weights)
    axis, here, there = named(along), source.values[along], target.values[along]
    if fraction < least:
        raise RunError(
            f"{axis.at(there)} cannot be reweighted from {axis.at(here)}: the weights leave {fraction:.1%} of the "
            f"records effective, below {least:.0%}; take {axis.symbol} closer together, or sample there"
        )
    found = target.energies_of([record for _, record in evaluated], seed, log_weights=log_weights)
    return found._replace(direction=DIRECTION, reweighted_from=here, effective_fraction=fraction)
