"""Arrays of tables, [[section.key]]: each entry is checked on its own, and named where it cannot be used."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from qernel.config.sections.base import Section

BAD_ENTRY = "entry"
"""Type of the error for an entry that cannot be used; its context: ``number``, ``entry``, ``fault`` and ``model``."""

Entry = TypeVar("Entry", bound=Section)


def entries(model: type[Entry], tables: Iterable[Any]) -> tuple[Entry, ...]:
    """Tables as entries of one kind.

    Raises:
        PydanticCustomError: naming the entry and its key that cannot be used.
    """
    found = []
    for number, table in enumerate(tables, 1):
        try:
            found.append(model.model_validate(table))
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            context = {"number": number, "entry": table, "fault": fault, "model": model}
            raise PydanticCustomError(BAD_ENTRY, "has an entry that cannot be used", context) from None
    return tuple(found)
