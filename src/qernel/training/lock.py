"""One process at a time in a run folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from qernel.errors import RunError

LOCK_FILE = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run folder; the operating system lets go of it when the process ends, however it ends.

    Raises:
        RunError: if another process holds it.
    """
    lock = FileLock(folder / LOCK_FILE, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise RunError(
            f"another process is training in {folder}: wait until it ends or stop it, or choose another --out"
        ) from None
    try:
        yield
    finally:
        lock.release()
