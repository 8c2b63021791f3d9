"""The command line: what can be typed, what is printed where, exit codes, and files that are never overwritten."""

from __future__ import annotations

import argparse
import csv
import doctest
import json
import os
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qernel import runtime, text
from qernel.cli import entry, main
from qernel.cli.commands import demo
from qernel.cli.parser import COMMANDS, build_parser
from qernel.cli.shared.arguments import flatten, lam_values
from qernel.config import Config, load_config, presets
from qernel.errors import Interrupted, QernelError, RunError
from qernel.estimators.doubts import doubts
from qernel.estimators.quantity import Quantity
from qernel.measure.energies import Energies
from qernel.progress import Bar, Parts, shown
from qernel.storage import open as open_results
from qernel.storage import to_json
from qernel.training.display import TrainingProgress
from qernel.training.progress import COMPLETE, TIME_LIMIT, Progress
from qernel.training.report import Report

SOURCE = Path(__file__).parents[1] / "src"

TINY = """\
[system]
electrons = 2
supercell = [[1, 1], [-1, 2]]
[family]
lam = [0.5, 1.0]
[model]
width = 8
blocks = 1
expert_width = 8
shared_width = 4
conditioning_width = 4
[train]
iterations = 4
burn_in = 2
groups = 2
walkers = 8
moves = 2
[sample]
walkers = 8
burn_in = 20
samples = 20
moves = 2
"""


ENERGIES = {
    "energy": Quantity(-17.64, 0.003, "E0/electron"),
    "kinetic": Quantity(4.0, 0.01, "E0/electron"),
    "moire": Quantity(-9.5, 0.02, "E0/electron"),
    "interaction": Quantity(-12.14, 0.01, "E0/electron"),
    "order_parameter": Quantity(0.2, 0.004),
}
"""What a `FakeModel` measures."""


class FakeModel:
    """Stands in for `qernel.measure.Model`: remembers what it was asked for."""

    def __init__(self, name: str = "n6", **table: Any) -> None:
        self.name = name
        self.config: Config = load_config("n6", [f"{key}={value}" for key, value in table.items()])
        self.hamiltonian = self.config.hamiltonian()
        self.parameters = 15760
        self.card = None
        self.folder = None
        self.moved = None
        self.start = None
        self.training: Progress | None = None
        self.impossible = ""
        self.wavefunction = {"weight": np.ones(3), "name": "not a number"}
        self.ranges = dict(zip(self.hamiltonian.parameters, self.hamiltonian.ranges, strict=True))
        self.asked: list[dict[str, Any]] = []
        self.rhat = 1.001

    def at(self, lam: float, **others: float) -> Any:
        low, high = self.ranges["lam"]
        outside = not low <= lam <= high
        between = any(start < lam < end for start, end in self.hamiltonian.gaps)
        values = {name: {**others, "lam": lam}[name] for name in self.ranges}

        def energy(
            samples: int | None = None, *, progress: Callable[[float], None], keep: Any = None, **settings: Any
        ) -> Energies:
            progress(1.0)
            self.asked.append({"lam": lam, "samples": samples, **settings, **others})
            found = replace(ENERGIES["energy"], doubts=doubts(64, 0.003, self.rhat, 20000.0))
            return Energies(
                lam,
                **{**ENERGIES, "energy": found},
                variance=1.0,
                acceptance=0.5,
                autocorrelation=1.2,
                rhat=self.rhat,
                effective_samples=20000.0,
                extrapolating=outside,
                order_parameter_rhat=1.002,
                in_gap=between,
                impossible=self.impossible,
                values=values,
            )

        return types.SimpleNamespace(lam=lam, extrapolating=outside, in_gap=between, energy=energy, values=values)

    @contextmanager
    def remembering(self, folder: Path) -> Iterator[FakeModel]:
        assert folder.name == "unfinished"
        yield self


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    """A model under the name n6 that costs nothing; every other name is unknown."""
    return install(monkeypatch, FakeModel())


def install(monkeypatch: pytest.MonkeyPatch, fake: FakeModel) -> FakeModel:
    """Make ``fake`` the only model there is."""

    def load(run: str | Path) -> FakeModel:
        if str(run) != fake.name and not Path(run).is_dir():
            raise RunError(f"{run} is no run folder and no shipped model: shipped are {fake.name}")
        return fake

    monkeypatch.setattr("qernel.measure.load", load)
    monkeypatch.setattr("qernel.measure.shipped", lambda: [fake.name])
    monkeypatch.setattr("qernel.measure.shelf.models_folder", lambda: Path("no-models"))
    return fake


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work in an empty folder; what `runtime.configure` sets is undone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.delenv("QERNEL_TRACEBACK", raising=False)
    monkeypatch.delenv("QERNEL_DEVICES", raising=False)


def python(*arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own, with Qernel on its path."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=600, **settings
    )


def failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one sentence with which a command refuses, exit code 2."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("qernel: error: ") and err.count("\n") == 1, err
    return err


# What can be typed


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1.05", [1.05]),
        ("-1", [-1.0]),
        ("-0", [0.0]),
        ("0.4:1.4:3", [0.4, 0.9, 1.4]),
        ("1.4:0.4:2", [1.4, 0.4]),
        ("1:1:1", [1.0]),
        ("0.2:1.8:33", [round(0.2 + 0.05 * i, 2) for i in range(33)]),
    ],
)
def test_lam(text: str, values: list[float]) -> None:
    assert list(lam_values(text)) == values


@pytest.mark.parametrize(
    "text", ["", "x", "nan", "inf", "1:2", "1:2:3:4", "1:2:0", "1:2:-3", "1:2:1.5", "a:2:3", "1:2:1", "1:2:99999999"]
)
def test_lam_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"is not|needs"):
        lam_values(text)


def test_lists_and_grids_of_lam_can_be_mixed() -> None:
    options = build_parser().parse_args(["query", "n6", "--lam", "0.5", "0.4:0.6:3", "--lam", "1.05"])
    assert flatten(options.lam) == [0.5, 0.4, 0.6, 1.05]


def test_overrides_accumulate() -> None:
    options = build_parser().parse_args(["train", "n6", "--set", "a.b=1", "c.d=2", "--set", "e.f=3"])
    assert options.set == ["a.b=1", "c.d=2", "e.f=3"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "COMMAND"),
        ("fly", "'fly'"),
        ("query n6", "--lam"),
        ("query n6 --lam", "expected at least one argument"),
        ("query n6 --lam 1:2", "'1:2' is not FIRST:LAST:COUNT"),
        ("query --lam 0.5 n6", "the name comes before --lam"),
        ("query n6 --lam 1e308", "'1e308' is beyond ±1e+06"),
        ("query n6 --lam 0:1e308:3", "beyond ±1e+06"),
        ("query n6 --lam 1 --at U=1e308", "beyond ±1e+06"),
        ("query n6 --lam 1 --samples 1", "whole number of at least 2"),
        ("query n6 --lam 1 --samples many", "'many'"),
        ("query n6 --lam 1 --walkers -4", "at least 2"),
        ("query n6 --lam 1 --sam 100", "--sam"),
        ("query n6 --lam 1 --at U", "'U' is not NAME=VALUE"),
        ("query n6 --lam 1 --at U=x", "'x' is not a number"),
        ("models extra", "extra"),
        ("train", "CONFIG"),
    ],
)
def test_misuse_is_one_sentence(line: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert words in failure(capsys, *line.split())


@pytest.mark.parametrize("line", ["--help", "scan -h", "--version", *(f"{name} --help" for name in COMMANDS)])
def test_help_goes_to_standard_output(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == 0
    out, err = capsys.readouterr()
    assert "qernel" in out and err == ""


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from qernel.cli import main; code = main(['--help'])\n"
        "heavy = {'jax', 'numpy', 'scipy', 'matplotlib', 'pydantic', 'rich', 'equinox', 'xarray', 'pandas', 'jinja2'}\n"
        "heavy &= set(sys.modules)\n"
        "sys.exit(f'imported {sorted(heavy)}' if heavy else code)"
    )
    result = python("-c", code)
    assert result.returncode == 0, result.stderr
    assert "train" in result.stdout


# Errors


def test_unknown_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("train", "validate"):
        assert ", ".join(presets()) in failure(capsys, command, "nothing.toml")


def test_every_problem_of_a_configuration_on_its_own_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[system]\nelectrons = 60\nsupercell = [[3, 0], [0, 3]]\n[train]\nwalkrs = 3\n")
    assert main(["validate", "bad.toml", "--set", "model.width=x"]) == 2
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == "" and len(lines) == 3 and all(line.startswith("qernel: error: ") for line in lines)
    assert all(any(word in line for line in lines) for word in ("60 electrons", "walkrs", "model.width"))


def test_an_existing_folder_is_not_touched(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY)
    folder = tmp_path / "runs" / "tiny"
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("years of work")
    assert "runs/tiny" in failure(capsys, "train", "tiny.toml")
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_nothing_to_resume(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY)
    assert "resume" in failure(capsys, "train", "tiny.toml", "--resume")
    assert not (tmp_path / "runs").exists()


def test_unknown_model(capsys: pytest.CaptureFixture[str], model: FakeModel) -> None:
    assert "shipped are n6" in failure(capsys, "query", "n7", "--lam", "1")
    assert "shipped are n6" in failure(capsys, "scan", "n7", "--lam", "1")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (QernelError("do this"), 2, "qernel: error: do this\n"),
        (Interrupted("stopped at iteration 7", Path("a run"), signal.SIGINT), 130, "--out 'a run' --resume\n"),
        (Interrupted("stopped", Path("run"), signal.SIGTERM), 143, "qernel train run/config.toml --out run --resume\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (PermissionError(13, "Permission denied", "/root/x"), 2, "qernel: error: /root/x: Permission denied\n"),
        (MemoryError(), 2, "train.walkers"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory"), 2, "not enough memory"),
        (RuntimeError("oh\n  no"), 1, "internal error: RuntimeError: oh no (QERNEL_TRACEBACK=1"),
    ],
)
def test_exit_codes(
    error: BaseException, code: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def raises(_: Any) -> int:
        raise error

    monkeypatch.setattr(entry, "_run", raises)
    assert main(["models"]) == code
    err = capsys.readouterr().err
    assert words in err and "Traceback" not in err
    monkeypatch.setenv("QERNEL_TRACEBACK", "1")
    with pytest.raises(type(error)):
        main(["models"])


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    code = "import sys; from qernel.cli import main; sys.exit(main(['--help']))"
    command = f'{sys.executable} -u -c "{code}" | true; exit ${{PIPESTATUS[0]}}'
    result = subprocess.run(
        ["bash", "-c", command], env={**os.environ, "PYTHONPATH": str(SOURCE)}, capture_output=True, text=True
    )
    assert result.stderr == "" and result.returncode in (0, 141)  # 0: it was written before the reader had left


# Query


def test_query_json(capsys: pytest.CaptureFixture[str], model: FakeModel) -> None:
    assert main(["query", "n6", "--lam", "0.5", "1.05", "--samples", "50", "--seed", "7", "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    data = json.loads(out)
    assert data["system"] == {
        "electrons": 6,
        "cells": 9,
        "V0": pytest.approx(4.443709),
        "U": pytest.approx(10.623473),
        "phase_deg": 45.0,
        "energy_unit_meV": pytest.approx(3.375559),
    }
    assert data["model"] == {"name": "n6", "parameters": 15760}
    assert [row["lam"] for row in data["results"]] == [0.5, 1.05]
    row = data["results"][0]
    assert row["energy"] == {"value": -17.64, "error": 0.003}
    assert all(set(row[name]) == {"value", "error"} for name in ("energy", "kinetic", "moire", "interaction"))
    assert all(type(row[name]) is float for name in ("acceptance", "autocorrelation", "rhat", "effective_samples"))
    assert row["extrapolating"] is False
    assert [asked["lam"] for asked in model.asked] == [0.5, 1.05]
    assert model.asked[0]["samples"] == 50 and model.asked[0]["seed"] == 7 and model.asked[0]["walkers"] is None


def test_electrons_with_spin(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeModel(**{"system.electrons": "[4, 2]", "model.crystal_seed": "false"}))
    main(["query", "n6", "--lam", "1", "--json"])
    assert json.loads(capsys.readouterr().out)["system"]["electrons"] == [4, 2]
    main(["query", "n6", "--lam", "1"])
    assert "4 up and 2 down electrons on 9 moiré cells" in capsys.readouterr().out


def test_query_table(capsys: pytest.CaptureFixture[str], model: FakeModel) -> None:
    assert main(["query", "n6", "--lam", "1"]) == 0
    out = capsys.readouterr().out
    assert "6 electrons on 9 moiré cells" in out and "E0 = 3.37556 meV" in out
    assert "-17.6400(30)" in out and "extrapolating" not in out


def test_extrapolation_is_said_and_marked(capsys: pytest.CaptureFixture[str], model: FakeModel) -> None:
    assert main(["query", "n6", "--lam", "1", "2.5"]) == 0
    out, err = capsys.readouterr()
    assert err == "qernel: warning: extrapolating at λ = 2.5: the model was trained on λ in [0.4, 1.4]\n"
    assert [line.endswith("extrapolating") for line in out.splitlines()[-2:]] == [False, True]
    main(["query", "n6", "--lam", "1", "2.5", "--json"])
    assert [row["extrapolating"] for row in json.loads(capsys.readouterr().out)["results"]] == [False, True]


def test_chains_that_disagree_are_reported(capsys: pytest.CaptureFixture[str], model: FakeModel) -> None:
    model.rhat = float("nan")
    assert main(["query", "n6", "--lam", "1", "--json"]) == 0
    out, err = capsys.readouterr()
    assert "chains disagree" in err and json.loads(out)["results"][0]["rhat"] is None


def test_other_parameters(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "λ is its only parameter" in failure_with(FakeModel(), monkeypatch, capsys)
    fake = install(monkeypatch, FakeModel(**{"family.U": "[8.0, 12.0]"}))
    assert main(["query", "n6", "--lam", "1", "--at", "U=9", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["system"]["U"] == 9.0
    assert fake.asked[0]["U"] == 9.0
    assert main(["query", "n6", "--lam", "1"]) == 0
    assert "U = 10," in capsys.readouterr().out


def failure_with(fake: FakeModel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What is said when U is asked of ``fake``."""
    install(monkeypatch, fake)
    return failure(capsys, "query", "n6", "--lam", "1", "--at", "U=9")


def test_json_has_no_nan() -> None:
    value = {"a": float("nan"), "b": [1.5, float("inf")], "c": ("x", True, None)}
    assert json.loads(to_json(value)) == {"a": None, "b": [1.5, None], "c": ["x", True, None]}


def test_texts() -> None:
    assert doctest.testmod(text).failed == 0


# Models


def test_an_installation_without_models(capsys: pytest.CaptureFixture[str], model: FakeModel) -> None:
    assert main(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"models": []}
    assert main(["models"]) == 0
    assert "no shipped models" in capsys.readouterr().out


def test_models_are_listed_without_what_computes() -> None:
    """Importing it takes longer than half a second."""
    code = (
        "import sys; from qernel.cli import main; main(['models']); print(sorted({'jax', 'numpy'} & set(sys.modules)))"
    )
    done = python("-c", code)
    assert done.stdout.splitlines()[-1] == "[]" and "next: qernel query n6 --lam 1" in done.stdout, done.stderr


def test_a_query_in_a_gap_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeModel(**{"family.gaps": [[0.7, 0.9]]}))
    assert main(["query", "n6", "--lam", "0.8", "0.9"]) == 0
    out, err = capsys.readouterr()
    assert err == (
        "qernel: warning: λ = 0.8 in a gap of the training: the model was trained on λ in [0.4, 0.7] and [0.9, 1.4]\n"
    )
    assert [line.endswith("in a gap") for line in out.splitlines()[-2:]] == [True, False]
    assert main(["scan", "n6", "--lam", "0.8", "0.9", "--json"]) == 0
    assert [row["in_gap"] for row in json.loads(capsys.readouterr().out)["results"]] == [True, False]
    assert open_results("n6-scan/energies.nc").attrs["trained_gaps"].tolist() == [0.7, 0.9]


# Scan


def test_scan_writes_table_record_and_figure(
    capsys: pytest.CaptureFixture[str], model: FakeModel, tmp_path: Path
) -> None:
    line = ["scan", "n6", "--lam", "0.2:1.4:4", "--samples", "50"]
    assert main(line) == 0
    out, err = capsys.readouterr()
    assert "extrapolating at λ = 0.2" in err and "n6-scan/energies.csv" in out
    folder = tmp_path / "n6-scan"
    assert sorted(path.name for path in folder.iterdir()) == [
        "energies.csv",
        "energies.json",
        "energies.nc",
        "phase_diagram.pdf",
        "phase_diagram.png",
    ]
    with (folder / "energies.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [float(row["lam"]) for row in rows] == [0.2, 0.6, 1.0, 1.4]
    assert float(rows[0]["energy"]) == -17.64 and float(rows[0]["energy_error"]) == 0.003
    assert [row["extrapolating"] for row in rows] == ["true", "false", "false", "false"]
    record = json.loads((folder / "energies.json").read_text())
    assert set(record) == {"system", "model", "results", "units", "provenance", "content_sha256"}
    assert set(record["units"]) == set(rows[0])
    assert record["provenance"]["command"] == "qernel scan n6 --lam 0.2:1.4:4 --samples 50"
    request = record["provenance"]["request"]
    assert request["samples"] == 50 and request["seed"] == 1 and request["config"] == model.config.fingerprint()

    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert "another scan" in failure(capsys, "scan", "n6", "--lam", "0.2:1.4:5", "--samples", "50")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert main(line) == 0  # a repetition may take the place of what it repeats
    capsys.readouterr()
    model.wavefunction["weight"] = np.zeros(3)
    assert "another scan" in failure(capsys, *line)


def test_scan_spares_foreign_files(capsys: pytest.CaptureFixture[str], model: FakeModel, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "energies.csv").write_text("my own")
    assert "energies.csv" in failure(capsys, "scan", "n6", "--lam", "1", "--out", "mine")
    (tmp_path / "file").write_text("x")
    assert "not a folder" in failure(capsys, "scan", "n6", "--lam", "1", "--out", "file")
    assert model.asked == []


def test_scan_of_a_run_goes_into_the_run(capsys: pytest.CaptureFixture[str], model: FakeModel, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.safetensors").touch()
    assert main(["scan", "run", "--lam", "1", "--json"]) == 0
    assert (tmp_path / "run" / "scan" / "energies.csv").exists()
    assert set(json.loads(capsys.readouterr().out)) == {"system", "model", "results"}


# Numbers that are no answer, models that are not finished


@pytest.mark.parametrize("command", ["query", "scan"])
def test_impossible_energies_are_no_answer(
    command: str, capsys: pytest.CaptureFixture[str], model: FakeModel, tmp_path: Path
) -> None:
    """The numbers are there, marked, in the table, the files and the JSON object; the exit code is that of an error."""
    model.impossible = "kinetic energy -97000(12) cannot be below 0"
    assert main([command, "n6", "--lam", "0.9", "1"]) == 2
    out, err = capsys.readouterr()
    assert out.count("no answer") == 2
    assert "error: what was measured at λ = 0.9, 1 is no answer: at λ = 0.9 kinetic energy -97000(12) cannot" in err
    assert main([command, "n6", "--lam", "0.9", "1", "--json"]) == 2
    assert {row["impossible"] for row in json.loads(capsys.readouterr().out)["results"]} == {model.impossible}
    if command == "scan":
        with (tmp_path / "n6-scan" / "energies.csv").open(newline="") as handle:
            assert [row["impossible"] for row in csv.DictReader(handle)] == [model.impossible] * 2
        assert open_results(tmp_path / "n6-scan" / "energies.nc")["impossible"].values.tolist() == [1, 1]


def test_a_model_that_is_not_finished_says_so(capsys: pytest.CaptureFixture[str], model: FakeModel) -> None:
    model.training = Progress(iteration=15, burn_in=20, iterations=400, ended=TIME_LIMIT)
    assert main(["query", "n6", "--lam", "1", "--json"]) == 0
    out, err = capsys.readouterr()
    assert "warning: n6 was stopped by train.time_limit_s after 0 of 400 training iterations, it is untrained" in err
    assert json.loads(out)["model"]["training"] == {
        "complete": False,
        "ended": "time_limit",
        "updates": 0,
        "iterations": 400,
    }
    model.training = Progress(120, 20, 100, COMPLETE)
    assert main(["query", "n6", "--lam", "1"]) == 0
    assert capsys.readouterr().err == ""


# The demonstration


@pytest.mark.parametrize(("finished", "trains"), [("true", 0), ("false", 1), (None, 1)])
def test_demo_trains_only_what_is_not_trained(
    finished: str | None,
    trains: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model: FakeModel,
    tmp_path: Path,
) -> None:
    from qernel.training.tensors import write_tensors

    folder = tmp_path / "out" / "model"
    folder.mkdir(parents=True)
    if finished is not None:
        header = {"fingerprint": load_config("n6").fingerprint(), "finished": finished}
        write_tensors(folder / "checkpoint-000000007.safetensors", {"x": np.zeros(1)}, header)
    calls: list[bool] = []
    monkeypatch.setattr(demo, "train_with_progress", lambda config, out, resume: calls.append(resume))
    assert main(["demo", "--out", "out"]) == 0
    assert calls == [finished is not None] * trains
    assert "energies per electron" in capsys.readouterr().out
    with (tmp_path / "out" / "energies.csv").open(newline="") as handle:
        assert [float(row["lam"]) for row in csv.DictReader(handle)] == [round(0.4 + 0.1 * i, 1) for i in range(11)]
    assert (tmp_path / "out" / "phase_diagram.png").exists()


def test_demo_of_a_stopped_model_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], model: FakeModel, tmp_path: Path
) -> None:
    """The same command trains further, and measures again into the same folder."""
    (tmp_path / "out" / "model").mkdir(parents=True)
    monkeypatch.setattr(demo, "train_with_progress", lambda *_, **__: True)
    for updates, ended, code in ((50, TIME_LIMIT, 75), (400, COMPLETE, 0)):
        model.training = Progress(20 + updates, 20, 400, ended)
        model.wavefunction["weight"] = np.full(3, updates)
        assert main(["demo", "--out", "out"]) == code
        said = "the model of this demo was stopped by train.time_limit_s after 50 of 400" in capsys.readouterr().out
        assert said == (code == 75)
    other = tmp_path / "out" / "energies.json"
    other.write_text(other.read_text().replace(model.config.fingerprint(), "another"))
    assert main(["demo", "--out", "out"]) == 2, "results of another configuration stay"


# Progress


def reports() -> list[Any]:
    """A run of 100 iterations in 50 seconds."""
    nothing = np.zeros(0)
    first = Report("compiling", 0, 100, 0.0, np.zeros((0, 1)), nothing, nothing, nothing, nothing)
    points = np.array([[0.5], [0.9], [1.3]])
    energy, error = np.array([-14.0, -16.0, -19.0]), np.full(3, 0.02)
    rest = [
        Report("training", i, 100, 0.5 * i, points, energy, error, np.full(3, 0.5), np.full(3, 0.1))
        for i in range(1, 101)
    ]
    return [first, *rest]


def test_progress_without_a_terminal_is_a_line_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    with TrainingProgress() as progress:
        for report in reports():
            progress(report)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 6 and lines[0].startswith("compiling") and lines[-1].startswith("training 100/100")
    assert "training 40/100, 30 s left, E/N = -14.000(20) E0 at λ = 0.500" in lines[2]


def test_compilation_is_announced_and_timed(capsys: pytest.CaptureFixture[str]) -> None:
    first, *rest = reports()
    with TrainingProgress() as progress:
        progress(first)
        assert capsys.readouterr().err == (
            "compiling the step, about a minute, or seconds if it was compiled before ...\n"
        )
        for report in rest[:2]:
            progress(report._replace(first=43.2))
    assert capsys.readouterr().err.splitlines()[0] == "compiled in 43 s"


def test_time_left_respects_the_limit() -> None:
    """Which counts from the first step, here after half a second."""
    progress = TrainingProgress(time_limit=20.0)
    for report in reports()[:21]:
        progress(report)
    assert progress.seconds_left == pytest.approx(10.5)


def test_progress_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    with TrainingProgress() as progress:
        for report in reports():
            progress(report)
    with Bar() as bar:
        measuring = Parts(bar, 2)
        for lam in (0.5, 1.0):
            measuring.begin(f"measuring λ = {lam:g}")
            for fraction in (0.5, 1.0):
                measuring(fraction)
    out, err = capsys.readouterr()
    assert out == "" and "100/100" in err and "-19.000(20)" in err
    assert "measuring λ = 1 (2 of 2)" in err and "100%" in err


def test_progress_of_parts_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Bar() as quiet:
        quiet("pairs", 0.5)
    assert capsys.readouterr().err == ""  # the first line comes after ten seconds
    monkeypatch.setattr("qernel.progress.LINE_SECONDS", -1.0)
    with shown(True) as tell:
        parts = Parts(tell, 2)
        for lam in (0.5, 1.0):
            parts.begin(f"λ = {lam:g}")
        parts(0.5)
    with Bar() as bar:
        bar("pairs", 0.5)
    assert capsys.readouterr().err.splitlines() == [
        "λ = 0.5 (1 of 2), 0%",
        "λ = 1 (2 of 2), 50%",
        "λ = 1 (2 of 2), 75%",
        "pairs, 50%",
    ]
    heard: list[tuple[str, float]] = []
    with shown(lambda what, fraction: heard.append((what, fraction))) as tell:
        Parts(tell, 1).begin("alone")
    with shown(None) as tell:
        Parts(tell, 1).begin("unheard")
    assert heard == [("alone", 0.0)]


# The environment JAX starts in


def test_flags_of_the_user_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=true --xla_dump_to=x")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    monkeypatch.setenv("PJRT_NPROC", "5")
    runtime.configure(4)
    flags = os.environ["XLA_FLAGS"].split()
    assert flags == [
        "--xla_cpu_multi_thread_eigen=true",
        "--xla_dump_to=x",
        "--xla_force_host_platform_device_count=4",
        "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT",
    ]
    assert os.environ["OPENBLAS_NUM_THREADS"] == "3" and os.environ["PJRT_NPROC"] == "5"
    assert os.environ["JAX_ENABLE_X64"] == "1"
    runtime.configure(2)
    assert os.environ["XLA_FLAGS"].split() == flags


def test_no_flag_that_an_older_library_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "version", lambda package: "0.9.3")
    monkeypatch.setenv("XLA_FLAGS", "")
    runtime.configure(2)
    assert "ynn" not in os.environ["XLA_FLAGS"]


@pytest.mark.parametrize(("devices", "threads"), [(1, 1), (2, 8), (4, 16)])
def test_the_pool_of_several_devices_has_more_threads_than_can_wait_for_it(
    devices: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless nothing waits for it: then a thread for each device."""
    monkeypatch.delenv("QERNEL_DEVICES", raising=False)
    monkeypatch.setenv("XLA_FLAGS", "")
    for undivided, expected in ((False, threads), (True, devices)):
        monkeypatch.delenv("PJRT_NPROC", raising=False)
        runtime.configure(devices, undivided=undivided)
        assert os.environ["PJRT_NPROC"] == str(expected)


LINE = [sys.executable, "qernel", "train", "n6"]


@pytest.mark.parametrize(
    ("given", "library", "mode", "line", "expected"),
    [
        ("", "glibc", "always [madvise] never", LINE, "glibc.malloc.hugetlb=1"),
        (
            "glibc.malloc.perturb=1",
            "glibc",
            "always [madvise] never",
            LINE,
            "glibc.malloc.perturb=1:glibc.malloc.hugetlb=1",
        ),
        ("glibc.malloc.hugetlb=0", "glibc", "always [madvise] never", LINE, None),
        ("", "", "always [madvise] never", LINE, None),
        ("", "glibc", "[always] madvise never", LINE, None),
        ("", "glibc", "always madvise [never]", LINE, None),
        ("", "glibc", None, LINE, None),
        ("", "glibc", "always [madvise] never", [sys.executable], None),
        ("", "glibc", "always [madvise] never", [sys.executable, "-"], None),
    ],
)
def test_huge_pages_where_they_can_be_had(
    given: str,
    library: str,
    mode: str | None,
    line: list[str],
    expected: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A program restarts itself once, with its own arguments, and not where that changes nothing."""
    setting = tmp_path / "enabled"
    if mode is not None:
        setting.write_text(mode)
    started: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(runtime, "HUGE_PAGES", setting)
    monkeypatch.setattr(runtime.platform, "libc_ver", lambda: (library, "2.36"))
    monkeypatch.setattr(runtime.os, "execv", lambda program, arguments: started.append((program, arguments)))
    monkeypatch.setattr(sys, "orig_argv", line)
    monkeypatch.setenv("GLIBC_TUNABLES", given)
    runtime.restart_in_huge_pages()
    assert started == ([(sys.executable, line)] if expected else [])
    assert os.environ["GLIBC_TUNABLES"] == (expected or given)
    runtime.restart_in_huge_pages()
    assert len(started) <= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("threads", "stages"),
    [({}, ("local_energy", "gradient", "sampling")), ({"PJRT_NPROC": "2"}, ("gradient", "sampling"))],
)
def test_two_devices_do_not_wait_for_each_other(
    threads: dict[str, str], stages: tuple[str, ...], tmp_path: Path
) -> None:
    """With a thread of XLA's pool for each device both wait in the factorisation of 24×24 matrices, every time, where
    XLA divides it: in the library folx, which local energies are compared with, and not in our own."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PJRT_NPROC", "XLA_FLAGS")}
    line = ["bench", "--electrons", "24", "--devices", "2", "--set", "model.width=32", "--stage", *stages]
    result = subprocess.run(
        [sys.executable, "-m", "qernel.cli", *line, "--json", "--out", str(tmp_path / "bench")],
        env={**environment, **threads, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        timeout=300,
        check=True,
    )
    assert [row["stage"] for row in json.loads(result.stdout)["results"]] == list(stages)


def test_number_of_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "usable_cores", lambda: 12)
    assert runtime.usable_devices() == 8
    assert runtime.usable_devices(32) == 8 and runtime.usable_devices(60) == 12 and runtime.usable_devices(7) == 7
    assert runtime.usable_devices(32, 50) == 2 and runtime.usable_devices(13) == 1
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setenv("QERNEL_DEVICES", "3")
    runtime.configure(8)
    assert "--xla_force_host_platform_device_count=3" in os.environ["XLA_FLAGS"]
    for nonsense in ("0", "-1", "two", "1e3", "99999"):
        monkeypatch.setenv("QERNEL_DEVICES", nonsense)
        with pytest.raises(QernelError, match="QERNEL_DEVICES"):
            runtime.configure()


# End to end


def qernel(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    return python("-m", "qernel.cli", *arguments)


@pytest.mark.slow
def test_validate_prints_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY)
    result = qernel("validate", "tiny.toml", "--set", "train.seed=5")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    for words in ("E0 = 3.37556 meV", "V0 = 4.44371 E0", "U = 10.6235", "filling 2/3", "area", "parameters: "):
        assert words in result.stdout
    (tmp_path / "resolved.toml").write_text(result.stdout)
    assert load_config("resolved.toml") == load_config("tiny.toml", ["train.seed=5"])


@pytest.mark.slow
def test_train_query_and_scan(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY)
    trained = qernel("train", "tiny.toml")
    assert trained.returncode == 0, trained.stderr
    assert "runs/tiny" in trained.stdout and "Traceback" not in trained.stderr
    again = qernel("train", "tiny.toml")
    assert again.returncode == 2 and again.stderr.count("\n") == 1
    resumed = qernel("train", "tiny.toml", "--resume")
    assert resumed.returncode == 0 and "nothing left to do" in resumed.stdout
    other = qernel("train", "tiny.toml", "--resume", "--set", "train.seed=9")
    assert other.returncode == 2 and other.stderr.startswith("qernel: error: ")

    queried = qernel("query", "runs/tiny", "--lam", "0.6", "1.2", "--json")
    assert queried.returncode == 0, queried.stderr
    assert "extrapolating" in queried.stderr
    data = json.loads(queried.stdout)
    assert data["system"]["electrons"] == 2 and data["system"]["cells"] == 3
    for row in data["results"]:
        parts = sum(row[name]["value"] for name in ("kinetic", "moire", "interaction"))
        assert row["energy"]["value"] == pytest.approx(parts, abs=1e-6)

    scanned = qernel("scan", "runs/tiny", "--lam", "0.6:1.0:2")
    assert scanned.returncode == 0, scanned.stderr
    assert (tmp_path / "runs" / "tiny" / "scan" / "phase_diagram.pdf").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR2, 140)])
def test_interrupted_training_can_be_resumed(number: int, code: int, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY.replace("iterations = 4", "iterations = 100000"))
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-m", "qernel.cli", "train", "tiny.toml", "--out", "run"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: (tmp_path / "run" / "metrics.csv").exists() and rows(tmp_path / "run" / "metrics.csv") > 2)
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    assert "qernel train run/config.toml --out run --resume" in err and "Traceback" not in err


def rows(path: Path) -> int:
    """Lines of a text file."""
    return len(path.read_text().splitlines())


def wait_for(condition: Callable[[], bool], seconds: float = 300.0) -> None:
    """Return once ``condition`` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.2)
