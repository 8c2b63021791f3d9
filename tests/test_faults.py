"""Runs that meet with trouble: faults of the numbers, of the disk, of other processes, of the step itself."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qernel.errors import Interrupted, RunError
from qernel.sampling.devices import walker_mesh
from qernel.training import guard, monitor, run
from qernel.training.checkpoint import Checkpoints
from qernel.training.events import EVENTS_FILE, EventLog
from qernel.training.folder import CONFIG_FILE, METRICS_FILE, MODEL_FILE
from qernel.training.lock import LOCK_FILE
from qernel.training.monitor import Monitor
from qernel.training.run import train
from qernel.training.state import TrainState, layout
from qernel.training.step import StepInfo
from qernel.training.watchdog import Watchdog
from runs import GROUPS, WALKERS, Step, checkpoints, hashes, measured, newest, pretended, same_state, settings
from test_checkpoint import Killed, small_disk


def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / EVENTS_FILE).read_text().splitlines()]


# The criterion


def history(watch: Monitor, iterations: int, seed: int = 0) -> None:
    """Good iterations: noise of the size that 8 walkers give, λ drifting."""
    noise = np.random.default_rng(seed).standard_normal((iterations, 2, GROUPS))
    for index, (one, other) in enumerate(noise):
        median = -14.0 - 0.5 * np.sin(index / 30) + 0.2 * one
        found = watch.judge(measured(median=median, deviation=0.5 * np.exp(0.3 * other)), learning=True)
        assert found is None


@pytest.mark.parametrize("seed", range(5))
def test_noise_and_drift_raise_no_suspicion(seed: int) -> None:
    history(Monitor(WALKERS), 400, seed)


def test_a_fast_descent_raises_no_suspicion() -> None:
    watch = Monitor(WALKERS)
    for index in range(300):
        fall = np.exp(-index / 25)
        info = measured(median=np.full(GROUPS, -14.0 + 30 * fall), deviation=np.full(GROUPS, 0.4 + 5 * fall))
        assert watch.judge(info, learning=True) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"median": np.array([-14.0, 40.0])}, "from -14.* to 40 E0"),
        ({"median": np.array([-14.0, -1e5])}, "to -1e\\+05 E0"),
        ({"median": np.array([-14.0, np.nan]), "bad_walkers": np.array([0, 8])}, "8 of 8 walkers"),
        ({"bad_walkers": np.array([1, 5])}, "5 of 8 walkers"),
        ({"deviation": np.array([0.5, 60.0])}, "spread of the local energies grew"),
        ({"skipped": np.asarray(True), "bad_walkers": np.array([0, 1])}, "update of the parameters is not finite"),
    ],
)
def test_what_is_suspicious_and_where(changes: dict[str, Any], words: str) -> None:
    watch = Monitor(WALKERS)
    history(watch, 60)
    found = watch.judge(measured(**changes), learning=True)
    assert found is not None and found.group == 1
    with pytest.raises(RuntimeError, match=words):
        raise RuntimeError(found.what)


def test_a_slow_decay_is_found_although_the_window_follows() -> None:
    watch = Monitor(WALKERS)
    history(watch, 60)
    spreads = 0.5 * 1.01 ** np.arange(600)
    found = [watch.judge(measured(deviation=np.full(GROUPS, s)), learning=True) for s in spreads]
    first = next(index for index, suspicion in enumerate(found) if suspicion)
    assert 10 < spreads[first] / 0.5 < 25 and "grew" in found[first].what


def test_burn_in_may_do_what_it_likes() -> None:
    watch = Monitor(WALKERS)
    for energy in 10.0 ** np.arange(6, 0, -0.1):
        assert watch.judge(measured(median=np.full(GROUPS, energy)), learning=False) is None


# Going back


def wild(iterations: range, once: bool) -> Step:
    """The pretended step, with energies that run away in some iterations (the first time only)."""
    step, seen = jax.jit(pretended), set()

    def stepped(state: TrainState) -> tuple[TrainState, StepInfo]:
        new, info = step(state)
        iteration = int(new.iteration)
        if iteration in iterations and not (once and iteration in seen):
            seen.add(iteration)
            info = measured(median=np.array([-14.0, 1e6]), bad_walkers=np.array([0, 2]))
        return new, info

    return stepped


def test_a_fault_leads_back_to_a_good_state(
    fake: Callable[[Step], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(wild(range(61, 66), once=True))
    out = train(settings(iterations=100, checkpoint_every=10), tmp_path / "run")
    (event,) = events(out)
    assert event["event"] == "rollback" and event["iteration"] == 65 and event["back_to"] == 50
    assert event["group"] == 1 and event["lam"] == 0.9 and event["bad_walkers"] == 2 and event["rate"] < 0.51
    assert "at iteration 65 in the group at λ = 0.9" in capsys.readouterr().err
    numbers = [int(line.split(",")[0]) for line in (out / METRICS_FILE).read_text().splitlines()[1:]]
    assert numbers == [i for i in range(1, 103) for _ in range(GROUPS)], "every iteration once"


def test_a_run_that_went_back_resumes_bit_for_bit(fake: Callable[[Step], None], tmp_path: Path) -> None:
    """Learning rate and damping as adapted are part of the checkpoint."""
    once = settings(iterations=100, checkpoint_every=10)
    fake(wild(range(61, 66), once=True))
    whole = train(once, tmp_path / "whole")
    step = wild(range(61, 66), once=True)

    def killed(state: TrainState) -> tuple[TrainState, StepInfo]:
        if int(state.iteration) == 72:
            raise Killed
        return step(state)

    fake(killed)
    with pytest.raises(Killed):
        train(once, tmp_path / "parts")
    assert newest(tmp_path / "parts").stem.endswith("070")
    fake(jax.jit(pretended))
    train(once, tmp_path / "parts", resume=True)
    same_state(newest(whole), newest(tmp_path / "parts"))
    assert (whole / METRICS_FILE).read_bytes() == (tmp_path / "parts" / METRICS_FILE).read_bytes()


def test_a_fault_that_comes_back_ends_in_a_diagnosis(fake: Callable[[Step], None], tmp_path: Path) -> None:
    once = settings(iterations=200, checkpoint_every=10)
    fake(wild(range(81, 1000), once=False))
    with pytest.raises(RunError, match=r"at iteration 85 in the group at λ = 0.9, after 4 returns.*1e\+06 E0"):
        train(once, tmp_path / "run")
    assert [(e["back_to"], e["try"]) for e in events(tmp_path / "run")] == [(75, 1), (50, 2), (25, 3), (25, 4)]
    fake(jax.jit(pretended))
    train(once, tmp_path / "run", resume=True)
    assert newest(tmp_path / "run").stem.endswith("202")


def test_suspicious_states_are_never_saved(fake: Callable[[Step], None], tmp_path: Path) -> None:
    """Stopped in the middle of trouble, a run keeps the last state above suspicion."""
    fake(wild(range(58, 63), once=False))
    train(settings(iterations=58, checkpoint_every=10), tmp_path / "run")
    assert newest(tmp_path / "run").stem.endswith("057")
    last = (tmp_path / "run" / METRICS_FILE).read_text().splitlines()[-1]
    assert last.startswith("57,")


# The NaN drill, with the real step


@pytest.mark.parametrize("kind", ["walkers", "gradient"])
def test_nan_drill(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real: Step) -> None:
    """NaN in all walkers of a group, or in the direction of the optimiser: one return, and the run ends finite."""
    injected = []

    def step(state: TrainState) -> tuple[TrainState, StepInfo]:
        if int(state.iteration) == 6 and not injected:
            injected.append(True)
            if kind == "walkers":
                bad = state.walkers._replace(positions=state.walkers.positions.at[1].set(jnp.nan))
                state = state._replace(walkers=bad)
            else:
                direction = jnp.full_like(state.optimiser.direction, jnp.nan)
                state = state._replace(optimiser=state.optimiser._replace(direction=direction))
            state = jax.device_put(state, layout(state, walker_mesh(WALKERS)))
        return real(state)

    monkeypatch.setattr(run, "training_step", lambda *_: step)
    monkeypatch.setattr(guard, "SNAPSHOT_EVERY", 2)
    out = train(settings(iterations=16), tmp_path / "run")
    (event,) = events(out)
    assert event["iteration"] == 6 + guard.STRIKES and event["back_to"] == 6
    if kind == "walkers":
        assert event["group"] == 1 and event["reason"] == "8 of 8 walkers have no finite energy"
    else:
        assert event["reason"] == "the update of the parameters is not finite"
    once = settings(iterations=16)
    template = run.initial_state(once, run.initial_wavefunction(once))
    loaded = Checkpoints(out, once.fingerprint(), keep=3).load(template).state
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(loaded))
    assert int(loaded.iteration) == 18 and 0.5 < float(loaded.tuning.rate) < 0.51


@pytest.fixture(scope="module")
def real() -> Step:
    once = settings()
    return run.training_step(once, run.initial_wavefunction(once))


# The disk


def test_killed_at_every_write(fake: Callable[[Step], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever call that changes the disk is the last one, the run resumes to the same files."""
    once = settings(iterations=3, checkpoint_every=2, keep_checkpoints=2)
    whole = hashes(train(once, tmp_path / "whole"))
    for count in range(1000):
        out = tmp_path / str(count)
        left = [count]
        with monkeypatch.context() as patch:
            for module, name in ((os, "fsync"), (os, "replace"), (Path, "unlink")):
                patch.setattr(module, name, dying(getattr(module, name), left))
            try:
                train(once, out)
                break
            except Killed:
                pass
        train(once, out, resume=bool(checkpoints(out)))
        # Killed while clearing up after the last checkpoint, a run may leave one too many.
        assert whole.items() <= hashes(out).items(), f"killed at call {count}"
    assert count > 20, "the run writes this often"


def dying(function: Callable[..., Any], left: list[int]) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return function(*arguments, **named)

    return call


def test_a_full_disk_is_one_sentence(fake: Callable[[Step], None], tmp_path: Path) -> None:
    once = settings(checkpoint_every=4)
    whole = hashes(train(once, tmp_path / "whole"))
    step, limits = jax.jit(pretended), []

    def fills(state: TrainState) -> tuple[TrainState, StepInfo]:
        if int(state.iteration) == 6:
            limits.append(small_disk(1000))
            limits[0].__enter__()
        return step(state)

    fake(fills)
    with pytest.raises(RunError, match=r"cannot be written.*are intact.*--resume") as caught:
        train(once, tmp_path / "run")
    limits[0].__exit__(None, None, None)
    assert "\n" not in str(caught.value)
    assert newest(tmp_path / "run").stem.endswith("004") and not list((tmp_path / "run").glob("*.partial"))
    fake(step)
    train(once, tmp_path / "run", resume=True)
    assert hashes(tmp_path / "run") == whole


def test_a_damaged_newest_checkpoint_is_passed_over(
    fake: Callable[[Step], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    once = settings(checkpoint_every=4)
    out = train(once, tmp_path / "run")
    whole = hashes(out)
    newest(out).write_bytes(b"damaged")
    train(once, out, resume=True)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "resuming from checkpoint-000000008.safetensors instead" in said
    assert events(out)[0]["event"] == "fallback"
    (out / EVENTS_FILE).unlink()
    assert hashes(out) == whole
    for path in checkpoints(out):
        path.write_bytes(b"damaged")
    before = hashes(out)
    with pytest.raises(RunError, match="nothing was changed"):
        train(once, out, resume=True)
    assert hashes(out) == before


@pytest.mark.parametrize("change", ["removed", "renamed", "replaced"])
def test_a_folder_that_is_gone_is_not_called_intact(change: str, fake: Callable[[Step], None], tmp_path: Path) -> None:
    """Nor is another run that took its name written into."""
    out, step = tmp_path / "run", jax.jit(pretended)

    def lost(state: TrainState) -> tuple[TrainState, StepInfo]:
        if int(state.iteration) == 6 and out.exists():
            out.rename(tmp_path / "elsewhere")
            if change == "removed":
                shutil.rmtree(tmp_path / "elsewhere")
            if change == "replaced":
                out.mkdir()
                (out / CONFIG_FILE).write_text("another run")
        return step(state)

    fake(lost)
    with pytest.raises(RunError, match="was removed, renamed or replaced while the run went on") as caught:
        train(settings(checkpoint_every=4), out)
    assert "intact" not in str(caught.value) and "\n" not in str(caught.value)
    assert not out.exists() or [p.name for p in out.iterdir()] == [CONFIG_FILE]


def test_without_a_checkpoint_nothing_is_called_intact(fake: Callable[[Step], None], tmp_path: Path) -> None:
    with small_disk(100), pytest.raises(RunError, match=r"cannot be written .*there is no checkpoint.*start again"):
        train(settings(), tmp_path / "run")


def test_a_closed_terminal_does_not_end_a_run(
    fake: Callable[[Step], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone:
        def write(self, _: str) -> int:
            raise OSError(errno.EIO, "Input/output error")

    fake(wild(range(61, 66), once=True))
    monkeypatch.setattr(sys, "stderr", Gone())
    out = train(settings(iterations=100, checkpoint_every=10), tmp_path / "run")
    assert events(out)[0]["event"] == "rollback" and newest(out).stem.endswith("102")


def test_the_model_of_another_run_is_kept(
    fake: Callable[[Step], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = train(settings(checkpoint_every=4), tmp_path / "run")
    whole = hashes(out)
    other = train(settings(checkpoint_every=4, seed=5), tmp_path / "other")
    newest(out).unlink()
    shutil.copy(other / MODEL_FILE, out)
    train(settings(checkpoint_every=4), out, resume=True)
    assert whole.items() <= hashes(out).items()
    assert (out / f"{MODEL_FILE}.kept-1").read_bytes() == (other / MODEL_FILE).read_bytes()
    assert capsys.readouterr().err.count("\n") == 1


def test_other_devices_are_said_once(
    fake: Callable[[Step], None], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    once = settings(checkpoint_every=4)
    out = train(once, tmp_path / "run")
    newest(out).unlink()
    monkeypatch.setattr("qernel.training.folder.walker_mesh", lambda walkers: walker_mesh(walkers, 1))
    train(once, out, resume=True)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "was on 2 cpu devices and goes on with 1 cpu device" in said


def test_half_an_event_stays_alone(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    log.record("one", 1, "first")
    with log.path.open("ab") as handle:
        handle.write(b'{"event": "cut')
    log.record("two", 2, "second")
    lines = log.path.read_text().splitlines()
    assert [json.loads(lines[i])["event"] for i in (0, 2)] == ["one", "two"] and len(lines) == 3


# Other processes

HOLD = """
import sys, time
from pathlib import Path
from qernel.training.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_one_process_at_a_time(fake: Callable[[Step], None], tmp_path: Path) -> None:
    """A second process is refused; one that was killed leaves no lock behind."""
    once = settings(iterations=4)
    out = train(once, tmp_path / "run")
    before = hashes(out)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", HOLD, str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        try:
            with pytest.raises(RunError, match="another process is training in"):
                train(once, out, resume=True)
            empty = tmp_path / "empty"
            empty.mkdir()
            assert hashes(out) == before
        finally:
            other.kill()
    train(once, out, resume=True)


def test_a_folder_with_only_a_lock_is_empty(fake: Callable[[Step], None], tmp_path: Path) -> None:
    """A run killed before its first checkpoint does not block the next one; files of the user do."""
    out = tmp_path / "run"
    out.mkdir()
    (out / LOCK_FILE).touch()
    (out / "checkpoint-000000000.safetensors.partial").write_bytes(b"half")
    train(settings(iterations=2), out)
    assert not list(out.glob("*.partial"))
    other = tmp_path / "other"
    other.mkdir()
    (other / CONFIG_FILE).write_text("mine")
    with pytest.raises(RunError, match="not empty"):
        train(settings(iterations=2), other)
    assert hashes(other).keys() == {CONFIG_FILE}


# The watchdog


def test_a_step_that_hangs_is_noticed(fake: Callable[[Step], None], tmp_path: Path) -> None:
    """While the main thread is blocked; what is on the disk is resumed."""
    step, released, said = jax.jit(pretended), threading.Event(), []

    def hangs(state: TrainState) -> tuple[TrainState, StepInfo]:
        if int(state.iteration) == 6 and not released.wait(30.0):
            pytest.fail("the watchdog slept")
        return step(state)

    def stalled(message: str) -> None:
        said.append(message)
        released.set()

    once = settings(checkpoint_every=4, stall_limit_s=1.0)
    fake(hangs)
    train(once, tmp_path / "run", on_stall=stalled)
    assert len(said) == 1 and "no step was completed" in said[0] and "--resume" in said[0]
    assert [event["event"] for event in events(tmp_path / "run")] == ["stall"]


STALL = """
import sys, time
from pathlib import Path
from qernel.training.watchdog import Watchdog, end_process
with Watchdog(0.2, lambda limit: end_process(f"nothing for {limit:.1f} s")) as watchdog:
    for _ in range(3):
        watchdog.beat()
    time.sleep(60)
"""


def test_the_process_ends_with_a_code_of_its_own() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", STALL], env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 75 and ended.stderr == "\nqernel: nothing for 0.2 s\n"


def test_slow_steps_are_no_stall() -> None:
    """Neither are long ones among equals, nor a first one that is compiled."""
    stalled: list[float] = []
    with Watchdog(0.05, stalled.append) as watchdog:
        time.sleep(0.3)
        watchdog.beat()
        time.sleep(0.1)
        watchdog.beat()
        assert watchdog.limit > 1.0
        time.sleep(0.3)
        watchdog.beat()
    assert stalled == []


def test_switched_off() -> None:
    with Watchdog(0.0, lambda _: pytest.fail("called")):
        time.sleep(0.05)


def test_stopping_in_trouble_keeps_the_good_state(fake: Callable[[Step], None], tmp_path: Path) -> None:
    step = wild(range(8, 20), once=False)

    def stopped(state: TrainState) -> tuple[TrainState, StepInfo]:
        new, info = step(state)
        if int(new.iteration) == 9:
            os.kill(os.getpid(), 15)
        return new, info

    fake(stopped)
    monitor_warm_up, monitor.WARM_UP = monitor.WARM_UP, 3
    try:
        with pytest.raises(Interrupted):
            train(settings(), tmp_path / "run")
    finally:
        monitor.WARM_UP = monitor_warm_up
    assert newest(tmp_path / "run").stem.endswith("007")
