"""``qernel explore``: a local web page with a λ slider."""

from __future__ import annotations

import argparse
import sys

from qernel import runtime


def run(options: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    runtime.configure()
    from qernel.explore.catalogue import catalogue
    from qernel.explore.serve import serve

    def ready(address: str) -> None:
        print(f"qernel explore: {address}  (Ctrl-C ends it)", flush=True)

    serve(catalogue(options.runs), port=options.port, browser=not options.no_browser, ready=ready)
    print("qernel explore: ended", file=sys.stderr)
    return 0
