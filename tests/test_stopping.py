"""Signals: heard at once even in the middle of compiled work, obeyed between two pieces of it, forced when repeated."""

from __future__ import annotations

import json
import os
import pty
import random
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from inspect import signature
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import pytest

from qernel.cli import main
from qernel.cli.entry import LONG
from qernel.cli.parser import build_parser
from qernel.errors import StopRequested
from qernel.estimators.chains import ChainSampler
from qernel.measure import Model, State
from qernel.stopping import PATIENCE, check, stop_signals, stoppable
from qernel.training.folder import MODEL_FILE, save_model
from qernel.training.run import initial_wavefunction
from runs import newest, settings

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src"

WORK = """
import hashlib, sys
from qernel.errors import StopRequested
from qernel.stopping import check, stop_signals

def compiled(seconds):
    "Work in C that no handler of Python interrupts, as XLA's."
    hashlib.pbkdf2_hmac("sha256", b"", b"", int(seconds * 1e6))

with stop_signals(own_process=True):
    print("begun", flush=True)
    compiled(float(sys.argv[1]))
    print("compiled", file=sys.stderr, flush=True)
    try:
        while True:
            check()
            compiled(0.1)
    except StopRequested as stop:
        sys.exit(128 + stop.signal)
"""

OWN_TERMINAL = "import fcntl, termios; fcntl.ioctl(2, termios.TIOCSCTTY, 0)"

RUN = f"""
import sys, time
sys.path.insert(0, {str(TESTS)!r})
import jax
from qernel.cli import main
from qernel.training import run
from runs import pretended
step = jax.jit(pretended)

def slowly(state):
    time.sleep(0.01)
    return step(state)

run.training_step = lambda *_: slowly
sys.exit(main())
"""
"""The command line, with a step that needs no compilation."""


def started(program: str, *arguments: str, first: str = "", **options: Any) -> subprocess.Popen[str]:
    """Python in a process of its own; ``first`` is run in it before the program.

    (What ``preexec_fn`` is for, without a fork: the process of the tests has threads.)
    """
    environment = {
        **os.environ,
        "PYTHONPATH": str(SOURCE),
        "QERNEL_DEVICES": "1",
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=0",
    }
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(
        [sys.executable, "-c", f"{first}\n{program}", *arguments], env=environment, text=True, **streams
    )


def begun(seconds: float, **options: Any) -> subprocess.Popen[str]:
    """Work that computes for so many seconds at first, on a fast machine."""
    process = started(WORK, str(seconds), **options)
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    return process


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR2", "SIGHUP"])
def test_heard_at_once_and_obeyed_in_time(name: str) -> None:
    """Twice within moments, as shells and launchers do it, is once."""
    number = getattr(signal, name)
    process = begun(0.5)
    process.send_signal(number)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    word = "Ctrl-C" if name == "SIGINT" else name
    assert err == f"\nqernel: {word}: stopping after the present step (again: at once)\ncompiled\n"
    assert process.returncode == 128 + number


def test_a_second_one_ends_whatever_is_done() -> None:
    process = begun(1000.0)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None, "a terminal that closes says so several times"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130 and err.endswith("\nqernel: stopped at once\n")


WAITING = WORK.replace(
    '    print("begun", flush=True)\n',
    """    import time
    from qernel.stopping import expendable
    kept = {"lost": None, "kept": lambda number: f"signal {number}, all is kept"}[sys.argv[2]]
    with expendable(lambda _: "never said"), expendable(kept):
        print("begun", flush=True)
        compiled(float(sys.argv[1]))
        if len(sys.argv) > 3:
            try:
                check()
            except StopRequested:
                time.sleep(4.0)
                sys.exit(5)
""",
)


def waiting(*arguments: str) -> tuple[int, str, float]:
    """Exit code, what was said, and how long it took after a signal."""
    process = started(WAITING, *arguments)
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGTERM)
    begin = time.monotonic()
    _, err = process.communicate(timeout=100)
    return process.returncode, err, time.monotonic() - begin


def test_what_loses_nothing_is_ended_in_the_middle() -> None:
    code, err, seconds = waiting("1000", "kept")
    assert code == 143 and err.endswith("\nqernel: signal 15, all is kept\n")
    assert PATIENCE < seconds < PATIENCE + 10


def test_what_has_something_to_lose_is_not() -> None:
    """It goes on past the patience there is with others, and ends when it asks."""
    code, err, _ = waiting(str(2 * PATIENCE), "lost")
    assert code == 143 and err.endswith("\ncompiled\n")


def test_what_ends_by_itself_is_left_alone() -> None:
    code, err, _ = waiting("0.1", "kept", "slowly")
    assert code == 5 and "all is kept" not in err


def test_a_run_that_is_being_compiled_ends(tmp_path: Path) -> None:
    """With its first state on the disk."""
    (tmp_path / "it.toml").write_text(settings(iterations=3).to_toml())
    program = RUN.replace("time.sleep(0.01)", "time.sleep(1000)")
    process = started(program, "train", str(tmp_path / "it.toml"), "--out", str(tmp_path / "run"))
    assert process.stderr is not None
    while not process.stderr.readline().startswith("compiling the step, about a minute"):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped at iteration 0 of 5, everything is saved; to go on: qernel train" in err and "--resume" in err
    assert int(newest(tmp_path / "run").stem[-9:]) == 0


def test_a_verb_in_a_notebook_stops_between_two_pieces() -> None:
    """Not in the middle of a callback, where the exception would be swallowed."""
    pieces: list[int] = []

    @stoppable
    def work(least: int, *, most: int) -> int:
        for piece in range(most):
            check()
            pieces.append(piece)
            if piece == least:
                os.kill(os.getpid(), signal.SIGINT)
                with suppress(KeyboardInterrupt):
                    time.sleep(0.05)
        return most

    with pytest.raises(StopRequested):
        work(3, most=10)
    assert pieces == [0, 1, 2, 3] and work(7, most=5) == 5
    for verb in (Model.query, Model.scan, Model.map, Model.observe, Model.diagnose, State.energy, State.sample):
        assert signature(verb).parameters and verb.__wrapped__  # type: ignore[attr-defined]


def test_nohup_is_respected() -> None:
    process = begun(0.1, first="import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)")
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 143 and "SIGHUP" not in err


def test_a_library_is_interrupted_by_the_second_one() -> None:
    with stop_signals() as outer, stop_signals() as inner:
        os.kill(os.getpid(), signal.SIGTERM)
        assert outer is inner and outer == [signal.SIGTERM]
        with pytest.raises(StopRequested):
            check()
        time.sleep(0.4)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1.0)
    check()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1.0)


BRIEF = {"validate", "transition", "extrapolate", "plot", "report", "export", "models", "submit", "explore", "grow"}
BRIEF |= {"completion"}
"""Commands that write nothing before they are done, or end by themselves (the server of ``explore``)."""


def test_every_command_has_decided() -> None:
    commands = next(action.choices for action in build_parser()._actions if isinstance(action.choices, dict))
    assert set(commands) == BRIEF | set(LONG)


def killing(after: int) -> Callable[..., None]:
    """A progress that sends a signal when it is called for the n-th time."""
    calls = []

    def progress(*_: Any) -> None:
        calls.append(1)
        assert len(calls) <= after, "went on after the signal"
        if len(calls) == after:
            os.kill(os.getpid(), signal.SIGTERM)

    return progress


def test_chains_stop_after_a_block(start: Any) -> None:
    sampler = ChainSampler(start[0], 8)
    records = sampler.records(
        jnp.array([0.7]), samples=50, moves=2, burn_in=4, seed=1, energies=False, progress=killing(5)
    )
    with stop_signals(), pytest.raises(StopRequested):
        list(records)


def test_a_query_that_stops_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    config, run, sent = settings(), tmp_path / "run", []
    run.mkdir()
    save_model(run / MODEL_FILE, config, initial_wavefunction(config))

    def stop(_: Any, what: str, fraction: float) -> None:
        if "= 0.9" in what and not sent:
            sent.append(fraction)
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("qernel.progress.Bar.__call__", stop)
    command = ["query", str(run), "--samples", "4", "--walkers", "8", "--lam", "0.5", "0.7", "0.9"]
    assert main(command) == 143
    said = capsys.readouterr().err
    assert said.endswith("\nqernel: stopped, kept is λ = 0.5, 0.7; the same question goes on from there\n"), said
    assert main([*command[:-1], "--json"]) == 0
    assert [row["origin"] for row in json.loads(capsys.readouterr().out)["results"]] == ["stored", "stored"]


def test_hartree_fock_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    (tmp_path / "tiny.toml").write_text(settings().to_toml())
    stop = killing(3)
    monkeypatch.setattr("qernel.progress.Bar.__call__", lambda self, what, fraction: stop())
    command = ["hf", str(tmp_path / "tiny.toml"), "--lam", "0.5", "0.9", "--out", str(tmp_path / "hf")]
    assert main(command) == 143
    again = f"qernel {' '.join(command)}"
    assert capsys.readouterr().err == f"\nqernel: stopped, everything is saved; to go on: {again}\n"
    assert (tmp_path / "hf").is_dir()


def training(folder: Path, **options: Any) -> subprocess.Popen[str]:
    """A run in a process of its own, once it has begun to step."""
    (folder / "it.toml").write_text(settings(iterations=100_000, checkpoint_every=10_000).to_toml())
    process = started(RUN, "train", str(folder / "it.toml"), "--out", str(folder / "run"), **options)
    metrics = folder / "run" / "metrics.csv"
    end = time.monotonic() + 120
    while not (metrics.exists() and metrics.read_bytes().count(b"\n") > 3):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    return process


def test_a_closed_terminal_stops_a_run_that_saves(tmp_path: Path) -> None:
    """The system sends SIGHUP, and refuses every word from then on."""
    master, terminal = pty.openpty()
    closing = threading.Event()
    read = threading.Thread(target=_read, args=[master, closing])
    read.start()
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), terminal)
    process = training(tmp_path, **streams, start_new_session=True, first=OWN_TERMINAL)
    os.close(terminal)
    closing.set()
    read.join()
    assert process.wait(60) == 128 + signal.SIGHUP
    assert int(newest(tmp_path / "run").stem[-9:]) > 0


def _read(master: int, closing: threading.Event) -> None:
    """Show what a terminal is sent, as a window does, until it is closed."""
    while not closing.is_set():
        if select.select([master], [], [], 0.05)[0]:
            os.read(master, 4096)
    os.close(master)


def test_a_reader_that_has_left_does_not_keep_a_run_from_saving(tmp_path: Path) -> None:
    """Ctrl-C also ends the ``tee`` that reads what a run says."""
    process = training(tmp_path)
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        stream.close()
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert int(newest(tmp_path / "run").stem[-9:]) > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_ctrl_c_at_any_moment_of_a_measurement(seed: int, tmp_path: Path) -> None:
    """Whatever JAX is doing, the command ends as it should, and a scan goes on from there to the same numbers."""
    delay = random.Random(seed).uniform(3.0, 30.0)
    line = ["scan", "n6", "--lam", "0.5", "1.0", "1.4", "--samples", "20", "--out", str(tmp_path / "scan")]
    program = "import sys; from qernel.cli import main; sys.exit(main())"
    process = started(program, *line, cwd=tmp_path)
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=600)
    assert process.returncode in (0, 130), err
    assert not _unclean(err), err
    assert main(line) == 0
    assert not (tmp_path / "scan" / "unfinished").exists()


def _unclean(err: str) -> Sequence[str]:
    return [word for word in ("Traceback", "ignored", "Segmentation", "Fatal", "internal error") if word in err]
