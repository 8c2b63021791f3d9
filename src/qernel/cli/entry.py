"""From arguments to an exit code, whatever happens on the way."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from qernel import runtime
from qernel.cli.advice import advice
from qernel.cli.parser import build_parser
from qernel.cli.shared import streams
from qernel.errors import ConfigError, Interrupted, QernelError, QernelWarning, StopRequested
from qernel.stopping import expendable, stop_signals

FAILED, MISUSED, STOPPED, PIPE = 1, 2, 130, 141
"""Exit codes: a defect of ours; something the user can put right; Ctrl-C; the reader of our output has left."""

NOTHING = "stopped, nothing was written"
"""What a command says that was asked to stop before it had a result."""

LONG = (
    *("ask", "train", "demo", "query", "scan", "observe", "diagnose", "project", "hf"),
    *("compare", "interpolate", "bench"),
)
"""Commands that take a request to stop when a piece of work is done (`qernel.stopping`)."""

LARGE = ("train", "demo", "compare", "interpolate", "bench")
"""Commands with arrays that are worth huge pages."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: arguments without the program's name; those of the process if not given.

    Returns:
        The exit code.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    streams.prepare(own_process=argv is None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", QernelWarning)
            warnings.showwarning = _say(warnings.showwarning)
            code = _dispatch(arguments, own_process=argv is None)
        sys.stdout.flush()
    except BrokenPipeError:
        streams.silence(sys.stdout)  # Python flushes it once more on exit, and would complain
        return PIPE
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get("QERNEL_TRACEBACK", "0") not in ("", "0"):
            raise
        return _report(error, arguments[0] if arguments else "")
    return code


def _say(otherwise: Callable[..., None]) -> Callable[..., None]:
    """What shows warnings: ours as one sentence, all others as before."""

    def show(message: Warning | str, category: type[Warning], *place: Any) -> None:
        if issubclass(category, QernelWarning):
            print(f"qernel: warning: {message}", file=sys.stderr, flush=True)
        else:
            otherwise(message, category, *place)

    return show


def _dispatch(arguments: list[str], *, own_process: bool) -> int:
    try:
        options = build_parser().parse_args(arguments)
    except SystemExit as stop:  # argparse has said what was wrong, or shown the help
        return stop.code if isinstance(stop.code, int) else 0
    if own_process and options.command in LARGE:
        runtime.restart_in_huge_pages()
    options.line = ["qernel", *arguments]
    if options.command not in LONG:
        return _run(options)
    with stop_signals(own_process=own_process), expendable(lambda _: NOTHING):
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    """Import what the command needs, and nothing else, and run it."""
    # Each command is the module of its name.
    code: int = import_module(f"qernel.cli.commands.{options.command}").run(options)
    said = advice(options) if code == 0 and sys.stdout.isatty() else ""
    if said:
        # What validate prints is a configuration, in which all else is comments.
        print(f"\n{'# ' * (options.command == 'validate')}{said}")
    return code


_LESS = {
    "train": "use fewer walkers (train.walkers) or a smaller model; qernel validate says what a configuration needs",
    "hf": "use a smaller --cutoff, a smaller supercell or fewer electrons",
    "bench": "give fewer --electrons, or --set train.walkers to fewer",
    **dict.fromkeys(
        ("query", "scan", "observe", "diagnose", "project"),
        "use fewer --walkers or --samples, a coarser grid or a lower cut-off",
    ),
    **dict.fromkeys(("plot", "transition", "export", "extrapolate"), "use a smaller file of results"),
}
"""What needs less memory, by command; as for training where none is given."""


def _report(error: BaseException, command: str) -> int:
    """Say in one sentence (a configuration: one for each problem) what ended the command; return the exit code."""
    if isinstance(error, Interrupted):
        print(f"\nqernel: {error}", file=sys.stderr)
        return 128 + error.signal
    if isinstance(error, StopRequested):
        print(f"\nqernel: {f'stopped, {error.kept}' if error.kept else NOTHING}", file=sys.stderr)
        return 128 + error.signal
    if isinstance(error, KeyboardInterrupt):
        print("\nqernel: interrupted", file=sys.stderr)
        return STOPPED
    if isinstance(error, QernelError):
        for problem in error.problems if isinstance(error, ConfigError) else [str(error)]:
            print(f"qernel: error: {problem}", file=sys.stderr)
        return MISUSED
    if isinstance(error, OSError) and error.strerror:
        about = f"{error.filename}: " if error.filename is not None else ""
        print(f"qernel: error: {about}{error.strerror}", file=sys.stderr)
        return MISUSED
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        print(
            f"qernel: error: not enough memory: {_LESS.get(command, _LESS['train'])}",
            file=sys.stderr,
        )
        return MISUSED
    text = " ".join(str(error).split())[:500]
    print(
        f"qernel: internal error: {type(error).__name__}: {text} (QERNEL_TRACEBACK=1 shows where; please report it)",
        file=sys.stderr,
    )
    return FAILED
