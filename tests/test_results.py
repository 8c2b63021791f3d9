"""The table of docs/results is the one that cards and records give; records are whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import runs
from qernel.records import read_json
from qernel.training.run import train
from scripts import script

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def results() -> Any:
    return script("studies/results.py")


def stored(results: Any) -> list[str]:
    text = results.PAGE.read_text("utf-8")
    return text.split(results.BEGIN)[1].split(results.END)[0].splitlines(keepends=True)[2:]


def test_the_table_is_made_of_cards_and_records(results: Any) -> None:
    """Without the λ_c of scans, which documents.toml holds against the commands that print them."""
    rows = list(results.rows())
    assert len(rows) == len(stored(results))
    for row, line in zip(rows, stored(results), strict=True):
        assert (ROOT / row.file).exists() and (results.PAGE.parent / f"{row.page}.md").exists()
        if row.reached.func not in (results.step, results.crossing):
            assert line == results.line(row)
        else:
            assert line.startswith(f"| [{row.what}]({row.page}.md) | {row.goal} |") and f"`{row.command}`" in line


@pytest.mark.slow
def test_directions_of_an_update_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table with a line for each direction, of walkers that did not make it."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    train(runs.settings(), tmp_path / "run")
    script("studies/step_length/directions.py").main(tmp_path / "run", 8)
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.startswith("16 walkers a batch") and len(lines) == 1 + 2 * 4 * 3
    assert all("nan" not in line for line in lines)


@pytest.mark.slow
def test_the_phase_boundary_is_what_is_stored() -> None:
    study = script("studies/phase_boundary/boundary.py")
    (stored,) = [one for one in study.stored() if (one["electrons"], one["dielectric"]) == (6, 5.0)]
    found = study.boundary(6, 5.0)
    assert found["U"] == pytest.approx(stored["U"]) and found["bracket"] == pytest.approx(stored["bracket"])
    assert found["lambda_c"] == pytest.approx(stored["lambda_c"], abs=1e-4)


@pytest.mark.slow
def test_the_whole_table(results: Any) -> None:
    assert "".join(stored(results)) == "".join(map(results.line, results.rows()))


@pytest.mark.parametrize(
    "path", sorted((ROOT / "studies").rglob("*.json")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_records_can_be_read(path: Path) -> None:
    assert read_json(path)
