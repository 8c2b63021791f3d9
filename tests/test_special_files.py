"""A pipe, a folder, a socket or a device in the place of a file: one sentence, and no command waits for ever."""

from __future__ import annotations

import ast
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qernel.cli import main
from qernel.errors import RunError
from qernel.files import PARTIAL, read_bytes, write_atomically
from qernel.training.events import EVENTS_FILE
from qernel.training.folder import CONFIG_FILE, METRICS_FILE, MODEL_FILE
from qernel.training.run import train
from runs import Step, checkpoints, newest, settings, special

SOURCE = Path(__file__).parents[1] / "src" / "qernel"
KINDS = ("fifo", "folder", "socket", "device")


@pytest.fixture(autouse=True)
def impatient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ends a test that waits; in its own folder, because names of sockets are short."""

    def waited(*_: Any) -> None:
        raise TimeoutError("a command waits")

    monkeypatch.chdir(tmp_path)
    before = signal.signal(signal.SIGALRM, waited)
    signal.setitimer(signal.ITIMER_REAL, 60.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


READERS = {
    "it.toml": "validate it.toml",
    "it.nc": "plot density it.nc",
    "other.nc": "transition other.nc",
    "energies.nc": "export energies.nc --out table.csv",
    METRICS_FILE: f"plot convergence {METRICS_FILE}",
    "hartree_fock.json": "report hartree_fock.json",
    "run/model.safetensors": "query run --lam 0.7",
    "exact.json": "compare n2 --reference exact.json",
    "exact.csv": "compare n2 --reference exact.csv",
    "qernel-compare/comparison-budget.json": "compare n2",
}
"""Every kind of file that is read, and a command that reads it."""


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", KINDS)
def test_commands_refuse_what_is_no_file(kind: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    special(kind, path)
    code = main(READERS[name].split())
    captured = capsys.readouterr()
    assert code == 2 and captured.out == "", captured
    assert captured.err.startswith("qernel: error: ") and captured.err.count("\n") == 1
    assert path.is_symlink() or not path.is_file()


@pytest.mark.parametrize("kind", KINDS)
def test_in_the_folder_of_a_run(kind: str, fake: Callable[[Step], None], tmp_path: Path) -> None:
    """The newest checkpoint is passed over; metrics and events are none to lose, and are refused."""
    once = settings(checkpoint_every=4)
    whole = train(once, tmp_path / "whole")
    for name in (newest(whole).name, METRICS_FILE, EVENTS_FILE, MODEL_FILE, CONFIG_FILE, METRICS_FILE + PARTIAL):
        shutil.copytree(whole, "run")
        if name in (METRICS_FILE, MODEL_FILE, METRICS_FILE + PARTIAL):
            newest(Path("run")).unlink()
        (Path("run") / name).unlink(missing_ok=True)
        special(kind, Path("run") / name)
        try:
            train(once, Path("run"), resume=True)
        except RunError as error:
            assert "\n" not in str(error) and name.removesuffix(PARTIAL) in str(error)
        assert len(checkpoints(Path("run"))) >= 2
        shutil.rmtree("run")


@pytest.mark.parametrize("kind", KINDS)
def test_neither_read_nor_written_through(kind: str, tmp_path: Path) -> None:
    path = Path("it")
    special(kind, path)
    with pytest.raises(OSError, match="not a file"):
        read_bytes(path)
    special(kind, Path(f"other{PARTIAL}"))
    with pytest.raises(OSError, match="not a file"):
        write_atomically(Path("other"), b"content")
    assert not Path("other").exists()


OPENING = {"read_text", "read_bytes", "open", "open_dataset", "safe_open", "opened"}
PACKAGED = {
    "config/load.py",
    "report/page.py",
    "cluster/job.py",
    "explore/download.py",
    "ask/evidence.py",
    "ask/materials.py",
}
"""Where files of the package, or made a moment ago, are read."""
WRITTEN = {"training/metrics.py", "training/events.py", "comparison/clock.py", "files.py", "cli/shared/streams.py"}
"""Where files are opened to append, and the guard itself."""
SYSTEM = {"runtime.py", "cli/commands/bench.py"}
"""Where /proc and /sys are read."""


def test_every_reader_asks_whether_it_is_a_file() -> None:
    """A call that opens a path has `regular` around the path, or is a function of `qernel.files`."""
    bare = []
    for source in sorted(SOURCE.rglob("*.py")):
        name = source.relative_to(SOURCE).as_posix()
        if name in PACKAGED | WRITTEN | SYSTEM:
            continue
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            text = ast.unparse(node)
            guarded = "regular(" in text or (isinstance(node.func, ast.Name) and called.startswith("read_"))
            ours = re.search(r"\bopen\((source|file|path|options\.file)\)", text)  # `qernel.storage.open`
            if called in OPENING and not guarded and not ours:
                bare.append(f"{name}:{node.lineno}: {text}")
    assert bare == []
