"""How far long work has come: told to a callback, or shown on a terminal, in a notebook or in lines."""

from __future__ import annotations

import html
import importlib
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

CELL_SECONDS = 0.2
"""Time between two changes of the output of a notebook cell."""

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
        self._index, self._what, self._found = -1, "", ""

    def begin(self, what: str) -> None:
        """Say that the next part begins."""
        self._index += 1
        self._what = what + (f" ({self._index + 1} of {self._count})" if self._count > 1 else "")
        self._found = ""
        self(0.0)

    def found(self, text: str) -> None:
        """What the present part has found so far, which is told with it from now on."""
        self._found = f", {text}"

    def __call__(self, fraction: float) -> None:
        """Tell the fraction done of the present part."""
        if self._tell is not None:
            self._tell(self._what + self._found, (max(self._index, 0) + fraction) / self._count)


class Cell:
    """A bar with a text in the output of a notebook cell, each in place of the one before."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, text: str, fraction: float) -> None:
        """Show both."""
        self._put(f'<progress max="1" value="{fraction:.4f}"></progress> {html.escape(text)}')

    def clear(self) -> None:
        """Leave nothing."""
        if self._handle is not None:
            self._put("")

    def _put(self, content: str) -> None:
        shown: Any = importlib.import_module("IPython.display")  # there in every notebook, and only there
        if self._handle is None:
            self._handle = shown.display(shown.HTML(content), display_id=True)
        else:
            self._handle.update(shown.HTML(content))


class Bar:
    """Shows what is being done and the fraction of all work that is done; a context manager, called with both.

    On a terminal and in a notebook a bar, which goes when the work ends; elsewhere a line every `LINE_SECONDS`.
    """

    def __init__(self) -> None:
        self._start = self._shown = time.monotonic()
        self._bar: Progress | None = None
        self._cell: Cell | None = None

    def __enter__(self) -> Self:
        self._cell, self._bar = places("TaskProgressColumn", transient=True)
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        if self._cell is not None:
            self._cell.clear()

    def __call__(self, what: str, fraction: float) -> None:
        """Show both."""
        now = time.monotonic()
        # The first share holds the compilation: what it took says nothing about the rest.
        left = (now - self._start) / fraction * (1 - fraction) if fraction > 0.1 else None
        text = "" if left is None else f"{duration(left)} left"
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], description=what, completed=fraction, total=1, left=text)
        elif self._cell is not None:
            if now - self._shown > CELL_SECONDS:
                self._shown = now
                self._cell.show(", ".join(filter(None, (what, text))), fraction)
        elif now - self._shown > LINE_SECONDS:
            self._shown = now
            line(f"{what}, {fraction:.0%}")


@contextmanager
def shown(progress: Told | bool | None) -> Iterator[Told | None]:
    """What is to be told of the progress: a callback as it is, a `Bar` for True or None, nobody for False.

    None is a bar only where somebody is `watching`; True is one everywhere, in lines where there is no terminal.
    """
    if wanted(progress):
        with Bar() as made:
            yield made
    else:
        yield progress if callable(progress) else None


def wanted(progress: object) -> bool:
    """Whether Qernel itself is to show the progress: for True, and for None where somebody is `watching`."""
    return progress is True or (progress is None and watching())


def watching() -> bool:
    """Whether somebody sees what is shown: on a terminal, or in a notebook."""
    return in_notebook() or sys.stderr.isatty()


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook; nothing is imported to find out."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def line(text: str) -> None:
    """A line about long work."""
    print(text, file=sys.stderr, flush=True)


def places(count: str, *, transient: bool = False) -> tuple[Cell | None, Progress | None]:
    """Where progress is shown: in the output of a notebook, or on a bar of a terminal; neither where nobody watches.

    Args:
        count: the column of `rich.progress` that says how much is done.
        transient: whether the bar goes when the work ends.
    """
    if in_notebook():
        return Cell(), None
    if not sys.stderr.isatty():
        return None, None
    import rich.progress
    from rich.console import Console

    return None, _bar(Console(stderr=True), getattr(rich.progress, count)(), transient=transient)


def _bar(console: Any, count: ProgressColumn, *, transient: bool) -> Progress:
    """A bar with one task."""
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
