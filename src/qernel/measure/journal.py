"""Records of chains, and work under way, on the disk, so that a long measurement that was cut short goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qernel.errors import DamagedFile
from qernel.estimators.chains import Record
from qernel.files import PARTIAL
from qernel.storage import to_json
from qernel.training.tensors import read_tensors, write_tensors

_ENDING = ".records.safetensors"

_UNDER_WAY = ".progress.safetensors"


class Journal:
    """A folder of records, a file for each set of chains, named by everything the chains depend on.

    Args:
        folder: made when there is something to keep.
        about: what all chains depend on: the model.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        self._folder = folder
        self._about = dict(about)

    def records(self, about: Mapping[str, Any], draw: Callable[[], Iterable[Record]]) -> list[Record]:
        """The records of chains: from the folder, or drawn and kept there.

        Args:
            about: what these chains depend on.
            draw: draws them.

        Raises:
            OSError: if they cannot be written.
        """
        path = self._path(about, _ENDING)
        try:
            stacked = read_tensors(path).tensors
        except DamagedFile:  # or absent
            records = list(draw())
            self._folder.mkdir(parents=True, exist_ok=True)
            write_tensors(path, Record(*map(np.stack, zip(*records, strict=True))), {})
            return records
        return [Record(*parts) for parts in zip(*(stacked[name] for name in Record._fields), strict=True)]

    def kept(self, about: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]] | None:
        """The arrays of work under way by their paths, as they were last kept; None if there are none."""
        try:
            return read_tensors(self._path(about, _UNDER_WAY)).tensors
        except DamagedFile:  # or absent
            return None

    def keep(self, about: Mapping[str, Any], tree: Any) -> None:
        """Keep how far work has come, in place of what was kept before.

        Args:
            about: what it depends on.
            tree: pytree of arrays.

        Raises:
            OSError: if it cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        write_tensors(self._path(about, _UNDER_WAY), tree, {})

    def _path(self, about: Mapping[str, Any], ending: str) -> Path:
        return self._folder / f"{_digest({**self._about, **about})}{ending}"

    def clear(self) -> None:
        """Remove what is kept, and the folder if nothing else is in it."""
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            if path.name.removesuffix(PARTIAL).endswith((_ENDING, _UNDER_WAY)):
                path.unlink(missing_ok=True)
        if not any(self._folder.iterdir()):
            self._folder.rmdir()


def _digest(about: Mapping[str, Any]) -> str:
    return hashlib.sha256(to_json(about).encode()).hexdigest()[:32]
