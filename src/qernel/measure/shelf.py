"""A model and its results on the disk: what tables, JSON and stored answers need of it.

A shipped model need not be opened for that, which would import JAX.

``identity.json`` beside a shipped model ties its file to the weights that results name:

    {"model_sha256": checksum in the header of the file, "weights_sha256": as in results, "parameters": their number}
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from qernel.files import read_bytes, regular
from qernel.measure.card import CARD_FILE, Card, read_card
from qernel.training.names import MODEL_FILE

if TYPE_CHECKING:
    from qernel.config import Config
    from qernel.hamiltonian.family import Hamiltonian
    from qernel.measure.card import Card
    from qernel.measure.model import Model
    from qernel.measure.place import Moved

IDENTITY_FILE = "identity.json"

_LENGTH = 8
"""Bytes at the beginning of a safetensors file that hold the length of its header."""


def models_folder() -> Path:
    """Where shipped models are."""
    return Path(str(files("qernel") / "models"))


def shipped() -> list[str]:
    """Names of the models that come with the package, the smallest system first."""
    root = models_folder()
    if not root.is_dir():
        return []
    names = [entry.name for entry in root.iterdir() if (entry / MODEL_FILE).is_file()]
    return sorted(names, key=lambda name: (len(name), name))  # n6 before n24


@dataclass(frozen=True)
class Shelf:
    """A model as tables and JSON speak of it.

    Attributes:
        name: of the model.
        folder: with results of it; None where there is none.
        config: the configuration that made it.
        weights: SHA-256 of its trained numbers.
        parameters: how many there are.
        training: how far its run had come; None where that is not said.
        moved: how it came into another system than that of its training; None: it did not.
    """

    name: str
    folder: Path | None
    config: Config = field(repr=False)
    weights: str = field(repr=False)
    parameters: int
    training: Any = field(default=None, repr=False)
    moved: Moved | None = field(default=None, repr=False)

    @classmethod
    def of(cls, model: Model) -> Shelf:
        """The same of a model that is open, in the system that it is asked in."""
        from qernel.provenance import weights_digest

        digest = weights_digest(model.wavefunction)
        return cls(model.name, model.folder, model.config, digest, model.parameters, model.training, model.moved)

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """The interval each conditioning parameter was trained on, λ first."""
        return self.config.family.ranges

    @property
    def card(self) -> Card | None:
        """What is known about it, where a card lies beside it."""
        from qernel.measure.card import CARD_FILE, read_card

        return None if self.folder is None else read_card(self.folder / CARD_FILE)

    @cached_property
    def hamiltonian(self) -> Hamiltonian:
        """The Hamiltonian family (imports JAX)."""
        return self.config.hamiltonian()

    def middle(self, others: Mapping[str, float], without: str) -> dict[str, float]:
        """Values of all parameters but one: those given, the middle of its interval for any other."""
        middle = {name: 0.5 * (low + high) for name, (low, high) in self.ranges.items() if name != without}
        return middle | dict(others)


def shelved(run: str | Path) -> Shelf | None:
    """What is known of a shipped model; None of anything else, or where its identity is not there."""
    folder = models_folder() / str(run)
    if (Path(run) / MODEL_FILE).exists() or str(run) not in shipped():
        return None
    from qernel.config import Config
    from qernel.config.earlier import as_stored

    try:
        identity = json.loads(read_bytes(folder / IDENTITY_FILE))
        header = _header(folder / MODEL_FILE)
        if identity["model_sha256"] != header["sha256"]:
            return None
        config = as_stored(Config.model_validate(tomllib.loads(header["config"])), str(folder / MODEL_FILE))
        return Shelf(str(run), folder, config, str(identity["weights_sha256"]), int(identity["parameters"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None


def models_in(folder: Path) -> list[Path]:
    """Folders with a model, one or two levels below a folder, as the demo's is."""
    found = [path.parent for depth in ("*", "*/*") for path in folder.glob(f"{depth}/{MODEL_FILE}")]
    return sorted(found)


class Listed(NamedTuple):
    """A shipped model in a list of them.

    Attributes:
        name: of the model.
        electrons: of each spin species.
        cells: moiré cells.
        lam: the interval of λ it was trained on.
        parameters: how many; None where there is no identity beside it.
        card: what is known about it.
    """

    name: str
    electrons: tuple[int, int]
    cells: int
    lam: tuple[float, float]
    parameters: int | None
    card: Card | None


def listed() -> list[Listed]:
    """All shipped models, from headers, identities and cards alone: reading configurations whole takes longer."""
    found = []
    for name in shipped():
        folder = models_folder() / name
        header = _header(folder / MODEL_FILE)
        table = tomllib.loads(header["config"])
        system, lam = table["system"], table["family"]["lam"]
        electrons = system["electrons"]
        (a, b), (c, d) = system["supercell"]
        parameters = None
        with suppress(OSError, ValueError, LookupError, TypeError):
            identity = json.loads(read_bytes(folder / IDENTITY_FILE))
            parameters = int(identity["parameters"]) if identity["model_sha256"] == header["sha256"] else None
        found.append(
            Listed(
                name,
                (electrons, 0) if isinstance(electrons, int) else tuple(electrons),
                abs(a * d - b * c),
                tuple(lam) if isinstance(lam, list) else (lam, lam),
                parameters,
                read_card(folder / CARD_FILE),
            )
        )
    return found


def _header(path: Path) -> dict[str, str]:
    """The strings in the header of a model file (`qernel.training.tensors`), without its numbers."""
    with regular(path).open("rb") as handle:
        size = int.from_bytes(handle.read(_LENGTH), "little")
        table = json.loads(handle.read(min(size, 10**8)))
    strings: dict[str, str] = json.loads(table["__metadata__"]["qernel"])
    return strings
