"""``qernel report``: one HTML file about a run or about results."""

from __future__ import annotations

import argparse
from pathlib import Path

from qernel import outputs


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel report``."""
    parser.description = (
        "Write a self-contained HTML page about a run (its training and what was measured in its folder), about a "
        "folder of results (scan, observe, transition, hf, compare), or about one file of results. It opens without a "
        "network."
    )
    parser.add_argument("source", metavar="RUN_OR_RESULTS", help="a run folder, a folder of results, or a file in one")
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="file to write (default: report.html in that folder; of a file: report.html here)",
    )


def run(options: argparse.Namespace) -> int:
    """Write the report."""
    source = Path(options.source)
    target = Path(options.out or (source / "report.html" if source.is_dir() else "report.html"))
    outputs.refuse_existing([target])
    from qernel.report.page import page

    text = page(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    outputs.write_text(target, text)
    print(f"written: {target}")
    return 0
