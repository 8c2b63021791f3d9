"""SIGKILL at random moments: whatever a run was doing, it resumes to the very same files."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from qernel.config import load_config
from qernel.training.folder import METRICS_FILE, MODEL_FILE
from qernel.training.lock import LOCK_FILE
from runs import TINY, checkpoints, hashes, newest

SOURCE = Path(__file__).parents[1] / "src"


class Killer:
    """Trains one configuration in child processes, which share a cache of compiled programs.

    The cache changes no number: the reference fills it, the others read it.

    Args:
        folder: for everything.
        ansatz: of the wavefunction.
        iterations: of each run.
    """

    def __init__(self, folder: Path, ansatz: str, iterations: int):
        settings = {**TINY["train"], "iterations": iterations, "checkpoint_every": 3, "keep_checkpoints": 3}
        model = TINY["model"] if ansatz == "qernel" else {"ansatz": ansatz}
        (folder / "tiny.toml").write_text(load_config({**TINY, "model": model, "train": settings}).to_toml())
        self._folder = folder
        self.whole = folder / "whole"
        self._wait(self.start(self.whole))
        # Once more to resume, so that no child that is killed later has anything left to compile.
        begin = time.monotonic()
        again = folder / "again"
        shutil.copytree(self.whole, again)
        newest(again).unlink()
        self._wait(self.start(again))
        self._same(again)
        self.seconds = time.monotonic() - begin

    def start(self, out: Path) -> subprocess.Popen[str]:
        """A child that trains in ``out``, resuming if there is anything to resume."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(SOURCE),
            "QERNEL_DEVICES": "1",
            "XLA_FLAGS": "",
            "JAX_COMPILATION_CACHE_DIR": str(self._folder / "cache"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        resume = ["--resume"] if checkpoints(out) else []
        command = [sys.executable, "-m", "qernel.cli", "train", "tiny.toml", "--out", str(out), *resume]
        return subprocess.Popen(
            command,
            env=environment,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def kill_one(self, out: Path, delay: float, *, writing: bool) -> bool:
        """Train in ``out`` and kill the child after a delay, counted from its first sign of life if ``writing``.

        Returns:
            Whether it was killed; False if it came to its end before, with the files it has to have.
        """
        child = self.start(out)
        before = _written(out)
        if writing:
            _until(lambda: child.poll() is not None or _written(out) != before)
        end = time.monotonic() + delay
        _until(lambda: child.poll() is not None or time.monotonic() > end)
        if child.poll() is None:
            child.kill()
            child.communicate()
            return True
        self._wait(child)
        self._same(out)
        return False

    def finish(self, out: Path) -> None:
        """Train in ``out`` to the end and compare."""
        self._wait(self.start(out))
        self._same(out)

    def _wait(self, child: subprocess.Popen[str]) -> None:
        _, err = child.communicate(timeout=600)
        assert child.returncode == 0, err

    def _same(self, out: Path) -> None:
        """Everything equal to the run that was not interrupted; one checkpoint too many may be left."""
        wanted = {name: digest for name, digest in hashes(self.whole).items() if name != LOCK_FILE}
        found = hashes(out)
        differing = [name for name, digest in wanted.items() if found.get(name) != digest]
        assert not differing
        extra = found.keys() - wanted.keys() - {LOCK_FILE}
        assert len(extra) <= 1 and all(name.startswith("checkpoint-") for name in extra), extra


def _written(out: Path) -> tuple[object, ...]:
    """Changes whenever a run in ``out`` writes."""
    stats = [path.stat() for name in (METRICS_FILE, MODEL_FILE) if (path := out / name).exists()]
    return tuple((stat.st_mtime_ns, stat.st_ino) for stat in stats)


def _until(condition: Callable[[], bool], seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.002)


def series(killer: Killer, folder: Path, kills: int, seed: int) -> tuple[int, int]:
    """Kill again and again; after a few kills a run may end, and the next begins.

    Returns:
        Number of kills and of runs that ended like the one that was not interrupted.
    """
    delays = random.Random(seed)
    done = runs = 0
    while done < kills:
        out = folder / f"run-{runs}"
        for _ in range(min(5, kills - done)):
            # A third of the kills anywhere, start included; the others while the run steps and writes.
            writing = delays.random() < 0.67
            killed = killer.kill_one(out, delays.uniform(0.0, 0.5 if writing else killer.seconds), writing=writing)
            done += killed
            if not killed:
                break
        else:
            killer.finish(out)
        runs += 1
        shutil.rmtree(out)
    return done, runs


def test_two_kills(tmp_path: Path) -> None:
    killer = Killer(tmp_path, "slater", 20)
    for delay in (0.0, 0.1):
        assert killer.kill_one(tmp_path / "run", delay, writing=True)
        assert checkpoints(tmp_path / "run")
    killer.finish(tmp_path / "run")


@pytest.mark.slow
def test_fifty_kills(tmp_path: Path) -> None:
    killer = Killer(tmp_path, "qernel", 100)
    kills, runs = series(killer, tmp_path, 50, seed=7)
    print(f"{kills} kills, {runs} runs ended bit-identically")
    assert kills == 50 and runs >= 10
