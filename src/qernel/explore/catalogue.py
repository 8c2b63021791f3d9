"""What the page can show: the shipped models and the run folders named on the command line."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from qernel.along import axis
from qernel.errors import QernelError
from qernel.files import readable_name
from qernel.measure import Model, State, load, shipped
from qernel.measure.folder import of_system
from qernel.measure.library import model_file
from qernel.measure.shelf import models_folder
from qernel.measure.slices import same_elsewhere
from qernel.measure.stored import OBSERVED, OWN, SCANNED, of_these_weights
from qernel.provenance import weights_digest
from qernel.training.folder import METRICS_FILE, MODEL_FILE

if TYPE_CHECKING:
    import xarray


class Entry:
    """One model of the page, read again whenever its files change: a run may still be training.

    Args:
        name: what the page calls it, and the only thing a request can say about it.
        folder: with the model, its metrics, and results of ``qernel observe`` and ``qernel scan``.
        system: electrons, supercell and twist that it is shown with (`Model.on`); empty: as it was trained.
    """

    def __init__(self, name: str, folder: Path, system: Mapping[str, Any] = MappingProxyType({})) -> None:
        self.name, self.folder, self._system = name, folder, system
        self._kept: dict[str, tuple[Any, Any]] = {}
        self._lock = threading.RLock()

    @property
    def available(self) -> bool:
        """Whether there is a model already; training writes the first one with its second checkpoint."""
        return (self.folder / MODEL_FILE).exists()

    @property
    def shipped(self) -> bool:
        """Whether it came with the package, and is no run of one's own."""
        return self.folder.resolve().parent == models_folder().resolve()

    @property
    def metrics(self) -> Path | None:
        """The metrics file, if there is one."""
        path = self.folder / METRICS_FILE
        return path if path.exists() else None

    def model(self) -> Model:
        """The model as it is now.

        Raises:
            RunError: if there is none yet, or its file is damaged.
        """
        return self._fresh("model", [self.folder / MODEL_FILE], self._read_model)

    def stored(self) -> xarray.Dataset | None:
        """Observables along a parameter measured earlier of these very weights: of ``qernel observe``."""
        return self._measured(("energy", "density"), OBSERVED, OWN)

    def scan(self) -> xarray.Dataset | None:
        """Energies along a parameter measured earlier of these very weights: of ``qernel scan``, else `stored`."""
        return self._measured(("energy", "interaction"), SCANNED, OBSERVED, OWN)

    def nearest(self, state: State) -> xarray.Dataset | None:
        """The stored results next to ``state`` on the axis that they have; None where other parameters differ."""
        stored = self.stored()
        if stored is None:
            return None
        along, asked = axis(stored).name, dict(zip(state.model.ranges, state.point.tolist(), strict=True))
        fixed = {name: value for name, value in asked.items() if name != along}
        if not same_elsewhere(stored, fixed):
            return None
        return stored.sel({along: asked[along]}, method="nearest")

    def _read_model(self) -> Model:
        model, (_, before) = load(self.folder), self._kept.get("model", (None, None))
        model = model.on(**self._system) if self._system else model
        return model if before is None else model.sampled_like(before)

    def _measured(self, needs: Sequence[str], *names: str) -> xarray.Dataset | None:
        paths = [path for path in map(self.folder.joinpath, filter(None, map(self._place, names))) if path.exists()]
        return self._fresh("/".join(names), [*paths, self.folder / MODEL_FILE], lambda: self._read(paths, needs))

    def _place(self, name: str) -> Path | None:
        """Where results are; what lies beside a shipped model is of the system it was trained in."""
        path = Path(name)
        if not self._system:
            return path
        return None if name == OWN else Path(of_system(self.model(), path.parent.name), path.name)

    def _read(self, paths: Sequence[Path], needs: Sequence[str]) -> xarray.Dataset | None:
        def say(sentence: str) -> None:
            print(f"qernel: warning: {sentence}", file=sys.stderr)

        found = of_these_weights(paths, weights_digest(self.model().wavefunction), say)
        return next((dataset for _, dataset in found if all(name in dataset for name in needs)), None)

    def _fresh(self, key: str, paths: Sequence[Path], make: Callable[[], Any]) -> Any:
        """What ``make`` gives, kept until one of the files changes."""
        with self._lock:
            stamp = [(path, path.stat().st_mtime_ns) for path in paths if path.exists()]
            if key not in self._kept or self._kept[key][0] != stamp:
                self._kept[key] = (stamp, make())
            return self._kept[key][1]


def catalogue(runs: Sequence[str], system: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Entry]:
    """The entries by name: the runs that were given, then the shipped models.

    Args:
        runs: run folders and shipped models.
        system: electrons, supercell and twist with which these runs are shown (`Model.on`), not those that follow.

    Raises:
        RunError: if one of the runs is neither a run folder nor a shipped model, or cannot be asked in that system.
    """
    entries: dict[str, Entry] = {}
    for run in [*dict.fromkeys(runs), *(name for name in shipped() if name not in runs)]:
        folder = Path(run)
        if not any((folder / file).exists() for file in (MODEL_FILE, METRICS_FILE)):
            folder = model_file(run).parent
        base = readable_name((Path(run) if Path(run).is_dir() else folder).resolve())
        name, number = base, 2
        while name in entries:
            name, number = f"{base} ({number})", number + 1
        entries[name] = Entry(name, folder, system if run in runs else {})
        if entries[name].available:
            entries[name].model()  # a damaged file is reported here and not in the browser
    return entries


def requested_state(model: Model, query: Mapping[str, str]) -> State:
    """The state that a request asks for: a number for λ and, if it likes, for the other parameters.

    Raises:
        QernelError: for a parameter that is missing, unknown, no number or out of reach.
    """
    allowed = model.reach
    unknown = sorted(set(query) - set(allowed))
    if unknown:
        raise QernelError(f"{unknown[0][:40]!r} is no parameter of {model.name}: use {', '.join(allowed)}")
    if "lam" not in query:
        raise QernelError(f"lam is missing: give a number from {allowed['lam'][0]:g} to {allowed['lam'][1]:g}")
    values: dict[str, Any] = {}
    for name, text in query.items():
        low, high = allowed[name]
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low - 1e-9 <= value <= high + 1e-9:  # also refuses nan
            raise QernelError(f"{name} = {text[:40]!r} is out of bounds: give a number from {low:g} to {high:g}")
        values[name] = value
    lam = values.pop("lam")
    return model.at(lam, **values)
