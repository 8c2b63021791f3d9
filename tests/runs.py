"""The smallest run, and what tests of runs ask of a folder."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import load_file

from qernel.config import Config, load_config
from qernel.sampling.moves import MOVES, Gaussian
from qernel.training.state import TrainState, relaxed
from qernel.training.step import StepInfo

TINY = {
    "system": {"electrons": 2, "supercell": [[1, 1], [-1, 2]]},
    "family": {"lam": [0.5, 1.0]},
    "model": {"width": 4, "heads": 2, "blocks": 1, "experts": 2, "active_experts": 1, "conditioning_width": 2},
    "train": {"iterations": 8, "groups": 2, "walkers": 8, "moves": 2, "burn_in": 2, "record_every": 1},
    "sample": {"walkers": 8, "samples": 8, "burn_in": 20, "moves": 2},
}


WALKERS, GROUPS = 8, 2
Step = Callable[[TrainState], tuple[TrainState, StepInfo]]


def settings(**train_section: object) -> Config:
    """A run of a Slater determinant, which costs least."""
    return load_config({**TINY, "model": {"ansatz": "slater"}, "train": {**TINY["train"], **train_section}})


def measured(**changes: Any) -> StepInfo:
    """What an iteration without event measures."""
    info = {name: np.zeros(GROUPS) for name in StepInfo._fields}
    info |= {"point": np.array([[0.6], [0.9]]), "median": np.full(GROUPS, -14.0), "deviation": np.full(GROUPS, 0.5)}
    info |= {"error": np.full(GROUPS, 0.1), "bad_walkers": np.zeros(GROUPS, int), "skipped": np.asarray(False)}
    info |= {"acceptance": np.full(GROUPS, 0.5), "width": np.full(GROUPS, 0.3)}
    info |= {"other_acceptance": {kind.name: np.zeros(GROUPS) for kind in MOVES if kind is not Gaussian}}
    return StepInfo(**{**info, **changes})


def pretended(state: TrainState) -> tuple[TrainState, StepInfo]:
    """Stands in for a training step: everything that enters a step has an effect on the numbers."""
    noise = jax.random.normal(jax.random.wrap_key_data(state.key), state.parameters.shape, state.parameters.dtype)
    parameters = 0.9 * state.parameters + (state.tuning.rate * noise.astype(jnp.float64)).astype(noise.dtype)
    new = state._replace(
        parameters=parameters,
        average=0.5 * (state.average + parameters),
        iteration=state.iteration + 1,
        key=state.key + 1,
        tuning=relaxed(state.tuning),
    )
    return new, measured(energy=jnp.full(GROUPS, parameters[0]))


def config(**train_section: object) -> Config:
    """The smallest run with some keys of [train] changed."""
    return load_config({**TINY, "train": {**TINY["train"], **train_section}})


def checkpoints(folder: Path) -> list[Path]:
    """Checkpoints of a folder, newest first."""
    return sorted(folder.glob("checkpoint-*.safetensors"), reverse=True)


def newest(folder: Path) -> Path:
    """The newest checkpoint."""
    return checkpoints(folder)[0]


def same_state(one: Path, other: Path) -> None:
    """Two checkpoints hold the same numbers, bit for bit."""
    left, right = load_file(one), load_file(other)
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)


def special(kind: str, path: Path) -> None:
    """Put something in the place of a file that is none."""
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.symlink_to("nowhere")


def hashes(folder: Path) -> dict[str, str]:
    """Digest of every file."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir() if p.is_file()}
