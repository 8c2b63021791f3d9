"""Jobs for SLURM: what is written and submitted, what is refused, and that a stopped job ends as if it had not been."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from qernel.cli import main
from qernel.cluster.job import SCRIPT
from qernel.cluster.resources import seconds
from qernel.config import load_config
from qernel.training.folder import METRICS_FILE
from runs import TINY, checkpoints, newest, same_state
from slurm import Slurm, sbatch_options

SOURCE = Path(__file__).parents[1] / "src"


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    """A SLURM on PATH; the test runs in an empty folder beside it."""
    cluster = Slurm(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{cluster.commands}:{os.environ['PATH']}")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return cluster


def test_a_grid_of_studies_becomes_an_array(slurm: Slurm, capsys: pytest.CaptureFixture[str]) -> None:
    line = "submit n2 n6 train scan --seeds 1 2 --vary model.film=true,false --set train.iterations=50 --json"
    line += " --time 4:00:00 --nodes 2 --tasks-per-node 4 --cpus-per-task 6 --gpus-per-task 1 --partition gpu --mem 40G"
    assert main([*line.split(), "--at-once", "3", "--sbatch", "exclude=node7", "--setup", "module load cuda"]) == 0
    out = Path("jobs/n2").absolute()
    printed = json.loads(capsys.readouterr().out)
    assert printed["job"] == slurm.job and printed["script"] == str(out / SCRIPT)
    assert slurm.said("sbatch") == ["--parsable", str(out / SCRIPT)]

    options = sbatch_options(out / SCRIPT)
    wanted = {"array": "0-7%3", "nodes": "2", "ntasks-per-node": "4", "cpus-per-task": "6", "gpus-per-task": "1"}
    wanted |= {
        "time": "4:00:00",
        "partition": "gpu",
        "mem": "40G",
        "exclude": "node7",
        "requeue": "",
        "chdir": str(out),
    }
    wanted |= {"signal": "USR2@300", "open-mode": "append", "job-name": "qernel-n2"}
    assert wanted.items() <= options.items()
    script = (out / SCRIPT).read_text()
    assert subprocess.run(["bash", "-n", out / SCRIPT]).returncode == 0
    assert script.index("module load cuda") < script.index("-m qernel.cli train") < script.index("-m qernel.cli scan")
    assert "--ntasks=8" in script and "QERNEL_DEVICES" not in script

    rows = [row.split("\t") for row in (out / "studies.tsv").read_text().splitlines()]
    assert [row[0] for row in rows] == printed["studies"] and len(set(printed["studies"])) == 8
    expected = [(name, seed, film) for name in ("n2", "n6") for seed in (1, 2) for film in ("true", "false")]
    for (study, run, lam), (name, seed, film) in zip(rows, expected, strict=True):
        config = load_config(out / "configs" / f"{study}.toml")
        assert config == load_config(name, ["train.iterations=50", f"train.seed={seed}", f"model.film={film}"])
        assert run == f"runs/{study}"
        low, high = config.family.lam
        assert lam == f"{low:g}:{high:g}:21"


def test_a_dry_run_submits_nothing(
    slurm: Slurm, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # not even where there is no SLURM
    assert main(["submit", "n2", "--out", "mine", "--dry-run"]) == 0
    script = Path("mine").absolute() / SCRIPT
    assert f"{script}: written" in capsys.readouterr().out and slurm.said("sbatch") == []
    assert sbatch_options(script)["array"] == "0-0"


def test_shipped_models_can_be_scanned(slurm: Slurm) -> None:
    assert main(["submit", "n6", "scan", "--lam", "0.4:1.4:3", "0.7", "--out", "mine"]) == 0
    assert Path("mine/studies.tsv").read_text() == "0-n6\tn6\t0.4 0.9 1.4 0.7\n"
    assert "-m qernel.cli train" not in Path("mine", SCRIPT).read_text()


WRONG = [
    (["n7"], "no configuration file n7"),
    (["train"], "name a configuration"),
    (["n2", "scan", "train"], "before it is scanned"),
    (["n2", "train", "train"], "once"),
    (["n2", "scan"], "neither a run folder nor a shipped model"),
    (["n6", "scan", "--seeds", "1"], "add the step train"),
    (["n2", "--seeds", "1", "1"], "the same calculation"),
    (["n2", "--seeds", "1", "--vary", "train.seed=2,3"], "train.seed is varied twice"),
    (["n2", "--seeds", "-1"], "'-1'"),
    (["n2", "--vary", "model.width=8,8"], "a value twice"),
    (["n2", "--vary", "width=8,16"], "'width=8,16' is not SECTION.KEY=VALUE"),
    (["n2", "--vary", "model.width=8,0"], "model.width = 0"),
    (["n2", "--vary", f"train.seed={','.join(map(str, range(1001)))}"], "1001 studies"),
    (["n2", "--set", "model.depth=3"], "model.depth"),
    (["n2", "--time", "soon"], "'soon' is not a time limit"),
    (["n2", "--time", "8", "--warning", "300"], "--warning 300 is more than half of --time 8"),
    (["n2", "--tasks-per-node", "5"], "cannot be shared out among 5 processes"),
    (["n2", "--partition", "a b"], "'a b' is not a value for sbatch"),
    (["n2", "--mem", "1G\n#SBATCH --uid=0"], "is not a value for sbatch"),
    (["n2", "--sbatch", "exclude"], "'exclude' is not NAME=VALUE"),
    (["n2", "--nodes", "0"], "'0'"),
    (["n2", "--out", "a b"], "choose another --out"),
    (["n2", "--out", "taken"], "taken already exists and is not empty"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=[" ".join(arguments)[:40] for arguments, _ in WRONG])
def test_mistakes_are_one_sentence_and_write_nothing(
    arguments: list[str], words: str, slurm: Slurm, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("taken").mkdir()
    Path("taken", "mine").write_text("mine")
    assert main(["submit", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("qernel: error: ") and err.count("\n") == 1 and words in err, err
    assert [str(path) for path in sorted(Path().rglob("*"))] == ["taken", "taken/mine"]
    assert slurm.said("sbatch") == []


def test_without_slurm_or_its_consent_nothing_is_written(
    slurm: Slurm, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm.refuse("sbatch: error: invalid partition specified: nowhere\nsbatch: error: Batch job submission failed\n")
    assert main(["submit", "n2", "--partition", "nowhere"]) == 2
    assert "invalid partition specified: nowhere" in capsys.readouterr().err
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["submit", "n2"]) == 2
    assert "there is no sbatch on this machine" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "pysqa", None)
    assert main(["submit", "n2"]) == 2
    assert "pip install 'qernel[cluster]'" in capsys.readouterr().err
    assert not list(Path("jobs").glob("*"))


@pytest.mark.parametrize(
    ("text", "value"),
    [("90", 5400), ("90:30", 5430), ("4:00:00", 14400), ("2-12", 216000), ("1-0:30", 88200), ("1-1:0:1", 90001)],
)
def test_time_limits(text: str, value: int) -> None:
    assert seconds(text) == value


TRAIN, MEASURED = 0, 1


def test_models_for_every_size_are_scanned_where_they_are_asked(slurm: Slurm, tmp_path: Path) -> None:
    line = "submit lem scan --lam 1 --electrons 6 --supercell 3,0,0,3 --twist=1/2,0 --dry-run --out mine"
    assert main(line.split()) == 0
    (step,) = [text for text in Path("mine", SCRIPT).read_text().splitlines() if "-m qernel.cli scan" in text]
    assert step.endswith("--lam $lam --electrons=6 --supercell=3,0,0,3 --twist=0.5,0")


@pytest.mark.parametrize(
    ("codes", "restarts", "code", "again"),
    [
        ([0, 0], 0, 0, False),
        ([140, 0], 0, 140, True),  # the time limit
        ([75, 0], 1, 75, True),  # the watchdog
        ([140, 0], 3, 140, False),  # as often as --requeues allows
        ([143, 0], 0, 143, False),  # scancel; after a preemption SLURM itself queues the job again
        ([2, 0], 0, 2, False),
        ([0, 140], 0, 140, True),  # both go on where they were
    ],
)
@pytest.mark.parametrize("step", ["scan", "hf"])
def test_which_jobs_are_queued_again(
    step: str,
    codes: list[int],
    restarts: int,
    code: int,
    again: bool,
    slurm: Slurm,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The script with a stand-in for Python that notes its arguments and ends as told."""
    python = tmp_path / "python"
    answers = f"case $3 in train) exit {codes[TRAIN]};; *) exit {codes[MEASURED]};; esac"
    python.write_text(f'#!/bin/bash\necho "$QERNEL_DEVICES" "$@" >> {tmp_path}/calls\n{answers}\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.delenv("QERNEL_DEVICES", raising=False)
    line = f"submit n2 train {step} --seeds 4 5 --requeues 3 --cpus-per-task 5 --lam 0.5 --out mine"
    assert main(line.split()) == 0
    job = slurm.start(Path("mine", SCRIPT).absolute(), 1, restarts)
    assert job.wait(60) == code
    assert slurm.said("scontrol") == ([f"requeue {slurm.job}_1"] if again else [])
    calls = (tmp_path / "calls").read_text().splitlines()
    # 48 walkers: four devices share them evenly, five do not.
    assert calls[0] == "4 -m qernel.cli train configs/1-n2-seed=5.toml --out runs/1-n2-seed=5 --auto-resume"
    subject, record = {
        "scan": ("runs/1-n2-seed=5", "energies.json"),
        "hf": ("configs/1-n2-seed=5.toml", "hartree_fock.json"),
    }[step]
    measured = [f" -m qernel.cli {step} {subject} --out {step}/1-n2-seed=5 --lam 0.5"]
    assert calls[1:] == (measured if codes[TRAIN] == 0 else [])

    if code == 0:  # what is complete is not measured again
        Path(f"mine/{step}/1-n2-seed=5").mkdir(parents=True)
        Path(f"mine/{step}/1-n2-seed=5/{record}").touch()
        assert slurm.start(Path("mine", SCRIPT).absolute(), 1).wait(60) == 0
        assert len((tmp_path / "calls").read_text().splitlines()) == 3


def until(condition: Callable[[], bool], job: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < end and job.poll() is None
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGUSR2, 140), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("tasks", [1, 2])
def test_a_stopped_job_ends_like_one_that_was_not(
    number: signal.Signals, code: int, tasks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told to stop before its limit, or preempted, and started again: the same files as in one go.

    Of two processes one alone gets the signal in time, which has to be enough for the right exit code.
    """
    with socket.socket() as probe:  # the port that the processes will agree on follows from the job's number
        probe.bind(("localhost", 0))
        job = 4096 * 10 + probe.getsockname()[1] % 4096
    slurm = Slurm(tmp_path / "slurm", job)
    monkeypatch.setenv("PATH", f"{slurm.commands}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    settings = {**TINY["train"], "iterations": 300, "checkpoint_every": 40}
    config = load_config({**TINY, "model": {"ansatz": "slater"}, "train": settings})
    Path("tiny.toml").write_text(config.to_toml())
    variables = {"PYTHONPATH": str(SOURCE), "XLA_FLAGS": "", "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache")}
    for name in ("whole", "stopped"):
        assert main(["submit", "tiny.toml", "--out", name, "--tasks-per-node", str(tasks)]) == 0
    whole, stopped = (Path(name).absolute() / SCRIPT for name in ("whole", "stopped"))

    assert slurm.start(whole, **variables).wait(600) == 0
    run = Path("stopped/runs/0-tiny")
    child = slurm.start(stopped, **variables)
    until(lambda: len(checkpoints(run)) >= 2, child)
    os.kill(int(slurm.said("tasks")[0].split()[-1]), number)
    assert child.wait(600) == code
    assert slurm.said("scontrol") == ([f"requeue {job}_0"] if number == signal.SIGUSR2 else [])
    assert slurm.start(stopped, restarts=1, **variables).wait(600) == 0
    log = Path(f"stopped/logs/{job}_0.log").read_text()
    assert "stopped at iteration" in log and "trained to iteration" in log and "Traceback" not in log
    same_state(newest(Path("whole/runs/0-tiny")), newest(run))
    assert (run / METRICS_FILE).read_bytes() == Path("whole/runs/0-tiny", METRICS_FILE).read_bytes()
