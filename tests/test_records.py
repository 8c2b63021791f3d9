"""Numbers with an error in documents: each is printed by a command, stored in a record, made of others, or dated.

`documents.toml` says which. Values are compared as they stand: rounded to their last digit, with their error.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qernel.storage import open as open_results
from test_documents import CLAIMS, DOCUMENTS, NUMBER, ROOT, STUDIED, TABLE, Number, numbers

RECORDS, MADE, DATED = TABLE["record"], TABLE["made"], TABLE["dated"]
SUFFIXES = ("_error", "_uncertainty")
LARGEST = 500
"""Arrays with more numbers are maps, of which no document quotes one."""

Pair = tuple[float, float]


@cache
def pairs(name: str) -> list[Pair]:
    """Every value with its error in a record."""
    path = ROOT / name
    if path.suffix == ".json":
        found = _in_data(json.loads(path.read_text("utf-8")))
    elif path.suffix == ".csv":
        with path.open(encoding="utf-8") as file:
            found = [pair for row in csv.DictReader(file) for pair in _in_row(row)]
    else:
        data = open_results(path)
        small = [key for key in data.data_vars if f"{key}_error" in data and data[key].size <= LARGEST]
        columns = [(np.ravel(data[key].values), np.ravel(data[f"{key}_error"].values)) for key in small]
        found = [pair for values, errors in columns for pair in zip(values.tolist(), errors.tolist(), strict=True)]
    return [(value, error) for value, error in found if math.isfinite(value) and error > 0]


def _in_data(data: Any) -> list[Pair]:
    if isinstance(data, list):
        return [pair for one in data for pair in _in_data(one)]
    if not isinstance(data, dict):
        return []
    names = [(key, key + suffix) for key in data for suffix in SUFFIXES]
    names += [("value", "error"), ("energy", "uncertainty")]
    found = [(data[a], data[b]) for a, b in names if _is_number(data.get(a)) and _is_number(data.get(b))]
    return found + [pair for one in data.values() for pair in _in_data(one)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _in_row(row: dict[str, str]) -> Iterator[Pair]:
    for key, text in row.items():
        error = row.get(f"{key}_error")
        if text and error:
            yield float(text), float(error)


def same(stated: Number, value: float, error: float) -> bool:
    """Whether a number is this one, rounded; signs aside, for prose says "0.12 below"."""
    return (
        abs(abs(stated.value) - abs(value)) <= 0.51 * stated.digit and abs(stated.error - error) <= 0.6 * stated.digit
    )


def evaluated(expression: str) -> Pair:
    """A sum, difference, product or mean of numbers with errors, which are taken as independent.

    >>> evaluated("(1.0(3) + 3.0(4)) / 2")
    (2.0, 0.25)
    """
    terms = [match[0] for match in NUMBER.finditer(expression) if match[1]]
    shape = expression
    for index, term in enumerate(terms):
        shape = shape.replace(term, f"x[{index}]", 1)
    shape = shape.replace("−", "-")
    given = [numbers(term)[0] for term in terms]

    def value(x: list[float]) -> float:
        return float(eval(shape, {"__builtins__": {}}, {"x": x}))

    middle = [number.value for number in given]
    parts = [
        value([*middle[:index], at.value + at.error, *middle[index + 1 :]]) - value(middle)
        for index, at in enumerate(given)
    ]
    return value(middle), math.hypot(*parts)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record["document"] + ": " + record["files"][0])
def test_records_hold_the_numbers(record: dict[str, Any]) -> None:
    text = (ROOT / record["document"]).read_text("utf-8")
    stored = [pair for name in record["files"] for pair in pairs(name)]
    assert [number for number in record["numbers"] if number not in text] == []
    wrong = [number for number in record["numbers"] if not any(same(numbers(number)[0], *pair) for pair in stored)]
    assert wrong == []


@pytest.mark.parametrize("made", MADE, ids=lambda made: made["document"])
def test_numbers_are_what_they_are_made_of(made: dict[str, Any]) -> None:
    text = (ROOT / made["document"]).read_text("utf-8")
    for number, expression in made["numbers"].items():
        assert number in text
        assert all(term[0] in text for term in NUMBER.finditer(expression) if term[1]), expression
        assert same(numbers(number)[0], *evaluated(expression)), (number, expression, evaluated(expression))


@pytest.mark.parametrize("dated", DATED, ids=lambda dated: dated["document"])
def test_what_is_not_kept_has_its_command_and_date(dated: dict[str, Any]) -> None:
    text = (ROOT / dated["document"]).read_text("utf-8")
    assert len(dated["says"]) >= 2 and any(part[:4].isdigit() for part in dated["says"]), "a date, and how"
    assert [part for part in [*dated["says"], *dated["numbers"]] if part not in text] == []


@pytest.mark.parametrize(
    "document", [path for path in DOCUMENTS if "studies" not in path.parts], ids=lambda path: path.name
)
def test_every_number_with_an_error_comes_from_somewhere(document: Path) -> None:
    name = str(document.relative_to(ROOT))
    stated = {match[0] for match in NUMBER.finditer(document.read_text("utf-8")) if match[1]}
    here = [entry for entry in [*CLAIMS, *RECORDS, *MADE, *DATED] if entry["document"] == name]
    known = {number for entry in here for number in entry["numbers"]}
    known |= {number for claim in CLAIMS for number in claim["numbers"]}  # said once more in another document
    assert sorted(stated - known - STUDIED) == []


def test_a_number_is_recognised_and_another_is_not() -> None:
    stated = numbers("−14.775(5) and 7.92(23)·10⁻³")
    assert same(stated[0], -14.7754, 0.0045) and not same(stated[0], -14.7774, 0.0045)
    assert not same(stated[0], -14.7754, 0.0085)
    assert same(stated[1], 7.918e-3, 2.34e-4) and not same(stated[1], 7.93e-3, 2.3e-4)
    value, error = evaluated("−14.0641(36) - -14.0822(17)".replace("−", "-"))
    assert (value, error) == (pytest.approx(0.0181), pytest.approx(0.00398, rel=1e-3))
