"""How far a run goes: stopped by its time limit, resumed, made longer; always the steps of one longer run."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import jax
import pytest
from safetensors import safe_open

import qernel
from qernel.cli import main
from qernel.config import load_config
from qernel.errors import RunError
from qernel.training import run
from qernel.training.checkpoint import Checkpoints
from qernel.training.folder import CONFIG_FILE, METRICS_FILE, MODEL_FILE
from qernel.training.progress import TIME_LIMIT, progress_of
from qernel.training.run import train
from qernel.training.state import TrainState
from qernel.training.step import StepInfo
from qernel.training.tensors import read_tensors, write_tensors
from runs import Step, checkpoints, hashes, newest, pretended, same_state, settings
from test_checkpoint import Killed
from test_faults import dying


def same_run(one: Path, other: Path) -> None:
    """State, metrics, model and configuration, to the last bit."""
    same_state(newest(one), newest(other))
    assert newest(one).name == newest(other).name
    for name in (METRICS_FILE, MODEL_FILE, CONFIG_FILE):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


@pytest.mark.parametrize("first", [0, 4, 9])
def test_a_run_made_longer_is_the_longer_run(first: int, fake: Callable[[Step], None], tmp_path: Path) -> None:
    longer = settings(iterations=20, checkpoint_every=5)
    whole = train(longer, tmp_path / "whole")
    parts = train(settings(iterations=first, checkpoint_every=5), tmp_path / "parts")
    assert not Checkpoints.of(parts, longer).finished()
    train(longer, parts, resume=True)
    same_run(whole, parts)
    assert Checkpoints.of(parts, longer).finished()


@pytest.mark.parametrize("compiled", ["once", pytest.param("each time", marks=pytest.mark.slow)])
def test_a_real_run_made_longer(compiled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Learning rates fall with the iterations made, not with those to come."""
    if compiled == "once":
        longer = settings(iterations=6, decay=2.0)
        step = run.training_step(longer, run.initial_wavefunction(longer))
        monkeypatch.setattr(run, "training_step", lambda *_: step)
    whole = train(settings(iterations=6, decay=2.0), tmp_path / "whole")
    parts = train(settings(iterations=2, decay=2.0), tmp_path / "parts")
    train(settings(iterations=6, decay=2.0), parts, resume=True)
    same_run(whole, parts)


def slow(step: Step, clock: list[float]) -> Step:
    """A step that takes a second, the first one of a call ten minutes: it is compiled."""
    calls: list[int] = []

    def stepped(state: TrainState) -> tuple[TrainState, StepInfo]:
        clock[0] += 1.0 if calls else 600.0
        calls.append(1)
        return step(state)

    return stepped


def test_the_limit_stops_a_run_that_goes_on(
    fake: Callable[[Step], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted from the first complete step; what is stopped is not finished, and ends as the run without a limit."""
    step = jax.jit(pretended)
    fake(step)
    whole = train(settings(iterations=10), tmp_path / "whole")
    clock = [0.0]
    monkeypatch.setattr("qernel.training.report.time", SimpleNamespace(monotonic=lambda: clock[0]))
    limited = settings(iterations=10, time_limit_s=2.5)
    fake(slow(step, clock))
    parts = train(limited, tmp_path / "parts")
    told = progress_of(parts / MODEL_FILE)
    assert told is not None and told.ended == TIME_LIMIT and not told.complete and told.iteration == 4
    assert told.sentence == "was stopped by train.time_limit_s after 2 of 10 training iterations"
    assert not Checkpoints.of(parts, limited).finished()
    fake(slow(step, clock))
    train(limited, parts, resume=True)
    assert newest(parts).stem.endswith("008"), "another call has as much time again"
    fake(step)
    train(settings(iterations=10), parts, resume=True)
    same_run(whole, parts)


def test_a_run_is_not_made_shorter_than_it_is(fake: Callable[[Step], None], tmp_path: Path) -> None:
    out = train(settings(iterations=10), tmp_path / "run")
    before = hashes(out)
    with pytest.raises(RunError, match=r"train.iterations = 9 is less than the 10 that .* has made already"):
        train(settings(iterations=9), out, resume=True)
    assert hashes(out) == before
    with pytest.raises(RunError, match=r"another configuration: .* only train.iterations and train.time_limit_s"):
        train(settings(iterations=12, learning_rate=0.07), out, resume=True)
    assert hashes(out) == before


def older(folder: Path, finished: str) -> None:
    """Checkpoints as earlier versions wrote them, which know nothing but their whole configuration."""
    for path in checkpoints(folder):
        tensors, metadata = read_tensors(path)
        kept = {key: metadata[key] for key in ("fingerprint", "iteration")}
        write_tensors(path, tensors, {**kept, "finished": finished})


def test_runs_of_earlier_versions(fake: Callable[[Step], None], tmp_path: Path) -> None:
    """One that ended stays complete and can be made longer; one that its time limit had ended goes on."""
    longer = settings(iterations=20)
    whole = train(longer, tmp_path / "whole")
    ended = train(settings(iterations=9), tmp_path / "ended")
    older(ended, "true")
    assert Checkpoints.of(ended, settings(iterations=9)).finished()
    train(longer, ended, resume=True)
    same_run(whole, ended)

    limited = settings(iterations=20, time_limit_s=1e-9)
    stopped = train(limited, tmp_path / "stopped")
    assert newest(stopped).stem.endswith("002")
    older(stopped, "true")
    assert not Checkpoints.of(stopped, limited).finished()
    train(longer, stopped, resume=True)
    same_run(whole, stopped)


def test_killed_while_the_extent_changes(
    fake: Callable[[Step], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with checkpoints that know nothing but their whole configuration."""
    longer = settings(iterations=12)
    whole = train(longer, tmp_path / "whole")
    begun = train(settings(iterations=4), tmp_path / "begun")
    older(begun, "true")
    for count in range(12):
        out = tmp_path / str(count)
        shutil.copytree(begun, out)
        left = [count]
        with monkeypatch.context() as patch:
            for module, name in ((os, "fsync"), (os, "replace"), (Path, "unlink")):
                patch.setattr(module, name, dying(getattr(module, name), left))
            with contextlib.suppress(Killed):
                train(longer, out, resume=True)
        train(longer, out, resume=True)
        same_run(whole, out)


def test_the_command_line_says_how_a_run_ended(
    fake: Callable[[Step], None], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(settings(iterations=10, time_limit_s=1e-9).to_toml())
    assert main(["train", "tiny.toml"]) == 75
    said = capsys.readouterr().out
    assert "runs/tiny was stopped by train.time_limit_s after 0 of 10 training iterations, it is untrained" in said
    assert "to go on: qernel train runs/tiny/config.toml --out runs/tiny --resume" in said and "next:" not in said
    command = ["train", "runs/tiny/config.toml", "--out", "runs/tiny", "--resume"]
    assert main([*command, "--set", "train.time_limit_s=none"]) == 0
    assert "next: qernel query" in capsys.readouterr().out
    assert load_config("runs/tiny/config.toml").train.time_limit_s is None
    assert main(command) == 0
    assert "complete" in capsys.readouterr().out
    assert main([*command, "--set", "train.iterations=15"]) == 0
    assert newest(tmp_path / "runs" / "tiny").stem.endswith("017")
    model = qernel.load(tmp_path / "runs" / "tiny")
    assert model.training is not None and model.training.complete and model.training.updates == 15
    with safe_open(tmp_path / "runs" / "tiny" / MODEL_FILE, "numpy") as handle:
        assert "training" in handle.metadata()["qernel"]
