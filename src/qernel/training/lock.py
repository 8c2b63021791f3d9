"""One process at a time in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from qernel.errors import RunError

LOCK_FILE = ".lock"


@contextmanager
def locked(folder: Path, doing: str = "training", *, keep: bool = True) -> Iterator[None]:
    """Hold a folder; the operating system lets go of it when the process ends, however it ends.

    Args:
        folder: that only one process works in.
        doing: what, for the message.
        keep: leave the file of the lock in the folder.

    Raises:
        RunError: if another process holds it.
    """
    lock = FileLock(folder / LOCK_FILE, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise RunError(
            f"another process is {doing} in {folder}: wait until it ends or stop it, or choose another --out"
        ) from None
    try:
        yield
    finally:
        if not keep:  # before others can have it: a lock on a file without a name counts for nothing
            (folder / LOCK_FILE).unlink(missing_ok=True)
        lock.release()
