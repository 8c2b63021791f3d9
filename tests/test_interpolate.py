"""`qernel interpolate`: unbiased differences of densities, regions, equal cost; the command with a stubbed trainer."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomlkit

import qernel
from qernel.cli import main
from qernel.comparison import interpolation, points, work
from qernel.comparison.clock import CLOCK_FILE
from qernel.comparison.densities import folded, squared_difference
from qernel.comparison.points import Point
from qernel.config import Config, load_config
from qernel.errors import Interrupted, QernelError
from qernel.lattice import Supercell
from qernel.training.tensors import write_tensors
from runs import TINY

FAMILY = {"lam": [0.5, 1.0], "gaps": [[0.6, 0.8]]}
TRAIN = {**TINY["train"], "groups": 4}
LAM = (0.4, 0.5, 0.7, 1.0)
GAINED = {"gaps": 0.05, "whole": 0.02}
"""Excess energies of the stub: ``single`` is exact, and a gap or an edge costs ``gaps`` 0.1 more."""


def config(**changes: Any) -> Config:
    return load_config({**TINY, "family": FAMILY, "train": TRAIN, **changes})


def test_regions_budgets_and_labels() -> None:
    plan = interpolation.plan(config(), [1.0, 0.4, 0.7, 0.5], 100, 1)
    assert plan.lam == LAM and plan.regions == ("edge", "trained", "gap", "trained")
    gaps, whole = (entry.config for entry in plan.shared)
    assert gaps.family.gaps == ((0.6, 0.8),) and whole.family.gaps is None and whole.family.lam == (0.4, 1.0)
    assert [entry.label for entry in plan.singles] == ["single-0.4", "single-0.5", "single-0.7", "single-1"]
    assert plan.singles[2].config.family.lam == (0.7, 0.7) and plan.singles[2].config.train.groups == 1
    # 100 updates of 4 × 8 walkers, or 4 × 100 of 8: the same.
    assert plan.single_budget.iterations == 100 and plan.cost == dict.fromkeys(interpolation.KINDS, 3200)
    assert interpolation.plan(config(), LAM, 100, 4).single_budget.iterations == 25
    assert interpolation.default_points(config().family) == [0.4, 0.55, 0.7, 0.9, 1.1]
    with pytest.raises(QernelError, match="lies in a gap"):
        interpolation.plan(config(), [0.5, 0.6], 100, 1)
    with pytest.raises(QernelError, match="leaves no update"):
        interpolation.plan(config(), LAM, 1, 8)


def test_a_difference_of_densities_has_no_bias_and_an_honest_error() -> None:
    """Noise alone gives 0 within errors, a known difference itself; the error is the scatter of repetitions."""
    random = np.random.default_rng(3)
    shape = np.outer(np.cos(2 * np.pi * np.arange(6) / 6), np.ones(6))
    for height in (0.0, 0.3):
        found = np.array(
            [
                squared_difference(
                    2.0 + 2.0 * height * shape + random.normal(0.0, 1.0, (16, 6, 6)),
                    2.0 + random.normal(0.0, 1.0, (16, 6, 6)),
                )
                for _ in range(400)
            ]
        )
        values, errors = found.T
        # n̄ is that of the sample; its scatter of 2 % biases by four times its variance at most.
        assert abs(values.mean() - height**2 / 2) < 4 * values.std() / 20 + 0.002 * height**2
        assert 0.9 < errors.mean() / values.std() < 1.6, "the jackknife is conservative where there is no difference"
    same = random.normal(1.0, 0.1, (4, 3, 3))
    assert squared_difference(same, same) == (0.0, 0.0)
    with pytest.raises(ValueError, match="three chains"):
        squared_difference(same[:2], same[:2])


def test_folded_densities_hold_all_electrons_and_forget_the_registry() -> None:
    cell = Supercell(((3, 0), (0, 3)))
    positions = np.random.default_rng(1).uniform(0.0, 3.0, (5, 20, 6, 2))
    density = folded(positions, cell)
    assert density.shape == (5, 12, 12)
    np.testing.assert_allclose(density.mean((1, 2)) * cell.area, 6.0)
    np.testing.assert_allclose(folded(positions + cell.primitive[0] - 2 * cell.primitive[1], cell), density)
    corner = folded(np.full((1, 1, 1, 2), 1e-9), cell, 2)[0]
    np.testing.assert_allclose(corner, [[4 / cell.area, 0.0], [0.0, 0.0]])


class Stub:
    """Stands in for training and measuring; notes what it was asked to do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trained: list[str] = []
        self.measured: list[str] = []
        self.interrupt_at = -1
        monkeypatch.setattr(work, "train_run", self.train)
        monkeypatch.setattr(points, "sampler", self.sampler)

    def train(self, config: Config, path: Path, _: float | None, show: Any = None) -> None:
        if len(self.trained) == self.interrupt_at:
            self.interrupt_at = -1
            raise Interrupted("stopped at iteration 3 of 8", path, 2)
        self.trained.append(f"{path.parent.name} {path.name} {config.train.iterations}")
        path.mkdir(parents=True)
        metadata = {"fingerprint": config.fingerprint(), "finished": "true"}
        write_tensors(path / "checkpoint-000000080.safetensors", {"average": np.ones(2)}, metadata)
        (path / CLOCK_FILE).write_text("iteration,seconds\n80,8.0\n")

    def sampler(self, config: Config, _: Path, label: str, sampling: Any) -> Any:
        def measure(lam: float, seed: int, __: Any) -> Point:
            self.measured.append(f"{label} {lam:g} {config.train.seed}")
            outside = label == "gaps" and lam in (0.4, 0.7)
            excess = GAINED.get(label, 0.0) + 0.1 * outside + 0.01 * config.train.seed
            density = 1.0 + 0.2 * outside * np.outer([1.0, -1.0], [1.0, 1.0])
            noise = np.random.default_rng(seed).normal(0.0, 0.01, (sampling.walkers, 2, 2))
            return Point(-10.0 * lam + excess, 0.001, 1.01, 0.2 * lam, 0.01, density + noise)

        return measure


def test_what_the_command_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stub = Stub(monkeypatch)
    source, exact, out = tmp_path / "small.toml", tmp_path / "exact.csv", tmp_path / "out"
    source.write_text(tomlkit.dumps({**TINY, "family": FAMILY, "train": TRAIN}))
    exact.write_text("lam,energy,energy_error\n" + "".join(f"{lam},{-10 * lam},0.0001\n" for lam in LAM))
    line = ["interpolate", str(source), "--reference", str(exact), "--out", str(out), "--single-groups", "1"]
    stub.interrupt_at = 5
    assert main(line) == 130
    assert "to go on: qernel interpolate" in capsys.readouterr().err
    assert main([*line, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert stub.trained == [
        *(f"{kind} seed-{seed} 8" for seed in (1, 2) for kind in ("gaps", "whole")),
        *(f"single-{lam:g} seed-{seed} 8" for seed in (1, 2) for lam in LAM),
    ]
    assert len(stub.measured) == len(set(stub.measured)) == 2 * 3 * len(LAM)
    has_the_numbers(data)
    has_the_files(out, tmp_path)
    capsys.readouterr()

    # Once more: nothing is trained or measured again; a further seed is only added.
    trained, measured = len(stub.trained), len(stub.measured)
    monkeypatch.setattr("qernel.plots.style.save", lambda *_: None)
    assert main(line) == 0
    printed = capsys.readouterr().out
    assert (len(stub.trained), len(stub.measured)) == (trained, measured)
    assert "whole − single, mean over all 4 λ: 0.02000(50) E0 per electron" in printed
    assert "gaps − whole, mean over 1 λ (gap): 0.1300(10)" in printed
    assert main([*line, "--seeds", "1", "2", "3"]) == 0
    assert (len(stub.trained), len(stub.measured)) == (trained + 6, measured + 12)
    # Other λ mean another range for the whole model: that is another comparison.
    capsys.readouterr()
    assert main([*line, "--lam", "0.4", "0.7"]) == 2
    assert "holds a comparison of" in capsys.readouterr().err


def has_the_numbers(data: dict[str, Any]) -> None:
    assert data["conditions"]["trained_lam"] == [[0.5, 0.6], [0.8, 1.0]] and data["reference"]["exact"]
    assert {row["updates_times_walkers"] for row in data["cost"].values()} == {8 * 4 * 8}
    assert data["cost"]["single"]["seconds"] == 32.0
    energies = {(row["model"], row["lam"]): row for row in data["energies"]}
    row = energies["gaps", 0.7]
    assert row["region"] == "gap" and row["excess"] == pytest.approx(0.05 + 0.1 + 0.015)
    # Seeds 0.01 apart: a standard error of 0.005.
    assert row["excess_error"] == pytest.approx(0.005, rel=0.01)
    summary = {(row["model"], row["against"], row["region"]): row for row in data["summary"]}
    for region, expected in (("gap", 0.13), ("edge", 0.13), ("trained", 0.03), ("all", 0.08)):
        assert summary["gaps", "whole", region]["value"] == pytest.approx(expected)
    sharing = summary["whole", "single", "all"]
    # Seeds differ alike in both, so only sampling is left: four λ and two seeds.
    assert sharing["value"] == pytest.approx(0.02) and sharing["error"] == pytest.approx(0.001 * 2**0.5 / 8**0.5)
    densities = {(row["model"], row["against"], row["lam"]): row for row in data["densities"]}
    found = densities["gaps", "single", 0.7]
    assert abs(found["difference"] - 0.04) < 4 * found["difference_error"] < 0.02
    null = densities["whole", "single", 0.7]
    assert abs(null["difference"]) < 4 * null["difference_error"] < 1e-3


def has_the_files(out: Path, folder: Path) -> None:
    assert {path.name for path in out.iterdir()} == {
        "plan.json",
        "runs",
        "energies.csv",
        "densities.csv",
        "interpolation.nc",
        "interpolation.json",
        "interpolation.png",
        "interpolation.pdf",
    }
    rows = list(csv.DictReader((out / "energies.csv").read_text().splitlines()))
    assert len(rows) == 12 and float(rows[2]["excess"]) == pytest.approx(0.165)
    stored = qernel.open(out / "interpolation.nc")
    assert stored["excess"].sel(model="gaps", lam=0.7) == pytest.approx(0.165)
    assert main(["plot", "interpolation", str(out / "interpolation.nc"), "--out", str(folder / "again")]) == 0


@pytest.mark.slow
def test_a_tiny_interpolation_for_real(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No energy below the exact one; the second call only reads; a different number of samples only measures."""
    source, out = tmp_path / "small.toml", tmp_path / "out"
    source.write_text(tomlkit.dumps({**TINY, "family": {**FAMILY, "lam": [0.5, 1.1]}, "train": TRAIN}))
    exact = Path(__file__).parents[1] / "studies" / "exact" / "few_electrons.json"
    line = ["interpolate", str(source), "--seeds", "1", "--iterations", "30", "--single-groups", "2", "--lam", "0", "1"]
    line += ["--reference", str(exact), "--out", str(out), "--json"]
    assert main(line) == 0
    data = json.loads(capsys.readouterr().out)
    for row in data["energies"]:
        assert -4 * row["excess_error"] < row["excess"] < 100 and 0 < row["excess_error"] < 10
    assert [row["region"] for row in data["energies"][:2]] == ["edge", "trained"]
    before = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*") if path.is_file()}
    assert main(line) == 0
    assert json.loads(capsys.readouterr().out)["energies"] == data["energies"]
    assert before == {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*") if path.is_file()}
