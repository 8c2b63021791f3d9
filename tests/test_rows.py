"""Tables of ours that another program has rewritten: what is certain is read, nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qernel.comparison.clock import CLOCK_FILE, Clock, read
from qernel.rows import read_rows
from qernel.training.events import EVENTS_FILE
from qernel.training.folder import METRICS_FILE
from qernel.training.metrics import MetricsFile
from qernel.training.run import train
from runs import Step, hashes, newest, settings

Edit = Callable[[str], bytes]


def cells(text: str) -> list[list[str]]:
    return [line.split(",") for line in text.splitlines()]


def joined(rows: list[list[str]], separator: str = ",", end: str = "\r\n") -> bytes:
    return "".join(separator.join(row) + end for row in rows).encode()


def reordered(text: str) -> bytes:
    return joined([[*row[3:], *row[:3]] for row in cells(text)])


def as_floats(text: str) -> bytes:
    head, *rows = cells(text)
    return joined([head, *([f"{float(row[0])}", *row[1:]] for row in rows)])


def decimal_commas(text: str) -> bytes:
    return joined(cells(text.replace(".", "§")), ";").replace("§".encode(), b",")


CERTAIN: dict[str, Edit] = {
    "semicolons": lambda text: joined(cells(text), ";"),
    "tabs": lambda text: joined(cells(text), "\t"),
    "a spreadsheet's note": lambda text: b"sep=;\r\n" + joined(cells(text), ";"),
    "quotes": lambda text: joined([[f'"{cell}"' for cell in row] for row in cells(text)]),
    "old line ends": lambda text: joined(cells(text), end="\r"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16 without a mark": lambda text: text.encode("utf-16-le"),
    "a mark": lambda text: text.encode("utf-8-sig"),
    "floats": as_floats,
    "blanks": lambda text: joined(cells(text), ", "),
    "another order": reordered,
    "an index": lambda text: joined([[str(index), *row] for index, row in enumerate(cells(text))]),
}
"""Edits after which it is clear what every row says."""

UNCERTAIN: dict[str, Edit] = {
    "decimal commas": decimal_commas,
    "no header": lambda text: joined(cells(text)[1:]),
    "one line": lambda text: joined(cells(text), end=","),
    "another table": lambda text: b"name,value\r\none,1\r\n",
    "nothing of ours": lambda text: bytes(range(256)),
}


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Metrics of a run, by the writer of metrics."""
    path = tmp_path_factory.mktemp("metrics") / METRICS_FILE
    MetricsFile(path, ("lam",), 0).close()
    columns = path.read_text().count(",") - 2
    rows = [f"{i},{g},0.{g}5" + f",-14.{i}e-1" * columns + "\r\n" for i in range(1, 7) for g in range(2)]
    return path.read_bytes().decode() + "".join(rows)


def opened(path: Path, content: bytes, iteration: int = 6) -> MetricsFile:
    path.write_bytes(content)
    metrics = MetricsFile(path, ("lam",), iteration, every=1)
    metrics.close()
    return metrics


def values(content: bytes) -> list[list[float]]:
    return [[float(cell) for cell in row] for row in cells(content.decode())[1:]]


@pytest.mark.parametrize("edit", CERTAIN)
def test_rows_go_on_where_they_are_certain(edit: str, text: str, tmp_path: Path) -> None:
    path, content = tmp_path / METRICS_FILE, CERTAIN[edit](text)
    (sentence,) = opened(path, content).notices
    found = sorted(values(path.read_bytes())), path.read_bytes().partition(b"\r\n")[0]
    assert found == (values(text.encode()), text.encode().partition(b"\r\n")[0])
    assert "12 of its 12 rows" in sentence and f"{METRICS_FILE}.kept-1" in sentence and "\n" not in sentence
    assert (tmp_path / f"{METRICS_FILE}.kept-1").read_bytes() == content
    assert opened(path, path.read_bytes()).notices == [], "what was written again is ours"


@pytest.mark.parametrize("edit", UNCERTAIN)
def test_the_rest_is_kept_and_nothing_is_guessed(edit: str, text: str, tmp_path: Path) -> None:
    path, content = tmp_path / METRICS_FILE, UNCERTAIN[edit](text)
    notices = opened(path, content).notices
    assert values(path.read_bytes()) == []
    assert " 0 of its " in notices[0] and "lacks 6 of the 6 iterations" in notices[1]
    assert (tmp_path / f"{METRICS_FILE}.kept-1").read_bytes() == content


def test_no_copy_replaces_another(text: str, tmp_path: Path) -> None:
    path = tmp_path / METRICS_FILE
    for edit in ("tabs", "quotes", "tabs", "UTF-16"):
        opened(path, CERTAIN[edit](text))
    kept = {p.name: p.read_bytes() for p in tmp_path.glob("*.kept-*")}
    assert kept == {
        f"{METRICS_FILE}.kept-{index + 1}": CERTAIN[edit](text)
        for index, edit in enumerate(("tabs", "quotes", "UTF-16"))
    }


def test_what_a_killed_run_leaves_is_no_edit(text: str, tmp_path: Path) -> None:
    """Rows newer than the state, the last of them cut: dropped without a word; an older one that is cut is not ours."""
    path = tmp_path / METRICS_FILE
    content = text.encode()
    for cut in (1, 20, 60):
        metrics = opened(path, content[:-cut], iteration=5)
        assert metrics.notices == [] and values(path.read_bytes()) == values(content)[:10]
    assert not list(tmp_path.glob("*.kept-*"))
    metrics = opened(path, content[:-2])
    assert "11 of its 12 rows" in metrics.notices[0] and values(path.read_bytes()) == values(content)[:11]
    assert (tmp_path / f"{METRICS_FILE}.kept-1").read_bytes() == content[:-2]
    lines = content.splitlines(keepends=True)
    assert opened(path, b"".join(lines[:5])).notices == [f"{path} lacks 4 of the 6 iterations that were recorded"]


def test_a_table_that_was_replaced_while_rows_were_added(text: str, tmp_path: Path) -> None:
    path = tmp_path / METRICS_FILE
    path.write_bytes(text.encode())
    metrics = MetricsFile(path, ("lam",), 6, every=1)
    other = tmp_path / "saved.csv"
    other.write_bytes(b"mine")
    other.replace(path)
    metrics.flush()
    assert path.read_bytes() == text.encode() and (tmp_path / f"{METRICS_FILE}.kept-1").read_bytes() == b"mine"
    path.unlink()
    metrics.flush()
    metrics.close()
    assert path.read_bytes() == text.encode()
    assert ["replaced" in metrics.notices[0], "removed" in metrics.notices[1]] == [True, True]


def test_a_run_whose_metrics_were_saved_by_a_spreadsheet_resumes(
    fake: Callable[[Step], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    once = settings(checkpoint_every=4)
    out = train(once, tmp_path / "run")
    whole = hashes(out)
    newest(out).unlink()
    table = (out / METRICS_FILE).read_bytes()
    (out / METRICS_FILE).write_bytes(CERTAIN["semicolons"](table.decode()))
    train(once, out, resume=True)
    assert whole.items() <= hashes(out).items()
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "20 of its 20 rows" in said
    assert [json.loads(line)["event"] for line in (out / EVENTS_FILE).read_text().splitlines()] == ["metrics"]


def test_the_clock_of_a_comparison(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = b"iteration;seconds\r\n1;0.5\r\n4.0;2.25\r\n"
    (tmp_path / CLOCK_FILE).write_bytes(content)
    clock = Clock(tmp_path, None)
    clock(5, 1.0)
    clock.close()
    assert read(tmp_path) == [(1, 0.5), (4, 2.25), (5, 3.25)]
    assert (tmp_path / f"{CLOCK_FILE}.kept-1").read_bytes() == content and "2 of its 2 rows" in capsys.readouterr().err
    (tmp_path / CLOCK_FILE).write_bytes(b"iteration,seconds\n1,soon\n2,1.0\n")
    assert read(tmp_path) == [(2, 1.0)]


def test_any_bytes_are_read(text: str) -> None:
    names: Any = ("iteration", "group", "lam")
    for data in (
        b"",
        b"\n",
        b"\0",
        b"iteration",
        b"iteration,group,lam\n" + b"9" * 5000 + b",0,1\n",
        b'"',
        b"\xff\xfe",
    ):
        assert read_rows(data, names, needed=names).lines == []
