"""`qernel compare`: with a stubbed trainer what is written and taken up again; two tiny models for real (slow)."""

from __future__ import annotations

import csv
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest
import tomlkit

import qernel
from qernel.cli import main
from qernel.comparison import runs, work
from qernel.comparison.clock import CLOCK_FILE, read
from qernel.comparison.conditions import UNLIMITED, Budget, Entry
from qernel.config import Config
from qernel.errors import Interrupted
from qernel.training import report
from qernel.training.tensors import write_tensors
from runs import TINY, newest, pretended, settings

LAM = (0.5, 0.75, 1.0)
SCALE = {"qernel": 2.0, "psiformer": 8.0}


def parameters(config: Config) -> tuple[int, int]:
    """A model of width w has 100 w parameters."""
    return 100 * config.model.width, 50 * config.model.width


def excess(config: Config, iteration: int) -> float:
    """Falls with size and time: scale/(parameters)^½ · (1 + 10/iteration), a little apart for each seed."""
    seed = 1 + 0.01 * (config.train.seed - 2)
    return SCALE[config.model.ansatz] / parameters(config)[0] ** 0.5 * (1 + 10 / iteration) * seed


class Stub:
    """Stands in for training and measuring: every checkpoint has a known energy; notes what it was asked to do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trained: list[str] = []
        self.measured: list[str] = []
        self.interrupt_at = -1
        monkeypatch.setattr(work, "train_run", self.train)
        monkeypatch.setattr(runs, "measure_checkpoint", self.measure)
        monkeypatch.setattr(work, "parameters_of", parameters)

    def train(self, config: Config, path: Path, seconds: float | None, _: Any = None) -> None:
        if len(self.trained) == self.interrupt_at:
            self.interrupt_at = -1
            raise Interrupted("stopped at iteration 3 of 8", path, signal.SIGINT)
        self.trained.append(f"{path.parent.name} {path.name}")
        path.mkdir(parents=True)
        for iteration in (10, 20, 40, 80):
            metadata = {"fingerprint": config.fingerprint(), "finished": json.dumps(iteration == 80)}
            write_tensors(path / f"checkpoint-{iteration:09d}.safetensors", {"average": np.ones(2)}, metadata)
        # A step takes as many milliseconds as the model has parameters.
        rows = [f"{i},{i * parameters(config)[0] / 1000:.3f}" for i in (1, 80)]
        (path / CLOCK_FILE).write_text("\n".join(["iteration,seconds", *rows, ""]))

    def measure(
        self, config: Config, path: Path, label: str, sampling: Any, _: Any
    ) -> list[tuple[float, float, float]]:
        self.measured.append(f"{label} {path.name}")
        iteration = int(path.stem.rpartition("-")[2])
        return [(-10.0 * lam + excess(config, iteration), 1e-4, 1.01) for lam in sampling.lam]


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Stub:
    return Stub(monkeypatch)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Writes a configuration file and gives its path."""

    def to_file(name: str, model: dict[str, Any], **sections: Any) -> str:
        table: dict[str, Any] = {key: {**TINY[key], **sections.get(key, {})} for key in TINY}
        table["model"] = {**TINY["model"], **model}
        path = tmp_path / f"{name}.toml"
        path.write_text(tomlkit.dumps(table))
        return str(path)

    return to_file


@pytest.fixture
def four(write: Callable[..., str]) -> list[str]:
    """Two sizes of each ansatz."""
    return [
        write(f"{ansatz}-{width}", {"ansatz": ansatz, "width": width})
        for ansatz, widths in (("qernel", (4, 16)), ("psiformer", (16, 160)))
        for width in widths
    ]


def reference(folder: Path) -> str:
    path = folder / "exact.csv"
    path.write_text("lam,energy,energy_error\n" + "".join(f"{lam},{-10 * lam},0.00001\n" for lam in (*LAM, 3.0)))
    return str(path)


EXCESS = 2.0 / 20 * 1.125
"""Of the smallest model, as the stub has it."""


def test_what_a_comparison_reports(
    stub: Stub,
    four: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    line = ["compare", *four, "--reference", reference(tmp_path), "--out", str(out), "--seeds", "1", "2", "3"]
    assert main([*line, "--json"]) == 0
    # All models with one seed before any with the next.
    assert stub.trained[:5] == [f"{n} seed-1" for n in ("qernel-4", "qernel-16", "psiformer-16", "psiformer-160")] + [
        "qernel-4 seed-2"
    ]
    has_the_numbers(json.loads(capsys.readouterr().out))
    has_the_files(out)
    is_drawn_and_reported(out, tmp_path)
    capsys.readouterr()

    monkeypatch.setattr("qernel.plots.style.save", lambda *_: None)
    # Once more: nothing is trained or measured again. Other λ are only measured.
    trained, measured = len(stub.trained), len(stub.measured)
    assert main(line) == 0
    printed = capsys.readouterr().out
    assert (len(stub.trained), len(stub.measured)) == (trained, measured)
    assert "0.11250(" in printed and "parameters at equal accuracy, qernel over psiformer: 0.0625" in printed
    assert main([*line, "--lam", "0.75"]) == 0
    assert len(stub.trained) == trained and len(stub.measured) == 2 * measured
    # A further seed is only added.
    assert main([*line, "4", "--points", "1"]) == 0
    assert len(stub.trained) == trained + 4


def has_the_numbers(data: dict[str, Any]) -> None:
    assert data["lam"] == list(LAM) and data["reference"]["exact"]
    assert data["conditions"]["iterations"] == 8 and data["conditions"]["seeds"] == [1, 2, 3]
    first = data["models"][0]
    assert (first["label"], first["parameters"], first["active_parameters"]) == ("qernel-4", 400, 200)
    assert first["seconds"] == pytest.approx(32.0)
    assert first["mean_excess"]["value"] == pytest.approx(EXCESS)
    # Seeds 1 % apart; sampling and reference add little.
    assert first["mean_excess"]["error"] == pytest.approx(0.01 * EXCESS / 3**0.5, rel=0.01)
    assert [point["iterations"] for point in first["curve"]] == [10, 20, 40, 80]
    assert first["curve"][0]["mean_excess"]["value"] == pytest.approx(2.0 / 20 * 2)
    ratios = {row["cost"]: row for row in data["ratios"]}
    assert ratios["parameters"]["of"] == "qernel" and ratios["parameters"]["over"] == "psiformer"
    assert ratios["parameters"]["value"] == pytest.approx((2.0 / 8.0) ** 2, rel=1e-6)
    assert ratios["parameters"]["low"] < 1 / 16 < ratios["parameters"]["high"] < 1 / 14
    assert ratios["active_parameters"]["value"] == pytest.approx(1 / 16, rel=1e-6)
    assert 0 < ratios["seconds"]["value"] < 0.2


def has_the_files(out: Path) -> None:
    files = {path.name for path in out.iterdir()}
    assert files == {
        "budget.json",
        "runs",
        "models.csv",
        "energies.csv",
        "comparison.nc",
        "comparison.json",
        *(
            f"accuracy-{key}.{kind}"
            for key in ("parameters", "active_parameters", "seconds")
            for kind in ("png", "pdf")
        ),
    }
    rows = list(csv.DictReader((out / "energies.csv").read_text().splitlines()))
    assert len(rows) == 12 and float(rows[0]["excess"]) == pytest.approx(EXCESS)
    stored = qernel.open(out / "comparison.nc")
    assert stored["mean_excess"].sel(model="qernel-4").values[-1] == pytest.approx(EXCESS)


def is_drawn_and_reported(out: Path, folder: Path) -> None:
    assert main(["plot", "accuracy", str(out / "comparison.nc"), "--out", str(folder / "again")]) == 0
    assert len(list((folder / "again").iterdir())) == 6
    assert main(["report", str(out), "--out", str(folder / "report.html")]) == 0
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Comparison" in page and "<td>0.0625</td>" in page and "excess energy of compared models" in page


def test_an_interrupted_comparison_goes_on(
    stub: Stub, four: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["compare", *four[:2], "--seeds", "1", "2", "--iterations", "5", "--out", str(tmp_path / "out")]
    stub.interrupt_at = 2
    assert main(line) == 130
    err = capsys.readouterr().err
    assert "everything is saved; to go on: qernel compare" in err and "qernel train" not in err
    assert main(line) == 0
    assert sorted(stub.trained) == sorted(f"qernel-{n} seed-{s}" for n in (4, 16) for s in (1, 2))
    out = capsys.readouterr().out
    assert "NOT exact: lowest energy found: qernel-16 at λ = 0.5" in out


def test_misuse(stub: Stub, four: list[str], write: Callable[..., str], tmp_path: Path, capsys: Any) -> None:
    out = ["--out", str(tmp_path / "out")]
    odd = write("odd", {"width": 8}, train={"learning_rate": 0.2})
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("")
    cases = (
        ([four[0], odd, *out], "train.learning_rate = 0.05 in qernel-4 and 0.2 in odd"),
        ([four[0], four[0], *out], "two configurations are called 'qernel-4'"),
        ([four[0], *out, "--seeds", "1", "1"], "each seed may be given once"),
        ([four[0], *out, "--budget-s", "5", "--iterations", "5"], "not allowed with"),
        ([four[0], *out, "--reference", str(tmp_path / "none.json")], "cannot be read"),
        ([four[0], *out, "--reference", reference(tmp_path), "--lam", "0.6"], "no energy at λ = 0.6"),
        ([four[0], "--out", str(tmp_path / "full")], "is no comparison"),
        (["none.toml", *out], "none.toml"),
    )
    for line, words in cases:
        assert main(["compare", *line]) == 2
        err = capsys.readouterr().err
        assert words in err and err.count("\n") == 1, err
    assert not stub.trained and not (tmp_path / "out").exists()
    assert main(["compare", four[0], odd, *out, "--allow", "train.learning_rate", "--seeds", "1"]) == 0
    assert main(["compare", four[0], *out, "--budget-s", "5"]) == 2
    assert "holds a comparison with the budget" in capsys.readouterr().err


def test_a_budget_of_seconds_is_kept_through_an_interruption(
    fake: Callable[[Any], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose steps take a second each, stopped after the fourth, ends when both sessions together used ten."""
    now, done = [0.0], [0]
    step = jax.jit(pretended)

    def slowly(state: Any) -> Any:
        now[0] += 1.0
        done[0] += 1
        if done[0] == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return step(state)

    fake(slowly)
    monkeypatch.setattr(report, "time", SimpleNamespace(monotonic=lambda: now[0]))
    asked = ([Entry("slater", "slater", settings())], [1], Budget(UNLIMITED, 10.0), tmp_path, "qernel compare it")
    with pytest.raises(Interrupted, match="to go on: qernel compare it"):
        work.train_all(*asked)
    path = runs.folder(tmp_path, "slater", 1)
    assert read(path)[-1] == (4, 3.0)
    work.train_all(*asked)
    # The first step of each session is compiled, and does not count.
    assert read(path)[-1] == (12, 10.0) and newest(path).stem == "checkpoint-000000012"
    made = done[0]  # with one more at the end, which only measures
    work.train_all(*asked)
    assert done[0] == made == 13


@pytest.mark.slow
def test_two_tiny_models(write: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything for real: equal numbers of steps, energies not below the exact one, a second call that only reads."""
    configs = [
        write(ansatz, {"ansatz": ansatz, "width": 8}, train={"iterations": 30}) for ansatz in ("qernel", "psiformer")
    ]
    exact = Path(__file__).parents[1] / "studies" / "exact" / "few_electrons.json"
    line = [
        "compare",
        *configs,
        "--seeds",
        "1",
        "--points",
        "1",
        "--reference",
        str(exact),
        "--out",
        str(tmp_path / "out"),
    ]
    assert main([*line, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    for model in data["models"]:
        assert model["iterations"] == 32 and model["seconds"] > 0
        assert 0 < model["active_parameters"] <= model["parameters"]
        # Eight walkers and 30 steps learn little; no state lies below the ground state.
        excess = model["mean_excess"]
        assert -4 * excess["error"] < excess["value"] < 100 and 0 < excess["error"] < 10
    assert data["lam"] == [1.0] and data["reference"]["exact"]
    assert data["models"][0]["active_parameters"] < data["models"][0]["parameters"]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "runs").rglob("*") if path.is_file()}
    assert main([*line, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["models"] == data["models"]
    assert before == {
        path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "runs").rglob("*") if path.is_file()
    }


@pytest.mark.slow
def test_a_budget_of_seconds_ends_a_run(write: Callable[..., str], tmp_path: Path, capsys: Any) -> None:
    line = ["compare", write("q", {"width": 8}, train={"checkpoint_every": 10}), "--seeds", "1", "--budget-s", "2"]
    assert main([*line, "--lam", "1", "--points", "1", "--json", "--out", str(tmp_path / "out")]) == 0
    model = json.loads(capsys.readouterr().out)["models"][0]
    assert 2.0 <= model["seconds"] < 3.0 and model["iterations"] > 5
