"""Checkpoints of a run: the last few complete states, newest first.

A checkpoint holds a whole `TrainState` (random key included), so a resumed run is the run that was not
interrupted. Each is a file of its own, ``checkpoint-ITERATION.safetensors``: writing one never touches another.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from qernel.config import Config, load_config
from qernel.config.earlier import meanings
from qernel.errors import ConfigError, DamagedFile, OtherRun, RunError
from qernel.files import set_aside
from qernel.training.state import TrainState
from qernel.training.tensors import Migration, Tensors, fit, read_header, read_tensors, write_tensors

CONFIG_FILE = "config.toml"
"""The resolved configuration, beside the checkpoints."""

_NAME = re.compile(r"checkpoint(?:-(\d{1,12}))?\.safetensors")


class Loaded(NamedTuple):
    """A state read back.

    Attributes:
        state: the state.
        finished: whether that run has made all that the configuration asks for.
        path: the file.
        passed_over: why each newer file could not be used, one sentence each.
        devices: what the run was computed on; None where that was not written down.
    """

    state: TrainState
    finished: bool
    path: Path
    passed_over: tuple[str, ...] = ()
    devices: str | None = None


def _add_tuning(tensors: Tensors) -> Tensors:
    """Format 1 knew no adapted learning rate and damping: both were as configured."""
    return {**tensors, "tuning.rate": np.ones((), np.float64), "tuning.damping": np.ones((), np.float64)}


MIGRATIONS: dict[str, Migration] = {"1": _add_tuning}
"""By format: what turns the tensors of a checkpoint into those of the next format."""


def averaged_parameters(path: Path) -> npt.NDArray[Any]:
    """The averaged parameters ``[P]`` in a checkpoint, flat as in `TrainState`: the model as it was then.

    Raises:
        DamagedFile: if it is no checkpoint, or damaged.
    """
    tensors, _ = read_tensors(path, MIGRATIONS)
    if "average" not in tensors:
        raise DamagedFile(f"{path} is not a checkpoint of Qernel")
    return tensors["average"]


class Extent(NamedTuple):
    """How far a run goes.

    Attributes:
        course: fingerprint of the configuration without this; runs of one course have the same steps.
        total: iterations, burn-in included.
        timed: whether ``train.time_limit_s`` may stop it before.
    """

    course: str
    total: int
    timed: bool


class Checkpoints:
    """The checkpoints in a run folder.

    Args:
        folder: the run folder.
        fingerprint: of the configuration; checkpoints of any other are refused.
        keep: how many to keep.
        extent: with it, checkpoints of a run that went less far, or farther, are those of this configuration.
        earlier: by the fingerprint of the configuration as earlier versions understood it, what was otherwise, and what
            makes a configuration mean that.
        notice: called with a sentence about a file of somebody else that was kept under another name.
    """

    def __init__(
        self,
        folder: Path,
        fingerprint: str,
        keep: int,
        extent: Extent | None = None,
        *,
        earlier: Mapping[str, tuple[str, str]] | None = None,
        notice: Callable[[str], None] | None = None,
    ):
        self._folder = folder
        self._fingerprint = fingerprint
        self._keep = keep
        self._extent = extent
        self._earlier = dict(earlier or {})
        self._notice = notice or (lambda sentence: None)
        self._written: set[Path] = set()

    @classmethod
    def of(
        cls, folder: Path, config: Config, keep: int | None = None, notice: Callable[[str], None] | None = None
    ) -> Self:
        """Those of a configuration; ``keep``, if given, instead of its ``train.keep_checkpoints``."""
        train = config.train
        return cls(
            folder,
            config.fingerprint(),
            train.keep_checkpoints if keep is None else keep,
            Extent(config.fingerprint(extent=False), train.burn_in + train.iterations, train.time_limit_s is not None),
            earlier={one.config.fingerprint(): (one.what, one.override) for one in meanings(config)},
            notice=notice,
        )

    def paths(self) -> list[Path]:
        """The files, newest first; one without a number was written before there were several."""
        if not self._folder.is_dir():
            return []
        found = [(match, entry) for entry in self._folder.iterdir() if (match := _NAME.fullmatch(entry.name))]
        return [entry for _, entry in sorted(found, key=lambda pair: -int(pair[0][1] or -1))]

    def save(self, state: TrainState, *, finished: bool, devices: str | None = None) -> Path:
        """Write the complete state as the newest checkpoint, then remove what is not kept.

        A file of a later iteration that was written here belongs to a branch that was given up: it goes as well, and
        so does one that is damaged. Files of other runs are kept under other names, and so are later ones of this run
        that came from elsewhere.

        Args:
            state: of the run.
            finished: whether the run is.
            devices: what it is computed on.

        Raises:
            OSError: if it cannot be written; every other checkpoint is untouched then.
        """
        iteration = int(state.iteration)
        path = self._folder / f"checkpoint-{iteration:09d}.safetensors"
        metadata = {"fingerprint": self._fingerprint, "finished": json.dumps(finished), "iteration": str(iteration)}
        metadata |= {"course": self._extent.course} if self._extent else {}
        metadata |= {"devices": devices} if devices else {}
        if os.path.lexists(path) and self._foreign(path):
            self._set_aside(path)
        write_tensors(path, state, metadata)
        self._written.add(path)
        files = self.paths()
        newest = files.index(path)
        for other in files[:newest]:
            self._remove(other, ours=other in self._written)
        for other in files[newest + self._keep :]:
            self._remove(other, ours=True)
        return path

    def _remove(self, path: Path, *, ours: bool) -> None:
        """Remove a checkpoint; keep it under another name if it is of another run, or it is not ours to remove."""
        if path not in self._written and (self._foreign(path) or not (ours or self._unreadable(path))):
            self._set_aside(path)
            return
        path.unlink(missing_ok=True)
        self._written.discard(path)

    def _set_aside(self, path: Path) -> None:
        kept = set_aside(path)
        self._notice(f"{path} is not of this run, or came from elsewhere: it is kept as {kept.name}")

    def _foreign(self, path: Path) -> bool:
        """Whether a file is a sound one of another run, or no file at all; a damaged one is of no use to anybody."""
        if not path.is_file():
            return True
        try:
            return not self._belongs(read_header(path))
        except DamagedFile:
            return False

    @staticmethod
    def _unreadable(path: Path) -> bool:
        try:
            read_tensors(path)
        except RunError as error:
            return isinstance(error, DamagedFile)
        return False

    def load(self, template: TrainState) -> Loaded:
        """The newest state that can be used.

        Args:
            template: a state of the shapes and types wanted.

        Raises:
            OtherRun: if the checkpoints are those of another configuration.
            RunError: if none can be used.
        """
        problems: list[DamagedFile | OtherRun] = []
        for path in self.paths():
            try:
                state, metadata = self._read(path, template)
            except (DamagedFile, OtherRun) as error:
                problems.append(error)
                continue
            passed_over = tuple(str(problem) for problem in problems)
            return Loaded(state, self._finished(metadata), path, passed_over, metadata.get("devices"))
        for problem in problems:
            if isinstance(problem, OtherRun):
                raise problem
        if not problems:
            raise RunError(f"{self._folder} has no checkpoint to resume from: start it without --resume")
        others = f", and so are {len(problems) - 1} older ones" if len(problems) > 1 else ""
        raise RunError(f"{problems[0]}{others}; nothing was changed: restore a checkpoint, or train into another --out")

    def finished(self) -> bool:
        """Whether the newest checkpoint that can be read ends a run of this configuration."""
        for path in self.paths():
            try:
                metadata = read_tensors(path).metadata
            except DamagedFile:
                continue
            return self._belongs(metadata) and self._finished(metadata)
        return False

    def _read(self, path: Path, template: TrainState) -> tuple[TrainState, dict[str, str]]:
        tensors, metadata = read_tensors(path, MIGRATIONS)
        if "fingerprint" not in metadata or metadata.get("finished") not in ("true", "false"):
            raise DamagedFile(f"{path} is not a checkpoint of Qernel")
        if metadata["fingerprint"] in self._earlier:
            what, override = self._earlier[metadata["fingerprint"]]
            raise OtherRun(
                f"{path} was written by an earlier version, whose {what}: resume with "
                f"{self._folder / 'config.toml'}, or add --set {override}"
            )
        if not self._belongs(metadata):
            raise OtherRun(
                f"{path} was written by a run with another configuration: resume with the same one, in which only "
                "train.iterations and train.time_limit_s may be changed"
            )
        return fit(path, tensors, template), metadata

    def _belongs(self, metadata: Mapping[str, str]) -> bool:
        """Whether a checkpoint is one of this configuration, however far its run went."""
        if self._extent is None or metadata.get("fingerprint") == self._fingerprint:
            return metadata.get("fingerprint") == self._fingerprint
        if "course" in metadata:
            return metadata["course"] == self._extent.course
        # Checkpoints of earlier versions know their whole configuration only: it lies beside them.
        try:
            stored = load_config(self._folder / CONFIG_FILE)
        except (ConfigError, OSError):
            return False
        same = stored.fingerprint() == metadata.get("fingerprint")
        return same and stored.fingerprint(extent=False) == self._extent.course

    def _finished(self, metadata: Mapping[str, str]) -> bool:
        """Whether a checkpoint of this configuration ends its run.

        Earlier versions called a run finished that ``train.time_limit_s`` had stopped.
        """
        if metadata.get("finished") != "true" or self._extent is None:
            return metadata.get("finished") == "true"
        if int(metadata.get("iteration", self._extent.total)) >= self._extent.total:
            return True
        return metadata.get("fingerprint") == self._fingerprint and not self._extent.timed
