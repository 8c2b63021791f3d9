"""The command line ``qernel``: one function, `main`, and a module for each command.

Importing this package imports nothing heavy: ``qernel --help`` answers at once.
"""

from qernel.cli.entry import main

__all__ = ["main"]
