"""Files that are either old or new and never half, whatever happens while they are written."""

from __future__ import annotations

import errno
import glob
import os
import secrets
import stat
from collections.abc import Collection, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

from qernel.errors import RunError

PARTIAL = ".partial"
"""Ending of a file that is being written."""


def readable_name(path: Path) -> str:
    """The name of a file or folder as text: what is no character in it, as names on a disk may hold, is replaced."""
    return path.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def regular(path: Path) -> Path:
    """The same path, if it may be opened for reading: what is no file may wait for ever, or never end.

    Args:
        path: of a file; whether it exists is for the reader to find out.

    Raises:
        OSError: if it is a pipe, a socket, a device or a folder.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return path
    if stat.S_ISREG(mode):
        return path
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe (FIFO)"), (stat.S_ISSOCK, "a socket"))
    what = next((name for test, name in kinds if test(mode)), "a device")
    raise OSError(errno.EINVAL, f"it is {what}, not a file", str(path))


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        OSError: if it cannot be read, or is none (`regular`).
    """
    return regular(path).read_bytes()


def read_text(path: Path, errors: str = "strict") -> str:
    """The same as text in UTF-8.

    Raises:
        OSError: as `read_bytes`.
        UnicodeDecodeError: if it is something else, unless ``errors`` says otherwise.
    """
    return regular(path).read_text("utf-8", errors)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, push it to the disk, then give it its name.

    Args:
        path: target file; what it held before stays until the new content is safe.
        data: the whole content.

    Raises:
        OSError: if the disk is full or the folder cannot be written; the target is untouched then.
    """
    temporary = path.with_name(path.name + PARTIAL)
    regular(temporary)  # a pipe would wait for a reader
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


def free_name(path: Path) -> Path:
    """A name beside a file under which it can be kept: ``NAME.kept-1``, or the next that is not taken."""
    names = (path.with_name(f"{path.name}.kept-{number}") for number in count(1))
    return next(name for name in names if not os.path.lexists(name))


def keep_copy(path: Path, data: bytes) -> Path:
    """Keep a content of a file beside it; returns where, which is an earlier copy if there is one.

    Raises:
        OSError: as `write_atomically`.
    """
    for kept in path.parent.glob(f"{glob.escape(path.name)}.kept-*"):
        if kept.is_file() and kept.stat().st_size == len(data) and kept.read_bytes() == data:
            return kept
    target = free_name(path)
    write_atomically(target, data)
    return target


def set_aside(path: Path) -> Path:
    """Rename what is there, whatever it is, to a name that is free; returns that.

    Raises:
        OSError: if the folder cannot be written.
    """
    target = free_name(path)
    path.rename(target)
    return target


def require_writable(folder: Path, names: Sequence[str] = ()) -> None:
    """See that files can be written into a folder, by writing one. What is not there yet is removed again.

    Args:
        folder: that exists or can be made.
        names: of the files to come; names that are too long for the disk are found as well.

    Raises:
        RunError: if not; the sentence says why.
    """
    made: list[Path] = []
    longest = max((len(os.fsencode(name + PARTIAL)) for name in names), default=0)
    # A name that nobody else writes to; what a kill leaves of it counts as never finished.
    probe = folder / (f".{secrets.token_hex(8)}".ljust(longest - len(PARTIAL), "x") + PARTIAL)
    try:
        for place in [*reversed(folder.parents), folder]:
            if not place.exists():
                place.mkdir()
                made.append(place)
            elif not place.is_dir():
                raise RunError(f"{place} already exists and is not a folder: choose another --out")
        probe.write_bytes(b"1")
        probe.unlink()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RunError(f"{folder} cannot be written ({reason}): choose another --out") from error
    finally:
        with suppress(OSError):  # not empty: ended before the file was removed
            for place in reversed(made):
                place.rmdir()


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
