"""Types of what is typed on the command line: text in, a value or one sentence out."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

MAX_POINTS = 10_000
"""Most λ one command measures; a longer grid is a typing error."""

LARGEST = 1e6
"""Largest number on the command line: that of a configuration."""


def lam_values(text: str) -> tuple[float, ...]:
    """``"1.05"`` or a grid ``"0.4:1.4:21"`` as numbers.

    Raises:
        argparse.ArgumentTypeError: if it is neither.
    """
    parts = text.split(":")
    if len(parts) == 1:
        return (quantity(text, text),)
    if len(parts) != 3:
        raise argparse.ArgumentTypeError(f"{text!r} is not FIRST:LAST:COUNT, e.g. 0.4:1.4:21")
    first, last = quantity(parts[0], text), quantity(parts[1], text)
    unit = {getattr(end, "unit", "") for end in (first, last)}
    if len(unit) > 1:
        raise argparse.ArgumentTypeError(f"{text!r} needs both ends in one unit, e.g. 10nm:40nm:4")
    if not parts[2].isdecimal() or not 1 <= int(parts[2]) <= MAX_POINTS:
        raise argparse.ArgumentTypeError(f"{text!r} needs a whole COUNT from 1 to {MAX_POINTS}, e.g. 0.4:1.4:21")
    count = int(parts[2])
    if count == 1:
        if first != last:
            raise argparse.ArgumentTypeError(f"{text!r} needs at least 2 points to include both ends")
        return (first,)
    # Rounded, so that 0.2:1.8:33 contains 0.25 and not 0.25000000000000006.
    found = [float(f"{first + (last - first) * index / (count - 1):.12g}") for index in range(count)]
    return tuple(_with(value, *unit) for value in found)


def quantity(text: str, typed: str, hint: str | None = None) -> float:
    """A number, which may have a unit of the laboratory (`qernel.config.laboratory.InUnit`).

    Args:
        text: of the number.
        typed: all that was typed, for the message.
        hint: what else it could have been; None: as `number` has it.
    """
    shown = {} if hint is None else {"hint": hint}
    found = re.fullmatch(r"(.*\d\.?)\s*(nm|meV)", text.strip())
    return number(text, typed, **shown) if found is None else _with(number(found[1], typed, **shown), found[2])


def _with(value: float, unit: str) -> float:
    if not unit:
        return value
    from qernel.config.laboratory import InUnit

    return InUnit(value, unit)


def flatten(values: Sequence[tuple[float, ...]]) -> list[float]:
    """All λ of a command in the order given, each once."""
    return list(dict.fromkeys(lam for group in values for lam in group))


class NamedValues(argparse.Action):
    """``U 8 9:12:4``: a parameter and its values, as name and numbers, each once."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, words: Any, *_: Any) -> None:
        """Store the name and the numbers."""
        name, *texts = words
        try:
            if not name.isidentifier() or not texts:
                raise argparse.ArgumentTypeError(
                    f"{' '.join(words)!r} is not NAME VALUE ..., e.g. U 8 9 10 or U 8:12:5"
                )
            setattr(namespace, self.dest, (name, flatten([lam_values(text) for text in texts])))
        except argparse.ArgumentTypeError as error:
            raise argparse.ArgumentError(self, str(error)) from error


def number(text: str, typed: str, hint: str = ", nor a grid such as 0.4:1.4:21 (the name comes before --lam)") -> float:
    """A number within ±`LARGEST`.

    Args:
        text: of the number.
        typed: all that was typed, for the message.
        hint: what else it could have been.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        hint = "" if ":" in typed else hint
        raise argparse.ArgumentTypeError(f"{typed!r} is not a number{hint}")
    if abs(value) > LARGEST:
        raise argparse.ArgumentTypeError(f"{typed!r} is beyond ±{LARGEST:g}")
    return value + 0.0  # no negative zero


def electrons(text: str) -> int | tuple[int, int]:
    """``54``, or ``27,27`` of two spins."""
    counts = [int(part) for part in text.split(",") if part.isdecimal()]
    if len(counts) != text.count(",") + 1 or len(counts) > 2 or not 1 <= sum(counts) <= LARGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of electrons: give N, or UP,DOWN, e.g. 54 or 27,27")
    return counts[0] if len(counts) == 1 else (counts[0], counts[1])


def supercell(text: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """``9x9``, or the matrix ``1,1,-1,2`` row by row."""
    if found := re.fullmatch(r"(\d{1,4})[x×](\d{1,4})", text):
        return (int(found[1]), 0), (0, int(found[2]))
    if re.fullmatch(r"-?\d{1,4}(,-?\d{1,4}){3}", text):
        a, b, c, d = (int(part) for part in text.split(","))
        return (a, b), (c, d)
    raise argparse.ArgumentTypeError(f"{text!r} is no supercell: give e.g. 9x9, or a matrix row by row, 1,1,-1,2")


def twist(text: str) -> tuple[float, float]:
    """``1/3,-1/3`` or ``0.25,0``, in turns."""
    try:
        first, second = (float(Fraction(part)) for part in text.split(","))
    except (ValueError, ZeroDivisionError, OverflowError):
        first = second = math.inf
    if max(abs(first), abs(second)) > LARGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no twist: give two numbers of turns, e.g. 1/3,-1/3 or 0.25,0")
    return first, second


def assignment(text: str) -> tuple[str, float]:
    """``U=9.5`` or ``gate_distance=10nm`` as name and number."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, e.g. U=9.5")
    return name, quantity(value, value, hint="")


def positive(text: str) -> float:
    """A number above 0."""
    value = number(text, text, hint="")
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return value


def option(text: str) -> tuple[str, str, Any]:
    """``density.grid=64`` as name, key and value; what is no TOML value is a string."""
    import tomllib

    target, equals, value = text.partition("=")
    name, dot, key = target.partition(".")
    if not equals or not dot or not name.isidentifier() or not key.isidentifier() or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME.KEY=VALUE, e.g. density.grid=64")
    try:
        return name, key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name, key, value


def axis(text: str) -> tuple[str, tuple[str, ...]]:
    """``model.width=16,32`` as a key and its values, as text that ``--set`` takes."""
    import tomllib

    import tomlkit

    path, equals, values = text.partition("=")
    section, dot, key = path.partition(".")
    if not (equals and dot and section.isidentifier() and key.isidentifier() and values.strip()):
        raise argparse.ArgumentTypeError(f"{text!r} is not SECTION.KEY=VALUE,VALUE,..., e.g. model.width=16,32")
    try:
        parsed = tuple(tomlkit.item(value).as_string() for value in tomllib.loads(f"values = [{values}]")["values"])
    except tomllib.TOMLDecodeError:  # words without quotes
        parsed = tuple(value.strip() for value in values.split(","))
    if len(set(parsed)) < len(parsed):
        raise argparse.ArgumentTypeError(f"{text!r} has a value twice: give each once")
    return path, parsed


def time_limit(text: str) -> str:
    """A time limit as SLURM takes it."""
    if not re.fullmatch(r"\d{1,6}(:[0-5]?\d){0,2}|\d{1,4}-\d{1,2}(:[0-5]?\d){0,2}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time limit: give MINUTES, H:MM:SS or DAYS-HOURS")
    return text


def sbatch_word(text: str) -> str:
    """A value for a line of a job script, without spaces."""
    if not re.fullmatch(r"[A-Za-z0-9_.,:;=@%&|*+/\[\]()~-]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a value for sbatch: letters, digits and ,.:=@&|*+/-_ only")
    return text


def sbatch_option(text: str) -> tuple[str, str]:
    """``exclude=node7`` as name and value of an option of sbatch."""
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE with a long option of sbatch, e.g. exclude=node7")
    return name, sbatch_word(value)


def port(text: str) -> int:
    """A port number."""
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: give a number from 1 to 65535")
    return int(text)


def whole(least: int) -> Callable[[str], int]:
    """The type of whole numbers of at least ``least``."""

    def convert(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) < 2**31:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
        return int(text)

    return convert
