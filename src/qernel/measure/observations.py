"""Observables over values of one parameter, and their file ``observables.nc``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qernel import outputs
from qernel.along import axis
from qernel.errors import warn
from qernel.estimators.doubts import sentences, stored_doubts
from qernel.measure.asked import ascending
from qernel.measure.dataset import joined
from qernel.measure.files import OBSERVED, stored_request
from qernel.measure.folder import remembering
from qernel.measure.points import Points, warn_outside
from qernel.observables.registry import made
from qernel.progress import Parts, Told
from qernel.storage import measured, save, to_json

if TYPE_CHECKING:
    import xarray

    from qernel.observables import Observable


def observations(
    where: Points,
    observables: Sequence[str | Observable],
    *,
    out: Path | None = None,
    command: str | None = None,
    tell: Told | None = None,
) -> xarray.Dataset:
    """Measure observables over values of one parameter; arguments as of `Model.observe`, ``command`` is what was typed.

    Raises:
        QernelError: if there is no such observable, or it is not defined for this system.
        RunError: if ``out`` holds another measurement, is in use or cannot be written.
        Interrupted: when a measurement into a folder is stopped.
    """
    where = ascending(where)
    chosen = made(observables)
    request = where.request | {"observables": [repr(item) for item in chosen]}
    about = {"request": to_json(request), "history": command or "Model.observe"}
    if out is None:
        dataset = _measure(where, chosen, tell).assign_attrs(about)
    else:
        with outputs.held(out, [OBSERVED]):
            outputs.refuse_overwriting(out, [OBSERVED], request, stored_request(out / OBSERVED), "measurement")
            with remembering(where.model, out, command or outputs.AGAIN) as remembered:
                dataset = _measure(where.of(remembered), chosen, tell).assign_attrs(about)
                # Within, because the records go when the block ends: stopped here, no number is lost.
                save(dataset, out / OBSERVED)
    for sentence in sentences(doubted(dataset), where.axis.symbol):
        warn(sentence)
    return dataset


def doubted(dataset: xarray.Dataset) -> list[tuple[str, float, tuple[str, ...]]]:
    """Everything measured, where, and why its error bar may be too small."""
    along = axis(dataset).name
    return [
        (name, float(value), stored_doubts(dataset.isel({along: index}), name))
        for name in measured(dataset)
        if f"{name}_error" in dataset
        for index, value in enumerate(dataset[along].values)
    ]


def _measure(where: Points, chosen: Sequence[Observable], tell: Told | None) -> xarray.Dataset:
    states = where.states
    warn_outside(where.model, where.axis, list(zip(where.values, states, strict=True)))
    parts, results = Parts(tell, len(states)), []
    for value, state in zip(where.values, states, strict=True):
        parts.begin(f"measuring {where.axis.at(value)}")
        results.append(state.observe(*chosen, **where.chains, progress=parts))
    return joined(results, where.axis.name)
