"""The completion script of the fish shell, which `shtab` does not write."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

DIRECTORIES, FILES = "(__fish_complete_directories)", "(__fish_complete_path)"
"""What fish offers of the disk."""


def script(commands: Mapping[str, argparse.ArgumentParser], summaries: Mapping[str, str], places: Any) -> str:
    """``complete`` lines for every command, its options and what they take.

    Args:
        commands: their parsers by name, declared.
        summaries: each command in one line.
        places: called with an argument of a parser: the words it takes, as fish writes them; empty: nothing known.
    """
    lines = ["complete -c qernel -f"]
    for name, parser in commands.items():
        lines.append(f"complete -c qernel -n __fish_use_subcommand -a {name} -d {_quoted(summaries[name])}")
        lines += _of_command(name, parser._actions, places)
    return "\n".join(lines)


def _of_command(name: str, arguments: Sequence[argparse.Action], places: Any) -> Iterator[str]:
    """The lines of one command."""
    here = f"complete -c qernel -n '__fish_seen_subcommand_from {name}'"
    for argument in arguments:
        words = places(argument)
        takes = f" -a {_quoted(words)}" if words else ""
        if not argument.option_strings:
            if takes:
                yield here + takes
            continue
        kinds = {"--": "-l", "-": "-s"}
        flags = " ".join(f"{kinds[_dashes(text)]} {text.lstrip('-')}" for text in argument.option_strings)
        value = "" if argument.nargs == 0 else " -x"
        said = "" if argument.help in (None, argparse.SUPPRESS) else f" -d {_quoted(_first(str(argument.help)))}"
        yield f"{here} {flags}{value}{takes}{said}"


def _dashes(option: str) -> str:
    return "--" if option.startswith("--") else "-"


def _first(text: str) -> str:
    """What a help text says before it goes into details."""
    return text.replace("%%", "%").partition(";")[0].partition(" (")[0].partition(", e.g.")[0]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
