"""``qernel report``: one HTML file about a run or about results."""

from __future__ import annotations

import argparse
from pathlib import Path

from qernel.cli import outputs


def run(options: argparse.Namespace) -> int:
    """Write the report."""
    source = Path(options.source)
    folder = source if source.is_dir() else source.parent
    target = Path(options.out) if options.out else folder / "report.html"
    outputs.refuse_existing([target])
    from qernel.report.page import page

    text = page(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    outputs.write_text(target, text)
    print(f"written: {target}")
    return 0
