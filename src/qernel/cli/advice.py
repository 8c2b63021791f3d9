"""What to do next, said on a terminal by every command that ends well and has not said it itself."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from qernel.errors import command_line


def advice(options: argparse.Namespace) -> str:
    """One line; empty for commands that are for other programs, with ``--json`` or a table on standard output.

    Args:
        options: of a command that has ended.
    """
    make = _NEXT.get(options.command)
    if make is None or getattr(options, "json", False):
        return ""
    said = make(options)
    return f"next: {said}" if said else ""


def _query(options: argparse.Namespace) -> str:
    line = options.line
    where = ["--lam", line[line.index("--lam") + 1]] if "--lam" in line else ["--lam", "1"]
    shown = ["--observable", "density", "structure_factor"]
    return f"{command_line('qernel', 'observe', options.run, *where, *shown)}, or {_of('explore', options.run)}"


def _scan(options: argparse.Namespace) -> str:
    return f"{_of('transition', options.out)}, or {_of('report', options.out)}"


def _project(options: argparse.Namespace) -> str:
    return _written(options) if options.out is None else _scan(options)


def _demo(options: argparse.Namespace) -> str:
    return f"{_of('transition', options.out)}, or {_of('explore', options.out)}"


def _plot(options: argparse.Namespace) -> str:
    source = Path(options.file)
    return _of("report", source if source.is_dir() else source.parent)


def _report(options: argparse.Namespace) -> str:
    return "open it in a browser"


def _validate(options: argparse.Namespace) -> str:
    return command_line("qernel", "train", options.config, *(["--set", *options.set] if options.set else []))


def _diagnose(options: argparse.Namespace) -> str:
    return f"qernel grow {command_line(str(options.run))} CONFIG, where CONFIG has more of what is missing"


def _export(options: argparse.Namespace) -> str:
    if options.variable is not None:
        return ""
    return "json.load reads it" if options.format == "json" else "pandas.read_csv reads them"


def _written(options: argparse.Namespace) -> str:
    """Of commands that write where they are told to."""
    if options.out is not None:
        return _of("report", options.out)
    return "the same with --out DIR keeps it, for qernel report DIR"


def _of(command: str, place: str | Path) -> str:
    return command_line("qernel", command, Path(place))


_NEXT: dict[str, Callable[[argparse.Namespace], str]] = {
    "query": _query,
    "scan": _scan,
    "observe": _written,
    "project": _project,
    "demo": _demo,
    "transition": lambda options: _of("report", options.scan),
    "extrapolate": _written,
    "plot": _plot,
    "report": _report,
    "export": _export,
    "hf": _written,
    "validate": _validate,
    "diagnose": _diagnose,
    "compare": _written,
    "interpolate": _written,
    "bench": _written,
}
"""Commands that train or list say it themselves; what ``completion`` prints is for a shell."""
