"""Progress of training: a live display on a terminal or in a notebook, a line every ten seconds elsewhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from qernel.estimators.quantity import parenthesis
from qernel.progress import LINE_SECONDS, Cell, line, places
from qernel.text import duration

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live
    from rich.progress import Progress

    from qernel.training.report import Report


_WORTH_SAYING = 1.0
"""Seconds of compilation."""


class TrainingProgress:
    """Shows the reports of `qernel.training.run.train`; a context manager, called with each report.

    Args:
        time_limit: seconds after the first step at which training stops in any case.
    """

    def __init__(self, time_limit: float | None = None) -> None:
        self.last: Report | None = None
        self._limit = time_limit
        self._first = 0.0
        self._history: deque[tuple[int, float]] = deque(maxlen=60)
        self._next_line = 0.0
        self._live: Live | None = None
        self._bar: Progress | None = None
        self._cell: Cell | None = None

    def __enter__(self) -> Self:
        self._cell, self._bar = places("MofNCompleteColumn")
        if self._bar is not None:
            from rich.live import Live

            self._live = Live(self._bar, console=self._bar.console, refresh_per_second=4)
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def __call__(self, report: Report) -> None:
        """Show a report."""
        self.last = report
        if report.points.size:
            if not self._history and report.first > _WORTH_SAYING:
                self._say(f"compiled in {duration(report.first)}")
            self._first = self._first if self._history else report.seconds
            self._history.append((report.iteration, report.seconds))
        if self._live is not None:
            self._live.update(self._display(report))
            return
        if self._cell is not None:
            self._cell.show(self._line(report), report.iteration / report.iterations)
            return
        # The first line comes at once: nothing else says that a long compilation has begun.
        done = report.iteration >= report.iterations
        if report.seconds >= self._next_line or done:
            self._next_line = report.seconds + LINE_SECONDS
            line(self._line(report))

    def _say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(text)
        elif self._cell is None:
            line(text)

    @property
    def seconds_left(self) -> float | None:
        """Time to go at the pace of the last half minute, or None before there is one."""
        if self.last is None or len(self._history) < 2:
            return None
        (first, begin), (last, end) = self._history[0], self._history[-1]
        if last <= first or last >= self.last.iterations:
            return None
        left = (self.last.iterations - last) * (end - begin) / (last - first)
        return left if self._limit is None else max(0.0, min(left, self._first + self._limit - end))

    def _line(self, report: Report) -> str:
        """One line with the ends of the λ range, in every system."""
        if not report.points.size:
            return f"{_stage(report)}, or seconds if it was compiled before ..."
        left = self.seconds_left
        parts = [f"{report.stage} {report.iteration}/{report.iterations}"]
        parts += [] if left is None else [f"{duration(left)} left"]
        for group in _ends(report.systems or [""] * len(report.points)):
            energy = parenthesis(float(report.energy[group]), float(report.error[group]))
            of = f" of {report.systems[group]}" if report.systems else ""
            parts.append(f"E/N{of} = {energy} E0 at λ = {report.points[group, 0]:.3f}")
        low, high = float(report.acceptance.min()), float(report.acceptance.max())
        return ", ".join([*parts, f"acceptance {low:.2f} to {high:.2f}"])

    def _display(self, report: Report) -> Progress | Group:
        """The bar, and below it a row for each λ group."""
        from rich.console import Group
        from rich.table import Table

        assert self._bar is not None
        left = self.seconds_left
        self._bar.update(
            self._bar.task_ids[0],
            description=_stage(report),
            completed=report.iteration,
            total=report.iterations,
            left="" if left is None else f"{duration(left)} left",
        )
        if not report.points.size:
            return self._bar
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for title in (*["system"] * bool(report.systems), "λ", "energy per electron (E0)", "acceptance", "|ρ_K|²"):
            table.add_column(title, justify="left" if title == "system" else "right")
        for group, point in enumerate(report.points):
            table.add_row(
                *report.systems[group : group + 1],
                f"{point[0]:.3f}",
                parenthesis(float(report.energy[group]), float(report.error[group])),
                f"{report.acceptance[group]:.2f}",
                f"{report.order_parameter[group]:.3f}",
            )
        return Group(self._bar, table)


def _ends(systems: Sequence[str]) -> list[int]:
    """The first and the last group of every system."""
    return [
        group
        for group, name in enumerate(systems)
        if group in (0, len(systems) - 1) or systems[group - 1] != name or systems[group + 1] != name
    ]


def _stage(report: Report) -> str:
    """What is done, in words."""
    return "compiling the step, about a minute" if report.stage == "compiling" else report.stage
