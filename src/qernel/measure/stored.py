"""Answers that are there already: in results of ``qernel scan`` and ``observe``, and in what ``qernel query`` kept.

Whatever is read belongs to the very weights of the model, which every file names.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qernel.along import axis, point
from qernel.config import Config
from qernel.config.systems import same
from qernel.errors import ConfigError, RunError, warn
from qernel.estimators.doubts import stored_doubts
from qernel.estimators.phases import stored_phase, stored_phases
from qernel.estimators.quantity import Quantity
from qernel.measure.energies import ENERGIES, INTERPOLATED, ORDER, STORED, Energies
from qernel.measure.folder import of_system
from qernel.measure.interpolate import between
from qernel.measure.place import known
from qernel.storage import IMPOSSIBLE, OUTSIDE
from qernel.storage import open as open_results

if TYPE_CHECKING:
    import xarray

    from qernel.measure.shelf import Shelf

SCANNED, OBSERVED, OWN = "scan/energies.nc", "observe/observables.nc", "observables.nc"
"""Files of results in the folder of a model, of `qernel scan`, of `qernel observe`, and beside shipped models."""


def of_these_weights(
    paths: Sequence[Path], weights: str, say: Callable[[str], None] = warn
) -> Iterator[tuple[Path, xarray.Dataset]]:
    """The files of results that were measured of a model, sorted along their parameter.

    Args:
        paths: of files that may be there.
        weights: SHA-256 of its trained numbers.
        say: called with a sentence about any other file.
    """
    for path in paths:
        if not path.exists():
            continue
        try:
            data = open_results(path)
        except RunError as error:
            say(str(error))
            continue
        if data.attrs.get("model_weights_sha256") != weights:
            say(f"{path} is of other parameters than the model, not shown")
        elif (along := axis(data).name) in data.dims:
            yield path, data.sortby(along)


def same_elsewhere(data: xarray.Dataset, others: Mapping[str, float]) -> bool:
    """Whether results were measured at these values of all parameters but the one along them."""
    return all(name in data.coords and math.isclose(data[name], value, rel_tol=1e-9) for name, value in others.items())


class Results:
    """The results of a model in its folder.

    Args:
        model: whose they are.
    """

    def __init__(self, model: Shelf) -> None:
        self._model = model

    @cached_property
    def files(self) -> list[tuple[Path, xarray.Dataset]]:
        """Those with energies."""
        folder = self._model.folder
        paths = [] if folder is None else [folder / OWN, *(folder / self._place(name) for name in (OBSERVED, SCANNED))]
        found = of_these_weights(paths, self._model.weights)
        return [(path, data) for path, data in found if all(name in data for name in ENERGIES) and self._ours(data)]

    def _place(self, name: str) -> Path:
        path = Path(name)
        return Path(of_system(self._model, path.parent.name), path.name)

    def along(self, name: str, others: Mapping[str, float]) -> list[xarray.Dataset]:
        """The results along a parameter, at values of all others."""
        return [data for _, data in self._fitting(name, others)]

    def _fitting(self, name: str, others: Mapping[str, float]) -> list[tuple[Path, xarray.Dataset]]:
        return [(path, data) for path, data in self.files if axis(data).name == name and same_elsewhere(data, others)]

    def at(self, along: str, value: float, others: Mapping[str, float]) -> Energies | None:
        """The answer with the smallest error that was measured at a point, else the best one between points."""
        fitting = self._fitting(along, others)
        for find in (self._exact, self._between):
            answers = [found for path, data in fitting if (found := find(path, data, along, value)) is not None]
            if answers:
                return min(answers, key=lambda answer: answer.energy.error)
        return None

    def _exact(self, path: Path, data: xarray.Dataset, along: str, value: float) -> Energies | None:
        places = np.flatnonzero(np.isclose(data[along].values, value, rtol=1e-9, atol=1e-12))
        if not len(places) or self._useless(data, along)[places[0]]:
            return None
        here = data.isel({along: int(places[0])})
        return self._energies(here, f"stored in {self._said(path)}{_chains(data)}")

    def _between(self, path: Path, data: xarray.Dataset, along: str, value: float) -> Energies | None:
        useless = self._useless(data, along)
        found = stored_phases(data, along)
        words = ["" if bad else one.word for bad, one in zip(useless, found, strict=True)]
        x = np.asarray(data[along].values, np.float64)
        inside = along != "lam" or not any(low < value < high for low, high in self._model.config.family.gaps or ())
        rule = between(x, value, words) if inside else None
        if rule is None:
            return None
        used = data.isel({along: sorted(rule.used)})
        near = data.isel({along: rule.used[0]})
        names = [name for name in (*ENERGIES, ORDER) if name in data and f"{name}_error" in data]
        pairs = {name: rule.of(data[name].values, data[f"{name}_error"].values) for name in names}
        worst = {"acceptance": "min", "energy_effective_samples": "min", "energy_autocorrelation": "max"}
        worst |= {"energy_rhat": "max", f"{ORDER}_rhat": "max"}
        told = {name: float(getattr(used[name], how)()) for name, how in worst.items() if name in used}
        numbers = {name: pair[0] for name, pair in pairs.items()}
        numbers |= {f"{name}_error": pair[1] for name, pair in pairs.items()}
        here = near.assign({name: ((), number) for name, number in (numbers | told).items()})
        places = ", ".join(f"{float(place):g}" for place in used[along].values)
        answer = self._energies(
            here.assign_coords({along: value}),
            f"interpolated between {axis(data).symbol} = {places} in {self._said(path)}{_chains(data)}",
        )
        why = f"at {axis(data).symbol} = {places} it is"
        return answer._replace(origin=INTERPOLATED, phase=words[rule.used[0]], phase_why=f"{why} {words[rule.used[0]]}")

    def _energies(self, here: xarray.Dataset, source: str) -> Energies:
        """A point of a data set as energies."""
        unit, values = self._model.config.energy_unit_meV, point(here)

        def quantity(name: str, what: str = "E0", meV: float | None = unit) -> Quantity:
            numbers = float(here[name]), float(here[f"{name}_error"])
            return Quantity(*numbers, what, source, meV, stored_doubts(here, name))

        def number(name: str) -> float:
            return float(here[name]) if name in here else math.nan

        found, trained = stored_phase(here), known(self._model)
        parts: dict[str, Any] = {name: quantity(name) for name in ENERGIES}
        return Energies(
            lam=values["lam"],
            **parts,
            variance=math.nan,
            acceptance=number("acceptance"),
            autocorrelation=number("energy_autocorrelation"),
            rhat=number("energy_rhat"),
            effective_samples=number("energy_effective_samples"),
            extrapolating=bool(here["extrapolating"]) if "extrapolating" in here else False,
            order_parameter=quantity(ORDER, "", None) if ORDER in here else None,
            order_parameter_rhat=number(f"{ORDER}_rhat"),
            in_gap=bool(here["in_gap"]) if "in_gap" in here else False,
            values={name: values[name] for name in self._model.ranges if name in values},
            size_trained=trained.size,
            twist_trained=trained.twist,
            phase=found.word,
            phase_why=found.why,
            origin=STORED,
            source=source,
        )

    def _ours(self, data: xarray.Dataset) -> bool:
        """Whether results are of the system that is asked about: weights may serve several."""
        try:
            system = Config.model_validate(tomllib.loads(data.attrs["config"])).system
        except (KeyError, TypeError, ValueError, ConfigError):
            return False
        return same(system, self._model.config.system)

    def _useless(self, data: xarray.Dataset, along: str) -> list[bool]:
        """Which points nothing is to be concluded from."""
        flags = [data[name].values.astype(bool) for name in (IMPOSSIBLE, *OUTSIDE) if name in data]
        broken = ~np.isfinite(data["energy_error"].values)
        every: list[bool] = np.logical_or.reduce([broken, *flags]).tolist()
        return every

    def _said(self, path: Path) -> str:
        """A file in words: shipped ones by the model that they came with."""
        from qernel.measure.shelf import models_folder

        return f"{path.name} shipped with {self._model.name}" if path.is_relative_to(models_folder()) else str(path)


def _chains(data: xarray.Dataset) -> str:
    """How much was sampled, where a file says it."""
    about = data.attrs
    if not {"walkers", "samples", "seed"} <= set(about):
        return ""
    return f", {about['samples']} records of {about['walkers']} chains, seed {about['seed']}"
