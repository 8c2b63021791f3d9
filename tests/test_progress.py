"""Who sees the progress of long work: somebody at a terminal or a notebook, whoever asks for it, nobody else."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from qernel.progress import Bar, Parts, in_notebook, shown, wanted
from qernel.training.display import TrainingProgress
from qernel.training.report import Report


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A notebook: what each output of a cell has shown, in order."""
    outputs: list[list[str]] = []

    def display(content: str, *, display_id: bool) -> Any:
        assert display_id
        outputs.append([content])
        return SimpleNamespace(update=outputs[-1].append)

    shell = SimpleNamespace(kernel="there")
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display, HTML=str))
    monkeypatch.setattr("qernel.progress.CELL_SECONDS", -1.0)
    return outputs


@pytest.mark.parametrize(
    ("asked", "terminal", "seen"),
    [(None, False, False), (None, True, True), (True, False, True), (False, True, False), (print, True, False)],
)
def test_who_sees_progress(asked: Any, terminal: bool, seen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert wanted(asked) == seen
    with shown(asked) as tell:
        assert isinstance(tell, Bar) == seen and (tell is None) == (asked is False or (asked is None and not terminal))


def test_ipython_without_a_notebook_is_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace()))
    assert not in_notebook()


def test_a_notebook_shows_one_bar_that_goes(cells: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    with shown(None) as tell:
        parts = Parts(tell, 2)
        for name in ("λ < 1", "λ = 1"):
            parts.begin(name)
            parts(0.5)
    (bar,) = cells
    assert 'value="0.2500"' in bar[1] and "λ &lt; 1 (1 of 2), " in bar[1] and " left" in bar[1]
    assert 'value="0.7500"' in bar[-2] and bar[-1] == ""
    assert capsys.readouterr() == ("", "")


def test_training_in_a_notebook_leaves_its_last_numbers(cells: list[list[str]]) -> None:
    with TrainingProgress() as display:
        for iteration in (0, 5, 10):
            one = [np.full(1, x) for x in (-17.0, 0.02, 0.5, 0.1)]
            display(Report("training", iteration, 10, 0.5 * iteration, np.full((1, 1), 0.9), *one))
    assert len(cells) == 1 and len(cells[0]) == 3
    assert 'value="1.0000"' in cells[0][-1] and "E/N = -17.000(20) E0 at λ = 0.900" in cells[0][-1]
