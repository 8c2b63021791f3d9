"""Play somebody who is new: a fresh clone, and the commands of the README as they stand there, one after the other.

usage: python scripts/newcomer.py [--quick]

The commands are read out of README.md of the clone, with what it says of them behind the #. First come those of a
clone, then, in an empty folder with the wheel, those without one; both ask the models. Printed are the seconds that
each took, and those of processors, which a busy machine does not change. A command that fails ends the script.
Everything happens in a folder of its own, with a cache of its own, and is removed.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGE = "http://127.0.0.1"
"""What `qernel explore` prints once it can be opened; then Ctrl-C ends it."""

UNFINISHED, PATIENCE = 75, 5
"""The exit code of a training that its time limit ended, on a busy machine: the same command goes on, a few times."""

QUICK = {"bash scripts/demo.sh": "bash scripts/demo.sh --help", "bash scripts/test.sh": ""}
"""What is typed instead where nothing is to be trained and no test to be run: the first one installs all the same."""


class Block(NamedTuple):
    """What stands between two fences: in which section, in which language, and the lines."""

    section: str
    language: str
    lines: list[str]


def blocks(text: str) -> list[Block]:
    """The blocks of a document.

    >>> blocks("## Go\\n```bash\\nls     # what is here\\n```\\n")
    [Block(section='Go', language='bash', lines=['ls     # what is here'])]
    """
    found, section = [], ""
    for match in re.finditer(r"^## ([^\n]+)$|^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if match[1]:
            section = match[1]
        else:
            found.append(Block(section, match[2], match[3].splitlines()))
    return found


def journeys(text: str) -> tuple[list[Block], list[Block]]:
    """The blocks that somebody with a clone types, and those of somebody with a wheel alone.

    Raises:
        ValueError: if the README has no two ways to install, or no commands after them.
    """
    found = blocks(text)
    install = [block for block in found if block.section == "Install"]
    if len(install) != 2 or found.index(install[1]) + 1 == len(found):
        raise ValueError(
            "README.md has to have two blocks under Install, with and without a clone, and more after them"
        )
    with_clone, without = found.index(install[0]), found.index(install[1])
    return [*found[: with_clone + 1], *found[without + 1 :]], found[without:]


class Took(NamedTuple):
    """Seconds until a command ended, or until its page could be opened, and seconds of processors."""

    wall: float
    processors: float


class Shell:
    """A terminal: variables last from command to command, as in the one of a reader.

    Args:
        folder: where commands are typed.
        home: an empty folder for caches and for what the terminal remembers.
    """

    def __init__(self, folder: Path, home: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        self._environment = kept | {"XDG_CACHE_HOME": str(home), "BROWSER": "true", "PYTHONUNBUFFERED": "1"}
        self._folder, self._memory = folder, home / "environment"

    def type(self, command: str, *, again: int = PATIENCE) -> Took:
        """Run a line, and once more where it says that it has to be.

        Args:
            command: the line.
            again: how often at most.

        Raises:
            RuntimeError: if it fails.
        """
        script = f"{command}\ncode=$?\nenv -0 > {shlex.quote(str(self._memory))}\nexit $code\n"
        began, before = time.monotonic(), _processors()
        said: list[str] = []
        opened = None
        with subprocess.Popen(
            ["bash", "-c", script],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            for line in process.stdout or ():
                said.append(line)
                if "qernel explore" in command and PAGE in line and opened is None:
                    opened = time.monotonic() - began
                    os.killpg(process.pid, signal.SIGINT)
        took = Took(time.monotonic() - began if opened is None else opened, _processors() - before)
        if process.returncode == UNFINISHED and again:
            _say(took, command, "not finished in its time: once more")
            return self.type(command, again=again - 1)
        if process.returncode != 0 and opened is None:
            raise RuntimeError(f"{command} ended with {process.returncode}:\n{''.join(said)}")
        if self._memory.exists():
            pairs = self._memory.read_text("utf-8").split("\0")
            self._environment = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        return took


def _say(took: Took, command: str, remark: str) -> None:
    print(f"{took.wall:8.1f} s {took.processors:8.1f} s  {command}  # {remark}", flush=True)


def _processors() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def typed(block: Block) -> Iterator[tuple[str, str]]:
    """The commands of a block and the remarks behind them; a program in Python is one command."""
    if block.language == "python":
        yield f"python -c {shlex.quote(chr(10).join(block.lines))}", "the program"
        return
    for line in block.lines:
        command, _, remark = line.partition(" # ")
        if command.strip():
            yield command.strip(), remark.strip()


def _all(found: Iterable[Block]) -> list[tuple[str, str]]:
    return [pair for block in found for pair in typed(block)]


def walk(shell: Shell, commands: Iterable[tuple[str, str]], instead: Mapping[str, str]) -> None:
    """Type everything, and say how long it took.

    Args:
        shell: to type into.
        commands: with the remark behind each.
        instead: what is typed in the place of some of them; nothing where it is empty.
    """
    for command, remark in commands:
        if line := instead.get(command, command):
            took = shell.type(line)
            _say(took, line.splitlines()[0], remark)


def main() -> int:
    """Both journeys."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="install, but neither train nor test")
    instead = QUICK if parser.parse_args().quick else {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clone, alone, home = folder / "qernel", folder / "alone", folder / "home"
        alone.mkdir()
        home.mkdir()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        with_clone, with_wheel = journeys((clone / "README.md").read_text("utf-8"))
        print(f"{'':9}{'processors':>11}")
        package = [("bash scripts/package.sh", "into dist")]
        walk(Shell(clone, home), [*_all(with_clone), *package], instead)
        for wheel in (clone / "dist").glob("*.whl"):
            shutil.copy(wheel, alone)
        walk(Shell(alone, home), _all(with_wheel), instead)
    return 0


if __name__ == "__main__":
    sys.exit(main())
