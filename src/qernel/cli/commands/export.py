"""``qernel export``: a file of results as CSV tables or as JSON."""

from __future__ import annotations

import argparse
from pathlib import Path

from qernel import outputs
from qernel.errors import QernelError
from qernel.soundness import resting_on
from qernel.storage import open, tables, to_json, to_object


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel export``."""
    parser.description = (
        "Write the contents of a NetCDF file of Qernel as CSV, one table for the single numbers and one for each "
        "array, or as one JSON object."
    )
    parser.add_argument("file", metavar="FILE", help="a file written by qernel scan or qernel observe")
    parser.add_argument("--format", choices=("csv", "json"), required=True, help="what to write")
    parser.add_argument("--out", metavar="PATH", help="folder (csv) or file (json) (default: in the working directory)")
    parser.add_argument("--variable", metavar="NAME", help="print the table of one variable instead (csv)")


def run(options: argparse.Namespace) -> int:
    """Write the tables into a folder, the JSON object into a file, or one table to standard output."""
    dataset = open(options.file)
    source = Path(options.file)
    if options.variable is not None:
        if options.format != "csv":
            raise QernelError("--variable prints one CSV table: leave it out with --format json")
        with resting_on(source):
            found = tables(dataset)
        if options.variable not in found:
            raise QernelError(f"{source} has no {options.variable}: choose from {', '.join(found)}")
        print(found[options.variable].to_csv(index=False, lineterminator="\n"), end="")
        return 0
    if options.format == "json":
        target = Path(options.out or f"{source.stem}.json")
        outputs.refuse_existing([target])
        with resting_on(source):
            text = to_json(to_object(dataset), indent=1)
        target.parent.mkdir(parents=True, exist_ok=True)
        outputs.write_text(target, text + "\n")
        print(f"written: {target}")
        return 0
    folder = Path(options.out or f"{source.stem}-csv")
    with resting_on(source):
        frames = {folder / f"{name}.csv": frame for name, frame in tables(dataset).items()}
    outputs.refuse_existing(list(frames))
    folder.mkdir(parents=True, exist_ok=True)
    for path, frame in frames.items():
        outputs.write_text(path, frame.to_csv(index=False, lineterminator="\n"))
    print(f"written: {', '.join(str(path) for path in frames)}")
    return 0
