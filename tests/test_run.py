"""Runs in folders: resume is the same run, refusals leave everything as it was, models round-trip."""

from __future__ import annotations

import csv
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qernel
import runs
from qernel.config import Config
from qernel.errors import Interrupted, RunError
from qernel.sampling.starts import settle
from qernel.training.folder import CONFIG_FILE, METRICS_FILE, MODEL_FILE
from qernel.training.lock import LOCK_FILE
from qernel.training.report import Report
from qernel.training.run import train
from runs import newest, same_state

EARLIER_RUN = Path(__file__).parent / "data" / "earlier_run"
EARLIER = {0.3: (-1.0, 31.36081), 1.0: (1.0, 26.46279), 1.7: (1.0, 27.90474)}
SHIPPED = {0.3: (-1.0, 24.78515), 1.0: (-1.0, 22.78823), 1.7: (-1.0, 27.08497)}
"""(sign, log|ψ|) at one configuration by λ: of the model that 0.1.0 was first shipped with, and of the present one."""


def config(**train_section: object) -> Config:
    """The smallest run, with walkers that are swapped between groups."""
    return runs.config(**{"exchange": 3, **train_section})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(config(), tmp_path_factory.mktemp("runs") / "whole")


def test_a_run_leaves_its_files(finished: Path) -> None:
    checkpoints = {"checkpoint-000000000.safetensors", "checkpoint-000000010.safetensors"}
    assert {CONFIG_FILE, METRICS_FILE, MODEL_FILE, LOCK_FILE} | checkpoints == {p.name for p in finished.iterdir()}
    rows = list(csv.DictReader((finished / METRICS_FILE).read_text().splitlines()))
    assert [int(r["iteration"]) for r in rows] == [i for i in range(1, 11) for _ in range(2)]
    assert all(np.isfinite(float(r["energy"])) and float(r["error"]) > 0 for r in rows)
    attempts = [r for r in rows if r["exchange_acceptance"]]
    swapped = {(int(r["iteration"]), r["group"]): float(r["exchange_acceptance"]) for r in attempts}
    assert list(swapped) == [(3, "0"), (6, "0"), (9, "0")]
    assert all(0.0 <= value <= 1.0 for value in swapped.values())


def stop_at(iteration: int) -> object:
    def report(progress: Report) -> None:
        if progress.iteration >= iteration:
            os.kill(os.getpid(), signal.SIGTERM)

    return report


@pytest.mark.parametrize("iteration", [1, 5])
def test_an_interrupted_run_continues_bit_for_bit(
    iteration: int, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qernel.training.report.REPORT_SECONDS", 0.0)
    out = tmp_path / "run"
    with pytest.raises(Interrupted, match="--resume") as caught:
        train(config(), out, report=stop_at(iteration))  # type: ignore[arg-type]
    assert caught.value.signal == signal.SIGTERM
    train(config(), out, resume=True)
    same_state(newest(finished), newest(out))
    assert (out / METRICS_FILE).read_text() == (finished / METRICS_FILE).read_text()


def test_crystals_settle_when_a_run_begins_and_never_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def counted(*arguments: Any) -> Any:
        asked.append(1)
        return settle(*arguments)

    monkeypatch.setattr("qernel.sampling.population.settle", counted)
    monkeypatch.setattr("qernel.training.report.REPORT_SECONDS", 0.0)
    crystals = runs.settings(crystal_from=0.0)
    whole = train(crystals, tmp_path / "whole")
    assert len(asked) == 1
    with pytest.raises(Interrupted):
        train(crystals, tmp_path / "parts", report=stop_at(3))  # type: ignore[arg-type]
    train(crystals, tmp_path / "parts", resume=True)
    assert len(asked) == 2
    same_state(newest(whole), newest(tmp_path / "parts"))
    train(runs.settings(), tmp_path / "spread")
    assert len(asked) == 2


def test_an_existing_folder_is_not_touched(finished: Path) -> None:
    before = {p.name: p.read_bytes() for p in finished.iterdir()}
    with pytest.raises(RunError, match="already exists"):
        train(config(), finished)
    with pytest.raises(RunError, match="another configuration"):
        train(config(seed=5), finished, resume=True)
    assert {p.name: p.read_bytes() for p in finished.iterdir()} == before


def test_resuming_nothing_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="without --resume"):
        train(config(), tmp_path / "none", resume=True)


def test_a_model_answers_with_error_bars(finished: Path) -> None:
    model = qernel.load(finished)
    assert model.ranges == {"lam": (0.5, 1.0)} and model.parameters > 0
    energies = model.at(0.8).energy(samples=6)
    assert energies.energy.error > 0 and energies.energy.unit == "E0" and not energies.extrapolating
    total = energies.kinetic.value + energies.moire.value + energies.interaction.value
    assert abs(total - energies.energy.value) < 1e-6
    assert model.at(1.2).extrapolating
    again = model.at(0.8).energy(samples=6)
    assert again == energies, "the same seed gives the same numbers"


def test_the_density_integrates_to_the_number_of_electrons(finished: Path) -> None:
    model = qernel.load(finished)
    density = model.at(0.7).density(grid=8, samples=4)
    area = model.hamiltonian.supercell.area
    assert abs(float(density["density"].mean()) * area - 2) < 1e-9
    assert density["density"].shape == density["density_error"].shape == (8, 8)


def test_what_is_not_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="neither a run folder nor a shipped model"):
        qernel.load(tmp_path / "nothing")
    (tmp_path / MODEL_FILE).write_bytes(b"not a model")
    with pytest.raises(RunError, match="damaged or not a Qernel file"):
        qernel.load(tmp_path)


@pytest.mark.parametrize(("name", "stored"), [(str(EARLIER_RUN), EARLIER), ("n6", SHIPPED)], ids=["old", "new"])
def test_a_model_keeps_its_wavefunction(name: str, stored: dict[float, tuple[float, float]]) -> None:
    """A model file must load in every later version and give the ψ it was shipped with."""
    model = qernel.load(name)
    x = np.array([[0.1, 0.2], [1.2, 0.1], [2.1, 0.4], [0.7, 1.1], [1.9, 1.3], [2.9, 2.0]])
    for lam, (sign, log) in stored.items():
        now_sign, now_log = model.at(lam).log_psi(x)
        assert float(now_sign) == sign
        assert abs(float(now_log) - log) < 2e-3
