"""Where commands write: what cannot be written is found before any work, and nothing is left where nobody asked."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from figure_data import dataset
from qernel import outputs, progress
from qernel.cli import main
from qernel.cli.parser import COMMANDS, build_parser
from qernel.config import load_config
from qernel.errors import RunError, command_line, resume_command
from qernel.files import require_writable
from qernel.measure import load
from qernel.storage import save
from qernel.training.display import TrainingProgress
from qernel.training.folder import save_model
from qernel.training.lock import LOCK_FILE
from qernel.training.run import initial_wavefunction
from runs import TINY

SETTINGS = {**TINY, "model": {"ansatz": "slater"}}

LINES = {
    "train": "tiny.toml",
    "grow": "run tiny.toml",
    "demo": "",
    "compare": "tiny.toml",
    "interpolate": "tiny.toml --lam 0.5 0.7 1.2",
    "hf": "tiny.toml --lam 1",
    "scan": "run --lam 0.7",
    "observe": "run --lam 0.7 --observable energy",
    "diagnose": "run --lam 0.7",
    "project": "run --lam 0.7",
    "bench": "--electrons 2",
    "submit": "tiny.toml --dry-run",
    "plot": "density results.nc",
    "report": "results.nc",
    "export": "results.nc --format csv",
    # Were the output looked at last, they would speak of the input.
    "transition": "nothing.nc",
    "extrapolate": "nothing.nc nothing2.nc",
}
"""A call of every command that writes, without ``--out``."""

LONG = "x" * 300
PLACES = ["taken", "taken/below/it", LONG, f"new/{LONG}", "/proc/nowhere/x", "dangling/below", "x" * 250]
"""Where nobody can write, not even root; the last one may be the name of a folder, but not of a file."""


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands read."""
    folder = tmp_path_factory.mktemp("stock")
    config = load_config(SETTINGS)
    (folder / "tiny.toml").write_text(config.to_toml())
    (folder / "run").mkdir()
    save_model(folder / "run" / "model.safetensors", config, initial_wavefunction(config))
    load(folder / "run")  # what this imports is not replaced by `idle`
    results = dataset().isel(lam=[0])
    names = [name for part in ("energy", "density") for name in (part, f"{part}_error")]
    save(results[names], folder / "results.nc")
    return folder


@pytest.fixture
def here(stock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with links to it, in which the test works."""
    for path in stock.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "taken").write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    return tmp_path


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever shows that work has begun fails."""

    def begun(*_: Any, **__: Any) -> None:
        raise AssertionError("work has begun")

    monkeypatch.setattr(progress.Bar, "__call__", begun)
    monkeypatch.setattr(TrainingProgress, "__call__", begun)
    monkeypatch.setattr("qernel.benchmark.measure.run", begun)
    # In this order: imported while `begun` stands in its place, training.grow would keep that for ever.
    monkeypatch.setattr("qernel.training.grow.initial_wavefunction", begun)
    monkeypatch.setattr("qernel.training.run.initial_wavefunction", begun)
    monkeypatch.setattr("qernel.plots.density.density_map", begun)
    monkeypatch.setattr("qernel.report.page.page", begun)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_every_command_that_writes_is_here() -> None:
    parser = build_parser()
    commands: Any = next(action for action in parser._actions if action.dest == "command")
    writing = set()
    for name in COMMANDS:
        with pytest.raises(SystemExit):
            commands.choices[name].parse_known_args(["--help"])
        writing |= {name} if "--out" in commands.choices[name]._option_string_actions else set()
    assert writing == LINES.keys()


@pytest.mark.parametrize("command", LINES)
def test_where_nobody_can_write(command: str, here: Path, idle: None, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(here)
    for place in PLACES:
        if len(place) == 250 and command != "report":  # the only one here that is given the name of a file
            continue
        assert main([command, *LINES[command].split(), "--out", place]) == 2, place
        out, err = capsys.readouterr()
        assert out == "" and err.startswith("qernel: error: ") and err.count("\n") == 1, err
        assert "choose another --out" in err, err
        assert files(here) == before and (here / "taken").read_text() == "mine"


def test_a_folder_is_looked_at_without_a_trace(tmp_path: Path) -> None:
    require_writable(tmp_path / "a" / "b", ["c"])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "c.partial").write_text("of somebody who is writing")
    require_writable(tmp_path / "full", ["c"])
    assert files(tmp_path) == {"full", "full/c.partial"}
    require_writable(tmp_path, ["x" * 247])
    with pytest.raises(RunError, match=r"cannot be written .* choose another --out"):
        require_writable(tmp_path, ["x" * 248])  # .partial is added while it is written
    with pytest.raises(RunError, match="null byte"):
        require_writable(tmp_path / "a\0b")


def test_a_folder_of_long_work_is_held(tmp_path: Path) -> None:
    out = tmp_path / "new" / "scan"
    with outputs.held(out, ["a"]):
        with pytest.raises(RunError, match=r"another process is working in .*scan: wait"), outputs.held(out, ["a"]):
            pass
        assert files(out) == {LOCK_FILE}
    assert files(tmp_path) == set(), "nothing has come into it"
    with outputs.held(out, ["a"]):
        (out / "a").touch()
    assert files(out) == {"a"}


@pytest.fixture
def other(here: Path) -> Iterator[str]:
    """Another process that works in the folder ``out``."""
    text = "import sys, time, pathlib; from qernel import outputs\n"
    text += "with outputs.held(pathlib.Path('out'), []): print('held', flush=True); time.sleep(100)"
    source = str(Path(__file__).parents[1] / "src")
    line = [sys.executable, "-c", text]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": source}) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.kill()


def test_two_in_one_folder(other: str, here: Path, idle: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert other == "held"
    for command in ("scan", "observe", "hf", "bench"):
        assert main([command, *LINES[command].split(), "--out", "out"]) == 2
        err = capsys.readouterr().err
        assert "another process is working in out" in err and err.count("\n") == 1
    assert files(here / "out") == {LOCK_FILE}


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("plot versus_lam deep/results.nc --variable energy --format svg", "energy.svg"),
        ("export deep/results.nc --format json", "results.json"),
        ("report deep/results.nc", "report.html"),
    ],
)
def test_what_is_made_of_a_file_goes_to_the_working_directory(
    line: str, written: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "deep").mkdir()
    (here / "results.nc").rename(here / "deep" / "results.nc")
    before = files(here)
    assert main(line.split()) == 0
    assert files(here) - before == {written} and written in capsys.readouterr().out


def test_json_alone_writes_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qernel.benchmark.measure.run", lambda *_: iter([]))
    monkeypatch.setattr("qernel.benchmark.flops.matmul_rate", lambda *_: 1e9)
    before = files(here)
    line = ["bench", "--electrons", "2"]
    assert main([*line, "--json"]) == 0
    assert capsys.readouterr().out.startswith("{") and files(here) == before
    assert main(line) == 0 and files(here) == before, "nothing is left where no folder is asked for"
    assert main([*line, "--out", "bench"]) == 0
    assert files(here) - before == {"bench", "bench/bench.txt", "bench/bench.json"}


@pytest.mark.parametrize("name", ["my runs/n 6", "it's", "a$b;c", "-x", "[λ]"])
def test_printed_commands_can_be_typed(name: str) -> None:
    words = shlex.split(command_line("qernel", "query", Path(name), "--lam", "1"))
    assert words[:2] == ["qernel", "query"] and not words[2].startswith("-") and Path(words[2]) == Path(name)
    assert build_parser().parse_args(words[1:]).run == words[2]
    assert build_parser().parse_args(shlex.split(resume_command(Path(name)))[1:]).resume
