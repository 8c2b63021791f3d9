"""The card of a shipped model: how accurate it was found to be, how it was made, and what it is not good for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from qernel.errors import RunError
from qernel.estimators.quantity import Quantity
from qernel.files import read_bytes

CARD_FILE = "card.json"
"""Its name beside a model."""

Line = Annotated[str, Field(min_length=1)]


class Measured(NamedTuple):
    """A number with one standard error."""

    value: float
    error: Annotated[float, Field(ge=0)]


class Accuracy(BaseModel):
    """Energy per electron in E0 at one λ, beside a reference."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lam: float
    energy: Measured
    reference: Measured

    @property
    def excess(self) -> Quantity:
        """Energy above the reference."""
        return Quantity(*self.energy, "E0/electron") - Quantity(*self.reference, "E0/electron")


class Card(BaseModel):
    """What is known about a model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1]
    summary: Line
    made_by: Line
    measured_with: Line
    reference: Line
    accuracy: tuple[Accuracy, ...]
    not_good_for: Annotated[tuple[Line, ...], Field(min_length=1)]

    def as_dict(self) -> dict[str, Any]:
        """The card as plain data, with the energy above the reference at each λ."""
        data = self.model_dump(mode="json")
        for entry, accuracy in zip(data["accuracy"], self.accuracy, strict=True):
            for name in ("energy", "reference"):
                entry[name] = getattr(accuracy, name)._asdict()
            entry["excess"] = accuracy.excess.as_dict()
        return data

    @property
    def range_of_excess(self) -> str:
        """Smallest and largest energy above the reference, as text; empty where none was measured."""
        if not self.accuracy:
            return ""
        values = [entry.excess.value for entry in self.accuracy]
        return f"{min(values):.3f} to {max(values):.3f}"


def read_card(path: Path) -> Card | None:
    """The card in a file; None where there is no such file.

    Raises:
        RunError: if it is no card of a format that this version knows.
    """
    if not path.exists():
        return None
    try:
        return Card.model_validate_json(read_bytes(path))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "its content"
        raise RunError(f"{path} is no model card of format 1: {place}: {first['msg']}") from error
