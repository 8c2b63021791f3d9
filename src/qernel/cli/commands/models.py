"""``qernel models``."""

from __future__ import annotations

import argparse
import textwrap
from typing import TYPE_CHECKING, Any, Final

from qernel.cli.shared.options import add_json
from qernel.errors import command_line
from qernel.text import columns, describe

if TYPE_CHECKING:
    from qernel.measure import Card
    from qernel.measure.shelf import Listed

COLUMNS: Final = {
    "name": "what commands and qernel.load take",
    "parameters": "trainable real numbers",
    "λ": "trained interval",
    "E0 per electron above reference": "energies above those that the model's card compares with, lowest to highest",
    "system": "electrons and cells",
}
"""Columns of the list, with their meaning."""

_WIDTH = 110


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel models``."""
    parser.description = (
        "List the trained models that come with Qernel: what they are of, the λ they were trained on, their energies "
        "against exact or Hartree–Fock ones, and what they are not good for."
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """List the shipped models."""
    from qernel.measure.shelf import listed

    models = listed()
    if options.json:
        from qernel.storage import to_json

        print(to_json({"models": [_entry(model) for model in models]}))
    elif not models:
        print("this installation has no shipped models")
    else:
        rows = [tuple(COLUMNS)]
        print(columns([*rows, *(_row(model) for model in models)]))
        for model in models:
            if model.card is not None:
                print(f"\n{card_text(model.name, model.card)}")
        first = models[0]
        query = command_line("qernel", "query", first.name, "--lam", f"{sum(first.lam) / 2:g}")
        print(f"\nnext: {query}, or {command_line('qernel', 'explore', first.name)}")
    return 0


def _entry(model: Listed) -> dict[str, Any]:
    up, down = model.electrons
    return {
        "name": model.name,
        "electrons": [up, down] if down else up,
        "cells": model.cells,
        "lam": list(model.lam),
        "parameters": _parameters(model),
        "card": None if model.card is None else model.card.as_dict(),
    }


def _row(model: Listed) -> tuple[str, ...]:
    low, high = model.lam
    accuracy = "" if model.card is None else model.card.range_of_excess
    what = describe(model.electrons, model.cells)
    return (model.name, str(_parameters(model)), f"{low:g} to {high:g}", accuracy, what)


def _parameters(model: Listed) -> int:
    """Counted where they are not written down, which takes seconds."""
    if model.parameters is not None:
        return model.parameters
    from qernel.measure import load

    return load(model.name).parameters


def card_text(name: str, card: Card) -> str:
    """A card for people: energies beside their references, and what the model is not good for."""
    from qernel.estimators.quantity import parenthesis

    rows = [["λ", "energy", "reference", "above it", ""]]
    for entry in card.accuracy:
        excess = entry.excess
        numbers = (entry.energy, entry.reference, (excess.value, excess.error))
        rows.append([f"{entry.lam:g}", *(parenthesis(*number) for number in numbers), ""])
    reference = f"Energies per electron in E0; reference: {card.reference}. Measured with {card.measured_with}"
    lines = [*_wrapped(f"{name}: {card.summary}"), *_wrapped(f"Made by {card.made_by}"), *_wrapped(reference)]
    lines += [f"  {line}" for line in columns(rows).splitlines()]
    lines += ["Not good for:", *(line for text in card.not_good_for for line in _wrapped(text, "- "))]
    return "\n".join(lines)


def _wrapped(text: str, mark: str = "") -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=mark, subsequent_indent=" " * len(mark))
