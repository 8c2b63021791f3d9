"""Training in two processes: what launchers say, and that the numbers are those of one process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qernel import runtime
from qernel.config import load_config
from qernel.errors import QernelError
from qernel.training.folder import METRICS_FILE
from runs import TINY, checkpoints, newest, same_state

SOURCE = Path(__file__).parents[1] / "src"
LAUNCHERS = {
    "by hand": (
        {"JAX_COORDINATOR_ADDRESS": "node7:1234", "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": "1"},
        "node7:1234",
    ),
    "torchrun": ({"MASTER_ADDR": "node7", "MASTER_PORT": "29500", "WORLD_SIZE": "2", "RANK": "1"}, "node7:29501"),
    "srun": (
        {"SLURM_JOB_ID": "8195", "SLURM_STEP_NODELIST": "node[07-09,12]", "SLURM_NTASKS": "2", "SLURM_PROCID": "1"},
        "node07:61443",
    ),
    "srun, one node": (
        {"SLURM_JOB_ID": "1", "SLURM_STEP_NODELIST": "gpu-a3,b4", "SLURM_NTASKS": "2", "SLURM_PROCID": "1"},
        "gpu-a3:61441",
    ),
}


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for variables, _ in LAUNCHERS.values():
        for name in variables:
            monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", LAUNCHERS)
def test_launchers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variables, address = LAUNCHERS[name]
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    assert runtime.launched() == (address, 2, 1)
    count = next(key for key in variables if key in ("JAX_NUM_PROCESSES", "WORLD_SIZE", "SLURM_NTASKS"))
    monkeypatch.setenv(count, "1")
    with pytest.raises(QernelError, match=count):
        runtime.launched()
    monkeypatch.setenv(list(variables)[-1], "0")
    assert runtime.launched() is None, "one process is alone"


def test_no_launcher() -> None:
    assert runtime.launched() is None


def children(folder: Path, out: str, count: int, devices: int, *options: str) -> list[subprocess.Popen[str]]:
    """The processes of one run, started by hand."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "PYTHONPATH": str(SOURCE),
        "QERNEL_DEVICES": str(devices),
        "XLA_FLAGS": "",
        "JAX_COMPILATION_CACHE_DIR": str(folder / "cache"),
    }
    if count > 1:
        environment |= {"JAX_COORDINATOR_ADDRESS": f"localhost:{port}", "JAX_NUM_PROCESSES": str(count)}
    command = [sys.executable, "-m", "qernel.cli", "train", "tiny.toml", "--out", out, *options]
    return [
        subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, "JAX_PROCESS_ID": str(index)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(count)
    ]


def ended(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Exit code, standard output without the greeting of the collectives library, standard error."""
    said = [process.communicate(timeout=900) for process in processes]
    heard = ["".join(line for line in out.splitlines(True) if not line.startswith("[Gloo]")) for out, _ in said]
    return [(process.returncode, out, err) for process, out, (_, err) in zip(processes, heard, said, strict=True)]


@pytest.mark.slow
def test_two_processes_give_the_numbers_of_one(tmp_path: Path) -> None:
    """Two processes with a device each against one with two devices; stopped by a signal to either, and resumed."""
    settings = {**TINY["train"], "iterations": 300, "checkpoint_every": 40}
    config = load_config({**TINY, "model": {"ansatz": "slater"}, "train": settings})
    (tmp_path / "tiny.toml").write_text(config.to_toml())
    ((code, _, err),) = ended(children(tmp_path, "one", 1, 2))
    assert code == 0, err

    two = children(tmp_path, "two", 2, 1)
    end = time.monotonic() + 600
    while len(checkpoints(tmp_path / "two")) < 2:
        assert time.monotonic() < end and two[0].poll() is None
        time.sleep(0.1)
    two[1].send_signal(signal.SIGTERM)
    (first, _, err), (second, out, _) = ended(two)
    assert first == 143 and "--resume" in err and second == 0 and out == ""
    results = ended(children(tmp_path, "two", 2, 1, "--resume"))
    assert [code for code, _, _ in results] == [0, 0], results
    assert "trained to iteration" in results[0][1] and results[1][1] == ""
    same_state(newest(tmp_path / "one"), newest(tmp_path / "two"))
    assert (tmp_path / "one" / METRICS_FILE).read_bytes() == (tmp_path / "two" / METRICS_FILE).read_bytes()


@pytest.mark.slow
def test_a_refusal_reaches_every_process(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(load_config({**TINY, "model": {"ansatz": "slater"}}).to_toml())
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").touch()
    (first, _, err), (second, out, _) = ended(children(tmp_path, "taken", 2, 1))
    assert first == 2 and "not empty" in err and second == 0 and out == ""
