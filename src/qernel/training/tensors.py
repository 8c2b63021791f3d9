"""The file format of checkpoints and models: safetensors with a format version and a checksum, never pickled.

The header holds strings: ``format``, ``sha256`` over every name, type, shape, number and string, and what the writer
adds, all as one JSON object (safetensors would write several in random order: equal content gives equal files).
Format 1 had no checksum and no tuning, and kept each string apart; `read_tensors` brings old formats up to date.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from qernel.errors import DamagedFile, RunError
from qernel.files import regular, write_atomically

FORMAT = "2"
"""Version of the format; readers migrate what is older and refuse what is newer."""

_HEADER = "qernel"

_UNREADABLE = (
    SafetensorError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""What broken files have been seen to raise, or may: an unknown type of numbers, for instance, is an AttributeError."""

Tensors = dict[str, npt.NDArray[Any]]
Migration = Callable[[Tensors], Tensors]


class TensorFile(NamedTuple):
    """Content of a file: arrays by name, and the strings of its header."""

    tensors: Tensors
    metadata: dict[str, str]


def write_tensors(path: Path, tree: Any, metadata: dict[str, str]) -> None:
    """Write the arrays of a pytree, each under its path, atomically.

    Args:
        path: target file.
        tree: pytree of arrays.
        metadata: strings kept in the header.

    Raises:
        OSError: if the file cannot be written; what was there before is untouched.
    """
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    tensors = {_name(key): np.ascontiguousarray(leaf).reshape(np.shape(leaf)) for key, leaf in leaves}
    header = {"format": FORMAT, **metadata}
    header["sha256"] = _checksum(tensors, header)
    write_atomically(path, save(tensors, metadata={_HEADER: json.dumps(header, sort_keys=True)}))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A file that is open; what goes wrong with it inside the block is a `DamagedFile`."""
    opened: Any = safe_open  # untyped
    try:
        with opened(regular(path), framework="numpy") as handle:
            yield handle
    except FileNotFoundError as error:
        raise DamagedFile(f"{path} does not exist") from error
    except _UNREADABLE as error:
        raise DamagedFile(f"{path} is damaged or not a Qernel file: {_brief(error)}") from error


def read_header(path: Path) -> dict[str, str]:
    """The strings in the header of a file, whose content is not checked.

    Raises:
        DamagedFile: if it has no header of the format.
    """
    with _opened(path) as handle:
        return _header(handle.metadata() or {})


def read_tensors(path: Path, migrations: Mapping[str, Migration] | None = None) -> TensorFile:
    """Read and check a file.

    Args:
        path: the file.
        migrations: for each older format what turns its tensors into those of the next one; a format that is not
            named here needs no change.

    Raises:
        DamagedFile: if the file is missing, foreign or damaged.
        RunError: if a later version of Qernel wrote it.
    """
    with _opened(path) as handle:
        metadata = _header(handle.metadata() or {})
        names: list[str] = list(handle.keys())
        tensors: Tensors = {name: handle.get_tensor(name) for name in names}
    version = metadata.get("format", "")
    if "sha256" in metadata and metadata["sha256"] != _checksum(tensors, metadata):
        raise DamagedFile(f"{path} is damaged: its content does not match its checksum")
    if not version.isdecimal() or (int(version) >= 2 and "sha256" not in metadata):
        raise DamagedFile(f"{path} is damaged or not a Qernel file: its header names no format and checksum")
    if int(version) > int(FORMAT):
        raise RunError(f"{path} has format {version}, this version of Qernel reads up to {FORMAT}: use a newer Qernel")
    for old in range(int(version), int(FORMAT)):
        migrate = (migrations or {}).get(str(old))
        tensors = tensors if migrate is None else migrate(tensors)
    return TensorFile(tensors, metadata)


def fit(path: Path, tensors: Tensors, template: Any, later: Sequence[str] = ()) -> Any:
    """A pytree shaped like ``template`` with the arrays of a file.

    Args:
        path: the file.
        tensors: its content.
        template: pytree of arrays.
        later: names of arrays that files of earlier versions lack, and that are zero then.

    Raises:
        DamagedFile: if names, shapes or types do not fit the template.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(template)
    zeros = {_name(key): np.zeros(leaf.shape, leaf.dtype) for key, leaf in leaves if _name(key) in later}
    tensors = zeros | tensors
    if set(tensors) != {_name(key) for key, _ in leaves}:
        raise DamagedFile(f"{path} holds other tensors than this configuration needs")
    for key, leaf in leaves:
        tensor = tensors[_name(key)]
        if tensor.shape != leaf.shape or tensor.dtype != leaf.dtype:
            raise DamagedFile(
                f"{path}: {_name(key)} is {tensor.dtype}{list(tensor.shape)}, "
                f"this configuration needs {leaf.dtype}{list(leaf.shape)}"
            )
    return jax.tree.unflatten(structure, [jnp.asarray(tensors[_name(key)]) for key, _ in leaves])


def _checksum(tensors: Tensors, metadata: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    strings = {key: value for key, value in metadata.items() if key != "sha256"}
    digest.update(json.dumps(strings, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(np.ascontiguousarray(tensor).tobytes())
    return digest.hexdigest()


def _header(strings: dict[str, str]) -> dict[str, str]:
    if _HEADER not in strings:
        return strings  # format 1
    header = json.loads(strings[_HEADER])
    if not isinstance(header, dict) or not all(isinstance(value, str) for value in header.values()):
        raise ValueError("its header is not one of Qernel")
    return header


def _brief(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:200]


def _name(key: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(key, simple=True, separator=".")
