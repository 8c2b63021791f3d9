"""How far long work has come: told to a callback, or shown on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from qernel.text import duration

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

LINE_SECONDS = 10.0
"""Time between two lines where there is no terminal."""

Told = Callable[[str, float], None]
"""Called with what is being done and the fraction of all work that is done."""


class Parts:
    """Tells a callback how far work of several equal parts has come.

    Args:
        tell: the callback; None: nobody listens.
        count: number of parts.
    """

    def __init__(self, tell: Told | None, count: int) -> None:
        self._tell, self._count = tell, count
        self._index, self._what = -1, ""

    def begin(self, what: str) -> None:
        """Say that the next part begins."""
        self._index += 1
        self._what = what + (f" ({self._index + 1} of {self._count})" if self._count > 1 else "")
        self(0.0)

    def __call__(self, fraction: float) -> None:
        """Tell the fraction done of the present part."""
        if self._tell is not None:
            self._tell(self._what, (max(self._index, 0) + fraction) / self._count)


class Bar:
    """Shows what is being done and the fraction of all work that is done; a context manager, called with both.

    On a terminal a bar, elsewhere a line every `LINE_SECONDS`.
    """

    def __init__(self) -> None:
        self._start = self._shown = time.monotonic()
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import TaskProgressColumn

            self._bar = bar(Console(stderr=True), TaskProgressColumn(), transient=True)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, what: str, fraction: float) -> None:
        """Show both."""
        now = time.monotonic()
        if self._bar is not None:
            # The first share holds the compilation: what it took says nothing about the rest.
            left = (now - self._start) / fraction * (1 - fraction) if fraction > 0.1 else None
            text = "" if left is None else f"{duration(left)} left"
            self._bar.update(self._bar.task_ids[0], description=what, completed=fraction, total=1, left=text)
        elif now - self._shown > LINE_SECONDS:
            self._shown = now
            print(f"{what}, {fraction:.0%}", file=sys.stderr, flush=True)


@contextmanager
def shown(progress: Told | bool | None) -> Iterator[Told | None]:
    """What is to be told of the progress: a callback as it is, for True a `Bar`, otherwise None."""
    if progress is True:
        with Bar() as made:
            yield made
    else:
        yield progress or None


def bar(console: Any, count: ProgressColumn, *, transient: bool = False) -> Progress:
    """A bar with one task; ``count`` says how much of it is done."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    made = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        count,
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        console=console,
        transient=transient,
    )
    made.add_task("starting", total=None, left="")
    return made
