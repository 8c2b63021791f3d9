"""``qernel explore``: a local web page with a λ slider."""

from __future__ import annotations

import argparse
import sys

from qernel import runtime
from qernel.cli.shared.arguments import port
from qernel.cli.shared.options import add_system
from qernel.cli.shared.points import asked_system
from qernel.errors import QernelError


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel explore``."""
    parser.description = (
        "Serve a page on this machine alone (127.0.0.1) on which the parameters of models are moved by sliders: "
        "density, electrons, energies, order parameter, live sampling, and the training curves of runs. "
        "Ctrl-C ends it."
    )
    parser.add_argument(
        "runs", metavar="RUN", nargs="*", help="run folders to show beside the shipped models, the first one first"
    )
    add_system(parser)
    parser.add_argument("--port", metavar="N", type=port, help="port to listen on (default: a free one)")
    parser.add_argument("--no-browser", action="store_true", help="print the address only")


def run(options: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    runtime.configure()
    from qernel.explore.catalogue import catalogue
    from qernel.explore.serve import serve

    def ready(address: str) -> None:
        print(f"qernel explore: {address}  (Ctrl-C ends it)", flush=True)

    def ended() -> None:
        print("qernel explore: ended", file=sys.stderr)

    system = asked_system(options)
    if system and not options.runs:
        raise QernelError(
            "name the model that is shown with other electrons, supercell or twist, e.g. qernel explore lem"
        )
    entries = catalogue(options.runs, system)
    serve(entries, port=options.port, browser=not options.no_browser, ready=ready, ended=ended)
