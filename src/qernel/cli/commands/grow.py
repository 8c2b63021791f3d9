"""``qernel grow``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from qernel.along import named
from qernel.cli.shared.arguments import whole
from qernel.cli.shared.options import add_json, add_overrides
from qernel.config import load_config
from qernel.errors import resume_command
from qernel.records import to_record
from qernel.training.devices import share_out

if TYPE_CHECKING:
    from qernel.training.grow import Grown


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel grow``."""
    parser.description = (
        "Start a run from the network of a trained model: with more blocks, in orbitals of another kind or cut-off, or "
        "with other training. What is added starts silent, and Hartree–Fock orbitals are solved anew, translated and "
        "rotated onto those that the network was trained with. qernel train RUN/config.toml --out RUN --resume then "
        "trains it."
    )
    parser.add_argument("source", metavar="SOURCE", help="a run folder or the name of a shipped model")
    parser.add_argument("config", metavar="CONFIG", help="of the new run: a TOML file or the name of a preset")
    add_overrides(parser)
    parser.add_argument("--out", metavar="RUN", help="run folder to write (default: runs/CONFIG)")
    parser.add_argument(
        "--determinant",
        metavar="N",
        type=whole(0),
        help="take over one determinant of several alone, counted from 0, for a control that has only its phase",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Write the run folder, and say how close to the model it starts."""
    config = load_config(options.config, options.set)
    out = Path(options.out or Path("runs") / Path(options.config).stem)
    share_out(config)
    from qernel.measure.grow import grow

    found = grow(options.source, config, out, determinant=options.determinant)
    if options.json:
        overlaps = [
            one.point | {"determinant": one.determinant, "spin": one.spin, "value": one.value} for one in found.overlaps
        ]
        record = {"run": str(out), "source": options.source, "overlaps": overlaps, "rescaled": found.rescaled}
        print(to_record({**record, "deviation": found.deviation, "same": found.same}))
        return 0
    print("\n".join(sentences(found, options.source)))
    return 0


def sentences(found: Grown, source: str) -> list[str]:
    """What was made of what."""
    lines = [
        f"{', '.join(named(name).at(round(value, 3)) for name, value in one.point.items())}, "
        f"determinant {one.determinant}{', spin down' * one.spin}: overlap {one.value:.4f}"
        for one in found.overlaps
    ]
    close = found.word if found.deviation is None else f"log|ψ| differs by {found.deviation:.1g}: {found.word}"
    if found.rescaled:
        close += f"; family.{', family.'.join(found.rescaled)} is not as in its training, and the network scales it"
    return [*lines, f"{found.run}: the network of {source}; {close}", f"next: {resume_command(found.run)}"]
