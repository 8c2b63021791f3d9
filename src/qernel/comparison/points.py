"""A trained run at single λ: energy, order parameter and density of each chain, kept in files of the run folder.

DIR/runs/LABEL/seed-S/points/lam-L.nc   one λ; what is there is not measured again
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qernel.comparison.densities import folded
from qernel.comparison.runs import Sampling, chain_seed, checkpoint_model
from qernel.config import Config
from qernel.errors import RunError
from qernel.lattice import FloatArray
from qernel.storage import open as open_results
from qernel.storage import save, to_json

if TYPE_CHECKING:
    from qernel.estimators.chains import Record
    from qernel.measure.state import State

_SCALARS = ("energy", "error", "rhat", "order", "order_error")


class Point(NamedTuple):
    """One λ.

    Attributes:
        energy: per electron in E0.
        error: one standard error.
        rhat: of the energy.
        order: ⟨|ρ_K|²⟩; NaN where K is no wave vector of the supercell.
        order_error: one standard error.
        density: of each chain on the moiré cell ``[chains, g, g]`` in electrons per a_M².
    """

    energy: float
    error: float
    rhat: float
    order: float
    order_error: float
    density: FloatArray


Measure = Callable[[float, int, Callable[[float], None] | None], Point]
"""(λ, seed of the chains, progress) → point."""


def measure_run(
    run: Path,
    config: Config,
    checkpoint: Path,
    label: str,
    lam: Sequence[float],
    sampling: Sampling,
    prepare: Callable[[Config, Path, str, Sampling], Measure],
    progress: Callable[[float], None] | None = None,
) -> list[Point]:
    """A finished run at several λ, read where it has been measured before.

    Args:
        run: its folder.
        config: its configuration.
        checkpoint: what to measure.
        label: of the model; chains of different models, seeds and λ are independent.
        lam: where.
        sampling: how; its λ number the seeds.
        prepare: opens the model when the first λ has to be measured.
        progress: called with the fraction done.
    """
    measure: Measure | None = None
    found = []
    for index, value in enumerate(lam):
        seed = chain_seed(sampling.seed, config.train.seed, label, sampling.lam.index(value))
        request = {
            "fingerprint": config.fingerprint(),
            "checkpoint": checkpoint.name,
            "samples": sampling.samples,
            "walkers": sampling.walkers,
            "seed": seed,
        }
        path = run / "points" / f"lam-{value:g}.nc"
        point = _read(path, request)
        if point is None:
            measure = measure or prepare(config, checkpoint, label, sampling)

            def part(fraction: float, index: int = index) -> None:
                if progress is not None:
                    progress((index + fraction) / len(lam))

            point = measure(value, seed, part)
            _write(path, point, request)
        found.append(point)
    return found


def sampler(config: Config, checkpoint: Path, label: str, sampling: Sampling) -> Measure:
    """Measures the averaged parameters in a checkpoint on fresh chains."""
    model = checkpoint_model(config, checkpoint, label)

    def measure(lam: float, seed: int, progress: Callable[[float], None] | None) -> Point:
        drawn: list[FloatArray] = []

        def keep(state: State, records: Sequence[Record], _: int) -> None:
            drawn.append(np.stack([record.positions for record in records], axis=1))

        state = model.at(lam, extrapolate=True)  # what the comparison is about
        found = state.energy(sampling.samples, walkers=sampling.walkers, seed=seed, keep=keep, progress=progress)
        order = found.order_parameter
        return Point(
            found.energy.value,
            found.energy.error,
            float(found.rhat),
            float("nan") if order is None else order.value,
            float("nan") if order is None else order.error,
            folded(drawn[0], model.hamiltonian.supercell),
        )

    return measure


def _write(path: Path, point: Point, request: Mapping[str, Any]) -> None:
    import xarray

    data: dict[str, Any] = {name: ((), getattr(point, name)) for name in _SCALARS}
    data["density"] = (("chain", "m1", "m2"), point.density, {"units": "1/a_M^2"})
    save(xarray.Dataset(data, attrs={"request": to_json(request)}), path, compact=True)


def _read(path: Path, request: Mapping[str, Any]) -> Point | None:
    """What was measured before in the same way."""
    if not path.exists():
        return None
    try:
        data = open_results(path)
        if json.loads(data.attrs["request"]) != request:
            return None
        scalars: dict[str, Any] = {name: float(data[name]) for name in _SCALARS}
        return Point(density=data["density"].values.astype(np.float64), **scalars)
    except (RunError, ValueError, KeyError, TypeError, RecursionError):
        return None
