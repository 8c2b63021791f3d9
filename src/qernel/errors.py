"""Errors meant for the user: each message says what is wrong and what to do about it.

The command line prints the message without a traceback and exits with code 2.
"""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Iterable
from pathlib import Path

RESUMABLE = 75
"""Exit code of a run that its watchdog or its time limit has ended (EX_TEMPFAIL of sysexits.h): resume it."""


class QernelError(Exception):
    """Base of every error the user can act on."""


class QernelWarning(UserWarning):
    """What a user should know and no error: the command line prints it as one sentence."""


def warn(sentence: str) -> None:
    """Say what a user should know and no error."""
    warnings.warn(sentence, QernelWarning, stacklevel=3)


class ConfigError(QernelError):
    """A configuration that cannot be used.

    Attributes:
        problems: every problem found, one sentence each.
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems: list[str] = [problems] if isinstance(problems, str) else list(problems)
        super().__init__(*self.problems)

    def __str__(self) -> str:
        return "\n".join(self.problems)


class RunError(QernelError):
    """A run that cannot start, go on or be read back."""


class DamagedFile(RunError):
    """A checkpoint or model file that is missing, truncated, altered or foreign."""


class OtherRun(RunError):
    """A checkpoint that belongs to another configuration."""


class NotFinite(QernelError):
    """A local energy that is no number, so that no mean of it is one."""


class Interrupted(QernelError):
    """A run stopped by a signal, with its state saved; the message says how to go on.

    Attributes:
        run: the run folder, which holds the resolved configuration.
        signal: number of the signal; the command line exits with 128 + signal.
    """

    def __init__(
        self, message: str, run: Path, signal: int, command: str | None = None, kept: str = "everything is saved"
    ) -> None:
        """``command`` is the line that goes on, by default `resume_command` of the run; ``kept`` says what is there."""
        self.stopped = message
        super().__init__(f"{message}, {kept}; to go on: {command or resume_command(run)}")
        self.run = run
        self.signal = int(signal)


class StopRequested(KeyboardInterrupt):
    """A signal has asked for the end of long work; raised between two pieces of it, never inside one.

    Attributes:
        signal: its number.
        kept: what of the work is there, in words; empty if nothing is.
    """

    def __init__(self, signal: int, kept: str = "") -> None:
        super().__init__(", ".join(filter(None, (f"stopped by signal {signal}", kept))))
        self.signal, self.kept = int(signal), kept


def resume_command(run: Path) -> str:
    """The command line that continues the run in a folder."""
    return command_line("qernel", "train", run / "config.toml", "--out", run, "--resume")


def command_line(*words: str | Path) -> str:
    """Words as they are typed, paths among them with whatever they hold.

    >>> command_line("qernel", "query", Path("my runs/n6")), command_line("ls", Path("-a"))
    ("qernel query 'my runs/n6'", 'ls ./-a')
    """
    typed = [f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word) for word in words]
    return shlex.join(typed)
