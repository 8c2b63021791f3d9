"""The folder of a run: what lies in it and the order in which it is written.

RUN/config.toml                       the resolved configuration
RUN/metrics.csv                       one row per recorded iteration and λ group
RUN/checkpoint-ITERATION.safetensors  the last few complete states
RUN/model.safetensors                 the averaged parameters with their configuration: what queries load
RUN/events.jsonl                      faults and what was done about them, if there were any
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import equinox as eqx
import numpy as np

from qernel.config import Config, load_config
from qernel.config.earlier import meanings
from qernel.config.systems import shared_walkers
from qernel.errors import ConfigError, DamagedFile, RunError
from qernel.files import PARTIAL, occupied, require_writable, set_aside, write_atomically
from qernel.sampling.devices import walker_mesh
from qernel.stopping import expendable
from qernel.training.checkpoint import CONFIG_FILE as CONFIG_FILE
from qernel.training.checkpoint import Checkpoints, Loaded
from qernel.training.events import EventLog
from qernel.training.expert_load import Routing, overflow
from qernel.training.lock import LOCK_FILE, locked
from qernel.training.metrics import MetricsFile
from qernel.training.names import METRICS_FILE as METRICS_FILE
from qernel.training.names import MODEL_FILE as MODEL_FILE
from qernel.training.progress import COMPLETE, GOING_ON, Progress
from qernel.training.state import TrainState
from qernel.training.step import StepInfo
from qernel.training.tensors import read_header, write_tensors
from qernel.wavefunction import Wavefunction, parameter_layout
from qernel.wavefunction.parts.experts import mixtures


class RunFolder:
    """Writes a run; every method leaves a folder from which it can be resumed.

    Args:
        path: the folder.
        config: of the run.
        template: its wavefunction.
    """

    def __init__(self, path: Path, config: Config, template: Wavefunction):
        self.path = path
        self.events = EventLog(path)
        self._iteration = 0
        self.checkpoints = Checkpoints.of(path, config, notice=lambda text: self._say("kept", text))
        self._config = config
        self._wavefunction = parameter_layout(template).rebuild
        self._parameters = template.hamiltonian.parameters
        groups = [one.train.groups for one in config.members]
        self._systems = np.repeat(np.arange(len(groups)), groups).tolist() if len(groups) > 1 else []
        self._active, self._overflow = config.model.active_experts, False
        self._experts = [len(layer.experts_in) for layer in mixtures(template)]
        self._metrics: MetricsFile | None = None
        self._place: os.stat_result | None = None

    @contextmanager
    def begin(self, state: TrainState) -> Iterator[None]:
        """Write what a run of this state needs, and keep its metrics open: rows newer than the state are dropped."""
        self._place = self.path.stat()
        self._iteration = int(state.iteration)
        for leftover in self.path.glob(f"*{PARTIAL}"):
            leftover.unlink()
        other_extent = self._goes_farther()
        if not self.checkpoints.paths() or other_extent:
            # Before anything else: from now on the run can be resumed, whenever it is killed.
            self._save_checkpoint(state, finished=False)
        if not (self.path / CONFIG_FILE).exists() or other_extent:
            write_atomically(self.path / CONFIG_FILE, self._config.to_toml().encode())
        self._keep_foreign_model()
        if not (self.path / MODEL_FILE).exists() or other_extent:
            self._save_model(state, GOING_ON)
        self._open_metrics(state)
        try:
            with expendable(None):
                yield
        except BaseException:
            self._close_metrics(quietly=True)  # the error on its way says more than one of closing
            raise
        self._close_metrics(quietly=False)

    def record(self, iteration: int, info: StepInfo, routing: Routing | None = None) -> None:
        """Add an iteration to the metrics; an active expert that a local energy left out is an event, said once."""
        assert self._metrics is not None
        self._metrics.append(iteration, info, routing)
        lost = None if routing is None or self._overflow else overflow(routing.dropped, info.point, self._active)
        if lost is not None:
            self._overflow = True
            self.events.append("capacity", iteration, lost)

    def save(self, state: TrainState, ended: str) -> None:
        """Write metrics, model and checkpoint, in this order: what a checkpoint stands for is on the disk before it.

        Args:
            state: a good one.
            ended: whether it ends the run, and why (`qernel.training.progress`).
        """
        assert self._metrics is not None
        self._check_place()
        self._iteration = int(state.iteration)
        self._metrics.flush()
        self._say_notices()
        self._save_model(state, ended)
        self._save_checkpoint(state, finished=ended == COMPLETE)

    def go_back(self, state: TrainState) -> None:
        """Make an earlier state the newest one.

        The checkpoint comes first: killed before the metrics are cut, the run resumes from it and cuts them then.
        """
        self._check_place()
        self._iteration = int(state.iteration)
        self._save_checkpoint(state, finished=False)
        self._close_metrics(quietly=False)
        self._open_metrics(state)

    def resumed(self, loaded: Loaded) -> None:
        """Say what is not as it was when the state was written, with the run at that state."""
        self._iteration = int(loaded.state.iteration)
        if loaded.passed_over:
            self._say("fallback", "; ".join([*loaded.passed_over, f"resuming from {loaded.path.name} instead"]))
        if not loaded.finished and loaded.devices not in (None, self._devices):
            self._say(
                "devices",
                f"the run was on {loaded.devices} and goes on with {self._devices}: its numbers agree with those that "
                "it would have had within rounding, which grows, and statistics, not bit for bit",
            )

    def _save_checkpoint(self, state: TrainState, *, finished: bool) -> None:
        self.checkpoints.save(state, finished=finished, devices=self._devices)

    @property
    def _devices(self) -> str:
        mesh = walker_mesh(shared_walkers(self._config))
        kind = mesh.devices.flat[0].device_kind
        return f"{mesh.size} {kind} device{'s' * (mesh.size > 1)}"

    def _check_place(self) -> None:
        """A folder of the same name may be another one by now: a run must not be written into it.

        Raises:
            RunError: if ours is gone.
        """
        try:
            there = self._place is not None and os.path.samestat(self._place, self.path.stat())
        except FileNotFoundError:
            there = False
        if not there:
            raise RunError(
                f"{self.path} was removed, renamed or replaced while the run went on: nothing can be saved in it; "
                "where its checkpoints are, if anywhere, go on with --resume"
            )

    def unwritable(self, error: OSError) -> RunError:
        """What to say when the folder could not be written, or was gone."""
        what = f"{error.filename or self.path} cannot be written ({error.strerror or error})"
        try:
            if self._place is not None:
                self._check_place()
            there = self.checkpoints.paths()
        except RunError as gone:
            return gone
        except OSError:  # not to be seen either
            return RunError(f"{what}, nor read: restore access, then go on with --resume")
        if there:
            safe = "the checkpoints written before are intact"
            return RunError(f"{what}: {safe}; free space or restore access, then go on with --resume")
        return RunError(f"{what}, and there is no checkpoint: free space or restore access, then start again")

    def _say(self, kind: str, sentence: str) -> None:
        self.events.append(kind, self._iteration, sentence)

    def _say_notices(self) -> None:
        assert self._metrics is not None
        while self._metrics.notices:
            self._say("metrics", self._metrics.notices.pop(0))

    def _goes_farther(self) -> bool:
        """Whether the run is to go on with other `qernel.config.sections.EXTENT` than it was begun with."""
        try:
            stored = load_config(self.path / CONFIG_FILE)
        except (ConfigError, OSError):
            return False
        same = stored.fingerprint(extent=False) == self._config.fingerprint(extent=False)
        return same and stored.fingerprint() != self._config.fingerprint()

    def _save_model(self, state: TrainState, ended: str) -> None:
        train = self._config.train
        progress = Progress(int(state.iteration), train.burn_in, train.iterations, ended)
        save_model(self.path / MODEL_FILE, self._config, self._wavefunction(state.average), progress)

    def _keep_foreign_model(self) -> None:
        """Keep the model of another run, which the next save would replace, under another name."""
        path = self.path / MODEL_FILE
        try:
            config = load_config(tomllib.loads(read_header(path).get("config", "")))
        except (DamagedFile, ConfigError, ValueError):  # or absent: nothing to lose
            return
        known = [config, *(one.config for one in meanings(config))]
        if self._config.fingerprint(extent=False) not in [one.fingerprint(extent=False) for one in known]:
            kept = set_aside(path)
            self._say("kept", f"{path} is not the model of this run: it is kept as {kept.name}")

    def _open_metrics(self, state: TrainState) -> None:
        train, path, iteration = self._config.train, self.path / METRICS_FILE, int(state.iteration)
        self._metrics = MetricsFile(
            path,
            self._parameters,
            iteration,
            exchange=train.exchange > 0,
            experts=self._experts,
            every=train.record_every,
            systems=self._systems,
        )
        self._say_notices()

    def _close_metrics(self, *, quietly: bool) -> None:
        metrics, self._metrics = self._metrics, None
        try:
            if metrics is not None:
                metrics.close()
        except OSError:
            if not quietly:
                raise


def save_model(path: Path, config: Config, wavefunction: Wavefunction, progress: Progress | None = None) -> None:
    """Write a self-contained model file: named parameters, the configuration they belong to, how far training came."""
    header = {"config": config.to_toml(), **(progress.header() if progress else {})}
    write_tensors(path, eqx.filter(wavefunction, eqx.is_inexact_array), header)


@contextmanager
def new_folder(path: Path) -> Iterator[None]:
    """Make and hold the folder of a new run.

    A folder in which a run was killed before its first checkpoint holds nothing to lose and counts as empty.

    Raises:
        RunError: if it holds something, or another process trains in it.
    """
    require_unused(path)
    path.mkdir(parents=True, exist_ok=True)
    with locked(path):
        require_unused(path)  # somebody was faster
        yield


def require_unused(path: Path) -> None:
    """See that the folder of a new run is absent, empty, or can be made.

    Raises:
        RunError: if it holds something, or cannot be written.
    """
    require_writable(path, [f"checkpoint-{0:08}.safetensors"])
    if occupied(path, ignoring=(LOCK_FILE,)):
        raise RunError(f"{path} already exists and is not empty: add --resume to continue it, or choose another --out")
