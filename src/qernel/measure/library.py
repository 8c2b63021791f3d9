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
from qernel.measure.card import CARD_FILE, read_card
from qernel.measure.model import Model
from qernel.measure.shelf import models_folder, models_in, shipped
from qernel.text import meant
from qernel.training.names import MODEL_FILE
from qernel.training.progress import Progress
from qernel.training.run import initial_wavefunction
from qernel.training.tensors import TensorFile, fit, read_tensors

_NAMED = 8
"""Models named in a sentence, at most."""


def load(run: str | Path) -> Model:
    """Open a run folder, a model file or a shipped model.

    Args:
        run: path of a run folder or of a model file, of a folder with one model in its folders, or a name from
            `shipped`.

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
    wavefunction = eqx.combine(fit(path, file.tensors, arrays, template.later), static)
    card, training = read_card(path.parent / CARD_FILE), Progress.from_header(file.metadata)
    asked = Path(run)
    named = asked if asked.is_dir() else path.parent if path.name == MODEL_FILE else path.with_suffix("")
    return Model(readable_name(named.resolve()), config, wavefunction, card, training=training, folder=path.parent)


def configuration(run: str | Path) -> Config:
    """The configuration of a run folder or shipped model, without its wavefunction, which takes longer.

    Raises:
        RunError: as `load`.
    """
    return _read(run)[1]


def _read(run: str | Path) -> tuple[Path, Config, TensorFile]:
    path = model_file(run)
    file = read_tensors(path)
    text = file.metadata.get("config")
    if text is None:
        raise RunError(f"{path} carries no configuration: it is not a Qernel model")
    return path, as_stored(Config.model_validate(_parse(text, path)), str(path)), file


def model_file(run: str | Path) -> Path:
    """The model file that is meant: of a run folder, of a folder with one model in folders of its own, or shipped.

    Raises:
        RunError: if there is none, or more than one.
    """
    path = Path(run)
    if path.is_file():
        return path
    if (path / MODEL_FILE).exists():
        return path / MODEL_FILE
    if str(run) in shipped():
        return models_folder() / str(run) / MODEL_FILE
    inside = models_in(path) if path.is_dir() else []
    if len(inside) == 1:
        return inside[0] / MODEL_FILE
    if inside:
        raise RunError(f"{run} holds {len(inside)} models: name one of {', '.join(map(str, inside[:_NAMED]))}")
    known = ", ".join(shipped()) or "none"
    what = "holds no trained model yet" if path.is_dir() else "is neither a run folder nor a shipped model"
    raise RunError(f"{run} {what}; shipped models: {known}{meant(str(run), [*shipped(), *_beside(path)])}")


def _beside(path: Path) -> list[str]:
    """Folders of the same parent, for one that is misspelt."""
    try:
        return [str(path.with_name(entry.name)) for entry in path.parent.iterdir() if entry.is_dir()]
    except (OSError, ValueError):
        return []


def _parse(text: str, path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RunError(f"{path} carries a damaged configuration: {error}") from error
