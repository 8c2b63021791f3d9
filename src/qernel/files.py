"""Files that are either old or new and never half, whatever happens while they are written."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

PARTIAL = ".partial"
"""Ending of a file that is being written."""


def readable_name(path: Path) -> str:
    """The name of a file or folder as text: what is no character in it, as names on a disk may hold, is replaced."""
    return path.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, push it to the disk, then give it its name.

    Args:
        path: target file; what it held before stays until the new content is safe.
        data: the whole content.

    Raises:
        OSError: if the disk is full or the folder cannot be written; the target is untouched then.
    """
    temporary = path.with_name(path.name + PARTIAL)
    try:
        with temporary.open("wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except OSError:
        # On a full disk the useless half would keep others from writing.
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def occupied(path: Path, ignoring: Collection[str] = ()) -> bool:
    """Whether something is there that new results would be mixed with: a file, or a folder that is not empty.

    Args:
        path: where they shall go.
        ignoring: names in the folder that do not count; files that were never finished do not count either.
    """
    if not path.is_dir():
        return path.exists()
    return any(entry.name not in ignoring and not entry.name.endswith(PARTIAL) for entry in path.iterdir())


def sync_folder(folder: Path) -> None:
    """Push the names in a folder to the disk, where the system can: a rename is only safe after that."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
