"""``qernel models``."""

from __future__ import annotations

import argparse

from qernel import runtime
from qernel.cli.options import add_json
from qernel.cli.tables import columns, describe
from qernel.storage import to_json


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel models``."""
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """List the shipped models."""
    runtime.configure()
    from qernel.model import load, shipped

    models = [load(name) for name in shipped()]
    if options.json:
        entries = []
        for model in models:
            up, down = model.config.system.electrons
            entries.append(
                {
                    "name": model.name,
                    "electrons": [up, down] if down else up,
                    "cells": model.config.system.cells,
                    "lam": list(model.ranges["lam"]),
                    "parameters": model.parameters,
                }
            )
        print(to_json({"models": entries}))
        return 0
    rows = [("name", "parameters", "λ", "system")]
    for model in models:
        low, high = model.ranges["lam"]
        system = model.config.system
        rows.append(
            (model.name, str(model.parameters), f"{low:g} to {high:g}", describe(system.electrons, system.cells))
        )
    print(columns(rows) if models else "this installation has no shipped models")
    return 0
