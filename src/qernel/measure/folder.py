"""The folders of measurements: where they are, that they go on after a stop, and that none replaces another one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from qernel import outputs
from qernel.measure.place import alone_in

if TYPE_CHECKING:
    from qernel.measure.model import Model
    from qernel.measure.shelf import Shelf

UNFINISHED = "unfinished"
"""Folder of what a measurement has drawn, while it is under way."""


def default_folder(model: Model, run: str, what: str) -> Path:
    """``RUN/what`` for a run folder, ``NAME-what`` for a shipped model, with the name of `of_system`."""
    from qernel.measure.shelf import shipped
    from qernel.training.names import MODEL_FILE

    what = of_system(model, what)
    own = Path(run).is_dir() and (run not in shipped() or (Path(run) / MODEL_FILE).exists())
    return Path(run) / what if own else Path(f"{model.name}-{what}")


def of_system(model: Model | Shelf, what: str) -> str:
    """The name of a folder of results: ``scan``, or ``scan-54`` where other electrons than those of [system] are asked
    about, ``scan-54-liquid`` where one phase alone is."""
    if model.moved is None:
        return what
    return "-".join(filter(None, [what, str(model.config.system.count), alone_in(model)]))


@contextmanager
def remembering(model: Model, out: Path, command: str = outputs.AGAIN, *, together: bool = False) -> Iterator[Model]:
    """The model of a long measurement into a folder, which goes on where it was when it is repeated.

    Args:
        model: to measure.
        out: the folder.
        command: what goes on with it.
        together: whether all points are measured together, so that none is done before all are.

    Raises:
        Interrupted: when it is stopped, with the command that goes on.
    """

    def kept() -> str:
        if together:
            return "the chains of all points begin anew"
        return "everything is saved" if (out / UNFINISHED).exists() else "no point is done"

    with model.remembering(out / UNFINISHED) as remembered, outputs.resumable(out, command, kept):
        yield remembered
