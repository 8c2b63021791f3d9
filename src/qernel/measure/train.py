"""A trained model from a configuration, in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qernel import runtime
from qernel.config import Config, load_config
from qernel.errors import RunError
from qernel.measure.library import load
from qernel.measure.model import Model
from qernel.progress import Told, wanted
from qernel.provenance import weights_digest
from qernel.training import run
from qernel.training.checkpoint import Checkpoints
from qernel.training.devices import share_out
from qernel.training.display import TrainingProgress
from qernel.training.start import Start

if TYPE_CHECKING:
    from qernel.training.report import Report


def train(
    config: str | Path | Config | Mapping[str, Any],
    out: str | Path | None = None,
    *,
    resume: bool | None = False,
    start: str | Path | Model | None = None,
    progress: Told | bool | None = None,
    after_step: Callable[[int, float], bool] | None = None,
) -> Model:
    """Train one wavefunction over its family into a run folder, as ``qernel train`` does.

    Unless JAX has started in this process before, it gets the devices and threads that the command gives it.

    Args:
        config: what to train: a configuration, a TOML file or preset, or its sections as a mapping.
        out: the run folder; default ``runs/NAME``, for a configuration that has a name or comes from a file.
        resume: continue the run in ``out`` instead of starting one; None: if there is one.
        start: a model whose weights a new run begins with (a model, a run folder, a model file or the name of a shipped
            model); its system may be another one where the ansatz is universal, its intervals may always be. Where
            the run goes on instead, it has to be the model that it began with.
        progress: default: energies, acceptance and time left where somebody watches, on a terminal or in a notebook;
            True: everywhere, in lines where there is no terminal; False: never. A function is called with the stage
            and the fraction of the iterations done.
        after_step: see `qernel.training.run.train`.

    Returns:
        The model with its averaged parameters; ``model.training`` says whether its run is complete.

    Raises:
        ConfigError: if the configuration cannot be used, or the weights of ``start`` do not fit it.
        RunError: see `qernel.training.run.train`; and for a configuration without a name, if ``out`` is not given;
            and for ``start`` together with ``resume``.
        Interrupted: after Ctrl-C, SIGTERM, SIGUSR2 or SIGHUP, with a checkpoint written.

    >>> import qernel
    >>> two = {"electrons": 2, "supercell": [[1, 1], [-1, 2]]}
    >>> few = {"iterations": 3, "burn_in": 2, "walkers": 8, "groups": 2}
    >>> config = {"system": two, "family": {"lam": [0.5, 1.0]}, "model": {"ansatz": "slater"}, "train": few}
    >>> model = qernel.train(config, "runs/two")
    >>> model.training.iteration, model.ranges
    (5, {'lam': (0.5, 1.0)})
    """
    settings = config if isinstance(config, Config) else load_config(config)
    folder = Path(out) if out is not None else Path("runs") / _name(config, settings)
    if not runtime.started():
        share_out(settings)
    begun = None if start is None else beginning(start, resume)
    settings = settings if begun is None else begun.taken_over(settings)
    if resume is None:
        resume = bool(Checkpoints.of(folder, settings).paths())
    with _shown(progress, settings) as report:
        run.train(settings, folder, resume=resume, start=begun, report=report, after_step=after_step)
    return load(folder)


@contextmanager
def _shown(progress: Told | bool | None, settings: Config) -> Iterator[Callable[[Report], None] | None]:
    """What gets the reports of a run."""
    if wanted(progress):
        with TrainingProgress(settings.train.time_limit_s) as shown:
            yield shown
    elif callable(progress):
        tell: Told = progress
        yield lambda found: tell(found.stage, found.iteration / found.iterations)
    else:
        yield None


def beginning(source: str | Path | Model, resume: bool | None = False) -> Start:
    """What a run that starts from a model begins with.

    Args:
        source: the model, its run folder or file, or the name of a shipped one.
        resume: as `train` has it.

    Raises:
        RunError: if there is no such model, or a run that is resumed is to start from one.
    """
    if resume:
        raise RunError(
            "a run that is resumed goes on with its own weights: leave out --from (in Python start), or --resume"
        )
    model = source if isinstance(source, Model) else load(source)
    return Start(model.name, weights_digest(model.wavefunction), model.config, model.wavefunction)


def _name(config: Any, settings: Config) -> str:
    name = Path(config).stem if isinstance(config, str | Path) else settings.name
    if not name:
        raise RunError("the configuration has no name that a folder could have: give out=, or name in it")
    return name
