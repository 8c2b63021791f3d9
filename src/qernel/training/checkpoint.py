"""Checkpoints and model files: safetensors, written atomically, never pickled.

A checkpoint holds a whole `TrainState` (random key included), so a resumed run is the run that was not
interrupted. A model file holds the averaged parameters by name and the configuration that made them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from qernel.errors import RunError
from qernel.training.state import TrainState

FORMAT = "1"
"""Version of both file formats; readers refuse what they do not know."""


def write_tensors(path: Path, tree: Any, metadata: dict[str, str]) -> None:
    """Write the arrays of a pytree, each under its path, so that the file is either old or new and never half.

    Args:
        path: target file.
        tree: pytree of arrays.
        metadata: strings kept in the header.
    """
    tensors = {_name(key): np.asarray(leaf) for key, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]}
    temporary = path.with_name(path.name + ".partial")
    with temporary.open("wb") as handle:
        handle.write(save(tensors, metadata={"format": FORMAT, **metadata}))
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(temporary, path)


def read_metadata(path: Path) -> dict[str, str]:
    """Header strings of a file written by `write_tensors`.

    Raises:
        RunError: if the file is missing, foreign, damaged or of an unknown format.
    """
    try:
        with safe_open(path, framework="numpy") as handle:
            metadata: dict[str, str] = handle.metadata() or {}
    except FileNotFoundError as error:
        raise RunError(f"{path} does not exist") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise RunError(f"{path} is damaged or not a Qernel file: {error}") from error
    if metadata.get("format") != FORMAT:
        raise RunError(f"{path} has format {metadata.get('format')!r}; this version of Qernel reads format {FORMAT!r}")
    return metadata


def read_tensors(path: Path, template: Any) -> Any:
    """A pytree shaped like ``template`` with the arrays of a file.

    Raises:
        RunError: if the file is missing or damaged, or its names, shapes or types do not fit the template.
    """
    read_metadata(path)
    leaves, structure = jax.tree_util.tree_flatten_with_path(template)
    loaded = []
    try:
        with safe_open(path, framework="numpy") as handle:
            if set(handle.keys()) != {_name(key) for key, _ in leaves}:
                raise RunError(f"{path} holds other tensors than this configuration needs")
            for key, leaf in leaves:
                tensor = handle.get_tensor(_name(key))
                if tensor.shape != leaf.shape or tensor.dtype != leaf.dtype:
                    raise RunError(
                        f"{path}: {_name(key)} is {tensor.dtype}{list(tensor.shape)}, "
                        f"this configuration needs {leaf.dtype}{list(leaf.shape)}"
                    )
                loaded.append(jnp.asarray(tensor))
    except (SafetensorError, OSError, ValueError) as error:
        raise RunError(f"{path} is damaged or not a Qernel file: {error}") from error
    return jax.tree.unflatten(structure, loaded)


def save_checkpoint(path: Path, state: TrainState, *, fingerprint: str, finished: bool) -> None:
    """Write the complete training state."""
    metadata = {"fingerprint": fingerprint, "finished": json.dumps(finished), "iteration": str(int(state.iteration))}
    write_tensors(path, state, metadata)


def load_checkpoint(path: Path, template: TrainState, *, fingerprint: str) -> tuple[TrainState, bool]:
    """The stored state and whether that run was finished.

    Raises:
        RunError: if the file cannot be used or belongs to another configuration.
    """
    metadata = read_metadata(path)
    if metadata.get("fingerprint") != fingerprint:
        raise RunError(f"{path} was written by a run with another configuration: resume with the same one")
    return read_tensors(path, template), bool(json.loads(metadata["finished"]))


def _name(key: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(key, simple=True, separator=".")
