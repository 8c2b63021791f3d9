"""The folder of a run: what lies in it and the order in which it is written.

RUN/config.toml                       the resolved configuration
RUN/metrics.csv                       one row per recorded iteration and λ group
RUN/checkpoint-ITERATION.safetensors  the last few complete states
RUN/model.safetensors                 the averaged parameters with their configuration: what queries load
RUN/events.jsonl                      faults and what was done about them, if there were any
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import equinox as eqx

from qernel.config import Config, load_config
from qernel.errors import ConfigError, RunError
from qernel.files import PARTIAL, occupied, write_atomically
from qernel.training.balance import Routing, overflow
from qernel.training.checkpoint import CONFIG_FILE as CONFIG_FILE
from qernel.training.checkpoint import Checkpoints
from qernel.training.events import EventLog
from qernel.training.lock import LOCK_FILE, locked
from qernel.training.metrics import MetricsFile
from qernel.training.progress import COMPLETE, GOING_ON, Progress
from qernel.training.state import TrainState
from qernel.training.step import StepInfo
from qernel.training.tensors import write_tensors
from qernel.wavefunction import Wavefunction, parameter_layout
from qernel.wavefunction.experts import mixtures

METRICS_FILE, MODEL_FILE = "metrics.csv", "model.safetensors"


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
        self.checkpoints = Checkpoints.of(path, config)
        self._config = config
        self._wavefunction = parameter_layout(template).rebuild
        self._parameters = template.hamiltonian.parameters
        self._active, self._overflow = config.model.active_experts, False
        self._experts = [len(layer.experts_in) for layer in mixtures(template)]
        self._metrics: MetricsFile | None = None

    @contextmanager
    def begin(self, state: TrainState) -> Iterator[None]:
        """Write what a run of this state needs, and keep its metrics open: rows newer than the state are dropped."""
        for leftover in self.path.glob(f"*{PARTIAL}"):
            leftover.unlink()
        other_extent = self._goes_farther()
        if not self.checkpoints.paths() or other_extent:
            # Before anything else: from now on the run can be resumed, whenever it is killed.
            self.checkpoints.save(state, finished=False)
        if not (self.path / CONFIG_FILE).exists() or other_extent:
            write_atomically(self.path / CONFIG_FILE, self._config.to_toml().encode())
        if not (self.path / MODEL_FILE).exists() or other_extent:
            self._save_model(state, GOING_ON)
        self._open_metrics(state)
        try:
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
        self._metrics.flush()
        self._save_model(state, ended)
        self.checkpoints.save(state, finished=ended == COMPLETE)

    def go_back(self, state: TrainState) -> None:
        """Make an earlier state the newest one.

        The checkpoint comes first: killed before the metrics are cut, the run resumes from it and cuts them then.
        """
        self.checkpoints.save(state, finished=False)
        self._close_metrics(quietly=False)
        self._open_metrics(state)

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

    def _open_metrics(self, state: TrainState) -> None:
        exchange = self._config.train.exchange > 0
        path, iteration = self.path / METRICS_FILE, int(state.iteration)
        self._metrics = MetricsFile(path, self._parameters, iteration, exchange=exchange, experts=self._experts)

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
    taken = RunError(f"{path} already exists and is not empty: add --resume to continue it, or choose another --out")
    if occupied(path, ignoring=(LOCK_FILE,)):
        raise taken
    path.mkdir(parents=True, exist_ok=True)
    with locked(path):
        if occupied(path, ignoring=(LOCK_FILE,)):  # somebody was faster
            raise taken
        yield
