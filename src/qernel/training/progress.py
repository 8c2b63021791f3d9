"""How far a run has come, kept in the header of its model file: what it says about itself to whoever asks the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from qernel.errors import DamagedFile
from qernel.training.tensors import read_tensors

KEY = "training"
"""Of the header; models that were written without it say nothing about their training."""

COMPLETE, TIME_LIMIT, GOING_ON = "complete", "time_limit", ""
"""Why a run ended: as configured, by ``train.time_limit_s``; or it goes on, or was stopped."""


class Progress(NamedTuple):
    """How far a run has come.

    Attributes:
        iteration: its iterations so far, burn-in included.
        burn_in: iterations before the first update.
        iterations: updates asked for.
        ended: one of `COMPLETE`, `TIME_LIMIT`, `GOING_ON`.
    """

    iteration: int
    burn_in: int
    iterations: int
    ended: str

    @property
    def complete(self) -> bool:
        """Whether the run has made all that was asked of it."""
        return self.ended == COMPLETE

    @property
    def updates(self) -> int:
        """Updates of the parameters so far."""
        return max(0, self.iteration - self.burn_in)

    @property
    def sentence(self) -> str:
        """What is missing, in words that follow a name; empty for a complete run."""
        if self.complete:
            return ""
        by = "was stopped by train.time_limit_s after" if self.ended == TIME_LIMIT else "is not finished: it has made"
        untrained = ", it is untrained" if not self.updates else ""
        return f"{by} {self.updates} of {self.iterations} training iterations{untrained}"

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "complete": self.complete,
            "ended": self.ended or "unfinished",
            "updates": self.updates,
            "iterations": self.iterations,
        }

    def header(self) -> dict[str, str]:
        """As an entry of the header of a file."""
        return {KEY: json.dumps(self._asdict())}

    @classmethod
    def from_header(cls, metadata: Mapping[str, str]) -> Self | None:
        """What the header of a file says; None if it says nothing that can be read."""
        try:
            return cls(**json.loads(metadata[KEY]))
        except (KeyError, ValueError, TypeError):
            return None


def progress_of(model: Path) -> Progress | None:
    """What a model file says about its run; None if there is none or it says nothing."""
    try:
        return Progress.from_header(read_tensors(model).metadata)
    except DamagedFile:
        return None
