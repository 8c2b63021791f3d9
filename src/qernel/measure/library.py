"""Models on the disk: those that come with the package, and those of run folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import equinox as eqx

from qernel import runtime
from qernel.config import Config
from qernel.config.earlier import as_stored
from qernel.errors import RunError
from qernel.files import readable_name
from qernel.measure.card import read_card
from qernel.measure.known import models_folder, shipped
from qernel.measure.model import Model
from qernel.training.names import MODEL_FILE
from qernel.training.progress import Progress
from qernel.training.run import initial_wavefunction
from qernel.training.tensors import TensorFile, fit, read_tensors

_CARD_FILE = "card.json"


def load(run: str | Path) -> Model:
    """Open a run folder or a shipped model.

    Args:
        run: path of a run folder, or a name from `shipped`.

    Returns:
        The model with its averaged parameters, even of a run that is still going on.

    Raises:
        RunError: if there is no such model, or its file is foreign or damaged.

    >>> import qernel
    >>> qernel.load("n6").parameters
    33659
    """
    runtime.refuse_forked()
    path, config, file = _read(run)
    template = initial_wavefunction(config, start=False)
    arrays, static = eqx.partition(template, eqx.is_inexact_array)
    wavefunction = eqx.combine(fit(path, file.tensors, arrays), static)
    card, training = read_card(path.parent / _CARD_FILE), Progress.from_header(file.metadata)
    return Model(
        readable_name(path.parent.resolve()), config, wavefunction, card, training=training, folder=path.parent
    )


def configuration(run: str | Path) -> Config:
    """The configuration of a run folder or shipped model, without its wavefunction, which takes longer.

    Raises:
        RunError: as `load`.
    """
    return _read(run)[1]


def _read(run: str | Path) -> tuple[Path, Config, TensorFile]:
    folder = Path(run)
    if not (folder / MODEL_FILE).exists():
        if str(run) not in shipped():
            known = ", ".join(shipped()) or "none"
            what = "holds no trained model yet" if folder.is_dir() else "is neither a run folder nor a shipped model"
            raise RunError(f"{run} {what}; shipped models: {known}")
        folder = models_folder() / str(run)
    path = folder / MODEL_FILE
    file = read_tensors(path)
    text = file.metadata.get("config")
    if text is None:
        raise RunError(f"{path} carries no configuration: it is not a Qernel model")
    return path, as_stored(Config.model_validate(_parse(text, path)), str(path)), file


def _parse(text: str, path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RunError(f"{path} carries a damaged configuration: {error}") from error
