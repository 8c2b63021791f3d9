"""Folders of results: what they depend on, and that nothing of somebody else is overwritten."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from qernel.errors import Interrupted, RunError, StopRequested
from qernel.files import occupied, require_writable, write_atomically
from qernel.records import read_json
from qernel.stopping import expendable
from qernel.storage import to_json
from qernel.training.lock import LOCK_FILE, locked

AGAIN = "the same call again"
"""How work that was not started on the command line goes on."""


def refuse_overwriting(out: Path, files: Sequence[str], wanted: Mapping[str, Any], stored: Any, what: str) -> None:
    """Results are only replaced by a repetition of themselves.

    Args:
        out: folder to write.
        files: names of all files that would be written.
        wanted: everything the numbers depend on.
        stored: the one of the files that are there; None if there are none or it cannot be read.
        what: a word for the measurement.

    Raises:
        RunError: if ``out`` holds files of another measurement, or is no folder.
    """
    require_writable(out, files)
    present = [name for name in files if (out / name).exists()]
    if present and stored != json.loads(to_json(wanted)):
        raise RunError(f"{out} already has {present[0]} of another {what}: choose another --out, or remove it")


def claim(out: Path, name: str, wanted: Mapping[str, Any], what: str) -> None:
    """Make a folder for long work that can be taken up again, or see that it is one of the same work.

    Args:
        out: the folder.
        name: of the file in it that says what the work is.
        wanted: what it is.
        what: the same in words that complete "holds a … {…}".

    Raises:
        RunError: if the folder holds something else, or cannot be written.
    """
    require_writable(out, [name])
    plain, path = json.loads(to_json(wanted)), out / name
    if path.exists():
        try:
            stored = read_json(path)
        except RunError as error:
            raise RunError(f"{path} is damaged: choose another --out") from error
        if stored != plain:
            raise RunError(f"{out} holds a {what} {stored}, not {plain}: choose another --out")
        return
    if occupied(out):
        raise RunError(f"{out} exists and is no comparison: choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_text(path, to_json(plain) + "\n")


@contextmanager
def held(out: Path | None, files: Sequence[str]) -> Iterator[None]:
    """Make the folder of long work and keep others out of it; it is removed if nothing has come into it.

    Args:
        out: the folder; None: nothing will be written.
        files: names of what will be written.

    Raises:
        RunError: if another process works in it, or it cannot be written.
    """
    if out is None:
        yield
        return
    require_writable(out, files)
    missing = [place for place in (out, *out.parents) if not place.exists()]
    out.mkdir(parents=True, exist_ok=True)
    try:
        with locked(out, "working", keep=False):
            yield
    finally:
        with suppress(OSError):  # not empty
            for place in missing:
                place.rmdir()


@contextmanager
def resumable(
    out: Path, command: str = AGAIN, kept: Callable[[], str] = lambda: "everything is saved"
) -> Iterator[None]:
    """Long work into a folder, which goes on where it was when the same command is given again.

    Args:
        out: the folder.
        command: what goes on with it.
        kept: says after a stop what is there.

    Raises:
        Interrupted: when it is stopped, with the command that goes on.
    """

    def stopped(number: int) -> Interrupted:
        return Interrupted("stopped", out, number, command, kept())

    try:
        with expendable(lambda number: str(stopped(number))):
            yield
    except KeyboardInterrupt as stop:
        raise stopped(stop.signal if isinstance(stop, StopRequested) else signal.SIGINT) from None


def refuse_occupied(out: Path, ignoring: Sequence[str] = ()) -> None:
    """Results that are no repetition of others need a folder of their own.

    Args:
        out: the folder.
        ignoring: names of files and folders that may be in it.

    Raises:
        RunError: if ``out`` is a file, cannot be written, or is a folder that is not empty.
    """
    require_writable(out, [])
    if occupied(out, ignoring=(LOCK_FILE, *ignoring)):
        raise RunError(f"{out} already exists and is not an empty folder: choose another --out")


def refuse_existing(paths: Sequence[Path]) -> None:
    """Files that can be made again from what they are made of are still not replaced unasked.

    Raises:
        RunError: if one of the paths exists, or cannot be written.
    """
    for folder in dict.fromkeys(path.parent for path in paths):
        require_writable(folder, [path.name for path in paths if path.parent == folder])
    for path in paths:
        if path.exists():
            raise RunError(f"{path} already exists: choose another --out, or remove it")


def write_text(path: Path, text: str) -> None:
    """Write a file that is either complete or absent."""
    write_atomically(path, text.encode())
