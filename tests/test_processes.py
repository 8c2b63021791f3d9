"""Training in two processes: what launchers say, and that the numbers are those of one process."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import jax
import pytest

from qernel import launch, runtime, stopping
from qernel.config import load_config
from qernel.errors import QernelError
from qernel.hartree_fock import search
from qernel.measure import load
from qernel.training import processes
from qernel.training.folder import METRICS_FILE
from qernel.training.run import train
from runs import TINY, checkpoints, newest, pretended, same_state, settings

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
    assert launch.launched() == (address, 2, 1)
    count = next(key for key in variables if key in ("JAX_NUM_PROCESSES", "WORLD_SIZE", "SLURM_NTASKS"))
    monkeypatch.setenv(count, "1")
    with pytest.raises(QernelError, match=count):
        launch.launched()
    monkeypatch.setenv(list(variables)[-1], "0")
    assert launch.launched() is None, "one process is alone"


def test_no_launcher() -> None:
    assert launch.launched() is None


def brackets(rng: random.Random) -> tuple[str, str]:
    """Text in brackets, and the first number in it."""
    width = rng.randint(1, 4)
    first = rng.randint(0, 9)
    parts = [f"{first:0{width}}", f"{first:0{width}}-{first + 3:0{width}}"][rng.randint(0, 1) :][:1]
    parts += [rng.choice(["12", "20-31", "0400"]) for _ in range(rng.randint(0, 2))]
    return f"[{','.join(parts)}]", f"{first:0{width}}"


def test_first_hosts_of_slurm_lists() -> None:
    """Lists put together at random, of names with several brackets, with text before, between and after them."""
    rng = random.Random(1)
    for _ in range(300):
        written, expected = "", ""
        for _ in range(rng.randint(1, 3)):
            text = rng.choice(["n", "a-b", "gpu0", "x.example.org", "r1-"])
            inside, number = brackets(rng)
            written, expected = written + text + inside, expected + text + number
        ending = rng.choice(["", "-ib", "x", ".local"])
        others = rng.choice(["", ",b4", ",c[1-2],d", ",[3-4]"])
        assert launch.first_host(written + ending + others) == expected + ending
    assert launch.first_host("a[1-3,7]b[01-02]-x") == "a1b01-x"
    assert launch.first_host("node1,node[2-3]") == "node1"


@pytest.mark.parametrize(
    "nodes",
    ["", ",", "a[", "a[]", "a[1-]", "a[1", "a]1", "a[b-c]", "a[1,[2-3]]", "a[1-[2-3]]", "a[1-3,]", "a b", "a[1]]"],
)
def test_what_is_no_host_list(nodes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"SLURM_JOB_ID": "8", "SLURM_STEP_NODELIST": nodes, "SLURM_NTASKS": "2", "SLURM_PROCID": "1"}
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(QernelError, match=r"SLURM_STEP_NODELIST = .* is no list of hosts"):
        launch.launched()


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("by hand", "JAX_COORDINATOR_ADDRESS", "node7"),
        ("by hand", "JAX_COORDINATOR_ADDRESS", "node7:http"),
        ("by hand", "JAX_COORDINATOR_ADDRESS", ":99"),
        ("torchrun", "MASTER_PORT", "65535"),
        ("torchrun", "MASTER_PORT", "-1"),
        ("srun", "SLURM_JOB_ID", "8_1"),
    ],
)
def test_addresses_that_are_none(name: str, key: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for other, given in LAUNCHERS[name][0].items():
        monkeypatch.setenv(other, given)
    monkeypatch.setenv(key, value)
    with pytest.raises(QernelError, match=f"{key} = '{value}' is not"):
        launch.launched()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port: int = probe.getsockname()[1]
        return port


def test_processes_meet() -> None:
    """Three of them, the first one last, and a stranger in between."""
    address = f"localhost:{free_port()}"
    with ThreadPoolExecutor(3) as pool:
        others = [pool.submit(launch.meet, launch.Launch(address, 3, number), 30.0) for number in (1, 2)]
        time.sleep(0.3)
        first = pool.submit(launch.meet, launch.Launch(address, 3, 0), 30.0)
        with suppress(OSError), socket.create_connection(("localhost", int(address.rpartition(":")[2]))) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n")
        for one in (first, *others):
            one.result(30)


@pytest.mark.parametrize(("number", "missing"), [(0, "processes 1, 2"), (1, "process 0")])
def test_processes_that_stay_alone_say_so(
    number: int, missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launch, "_SAID_S", 0.0)
    for key in ("SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_JOB_ID"):
        monkeypatch.setenv(key, "1")
    with pytest.raises(QernelError, match="or unset SLURM_NTASKS and SLURM_PROCID to"):
        launch.meet(launch.Launch(f"localhost:{free_port()}", 3, number), 1.0)
    assert f"process {number} of 3 waits for {missing} (as SLURM_NTASKS" in capsys.readouterr().err


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("", 0)) as other, pytest.raises(QernelError, match="cannot listen at port"):
        launch.meet(launch.Launch(f"localhost:{other.getsockname()[1]}", 2, 0), 1.0)


def forked(work: Callable[[], object]) -> object:
    """What happens in a process that is forked from this one, in which JAX has started."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX and Python warn of it
        with multiprocessing.get_context("fork").Pool(1) as pool:
            return pool.apply_async(work).get(30)


def test_forked_processes_are_refused(tmp_path: Path) -> None:
    jax.devices()
    runtime.refuse_forked()
    for work in (
        partial(load, "n6"),
        partial(search, load_config("n2").hamiltonian(), [1.0]),
        partial(train, load_config("n2"), tmp_path / "run"),
    ):
        with pytest.raises(QernelError, match="forked after JAX had started"):
            forked(work)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("wanted", ["cuda", "abacus"])
def test_devices_that_are_not_there(wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "JAX_PLATFORMS": wanted, "CUDA_VISIBLE_DEVICES": ""}
    line = [sys.executable, "-m", "qernel.cli", "query", "n6", "--lam", "1", "--fresh"]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and done.stderr.startswith(f"qernel: error: JAX_PLATFORMS = {wanted!r} asks")
    assert done.stderr.count("\n") == 1 and done.stdout == ""
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    runtime.require_platform()


def children(folder: Path, out: str, count: int, devices: int, *options: str) -> list[subprocess.Popen[str]]:
    """The processes of one run, started by hand."""
    port = free_port()
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


def test_a_process_that_follows_is_not_ended_in_the_middle_of_a_step(
    tmp_path: Path, fake: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first process cannot save without it, however long a step takes after a signal."""
    allowed, step = [], jax.jit(pretended)
    monkeypatch.setattr(processes, "first", lambda: False)
    monkeypatch.setattr(processes, "agreed", lambda *flags: (True, False) if len(flags) == 2 else flags)

    def watched(state: Any) -> Any:
        assert stopping._present is not None
        allowed.append(stopping._present.kept)
        return step(state)

    fake(watched)
    with stopping.stop_signals(), stopping.expendable(lambda _: "never said"):
        train(settings(), tmp_path / "run")
    assert len(allowed) > 2 and set(allowed) == {None} and not (tmp_path / "run").exists()


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
    assert first == 143 and "--resume" in err and second == 0 and out == "", (first, err, second, out)
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
