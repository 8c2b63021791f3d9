"""From a configuration of two parameters to the answers over both: trained, mapped, looked at, drawn, reported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import qernel
from qernel.cli import main
from runs import TINY

TRAIN = {**TINY["train"], "iterations": 40, "walkers": 32, "groups": 4}
CONFIG = {
    **TINY,
    "model": {"ansatz": "slater"},
    "family": {"lam": [0.5, 1.1], "U": [8.0, 12.0]},
    "train": TRAIN,
    "sample": {"walkers": 32, "samples": 24, "burn_in": 20},
}


@pytest.mark.slow
def test_two_electrons_over_both_parameters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two electrons in their cell have no transition: none is claimed, and everything else is answered."""
    run = tmp_path / "run"
    qernel.train(CONFIG, out=run)
    common = ["--samples", "24", "--walkers", "32", "--observable"]
    lam, folder = "0.5:1.1:7", run / "map"
    assert main(["scan", str(run), "--lam", lam, "--over", "U", "8", "10", "12", "--out", str(folder), *common]) == 0
    assert main(["scan", str(run), "--along", "U", "8:12:9", "--out", str(run / "U"), *common, "--at", "lam=0.8"]) == 0
    capsys.readouterr()
    assert main(["transition", str(folder), "--json", "--out", str(folder / "boundary")]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["evidence"][0] == "None of 3 scans shows a transition: no λ_c(U)."
    assert [row["lambda_c"] for row in data["boundary"]] == [None] * 3 and all(
        row["reason"] for row in data["boundary"]
    )
    # The three scans and the one along U are of one model: they agree where they meet.
    along_U = qernel.open(run / "U" / "energies.nc")
    for value in (8.0, 10.0, 12.0):
        one = qernel.open(folder / f"U={value:g}" / "energies.nc").sel(lam=0.8, method="nearest")
        other = along_U.sel(U=value)
        error = np.hypot(one["energy_error"], other["energy_error"])
        assert float(one["U"]) == value and float(abs(one["energy"] - other["energy"]) / error) < 4
    assert main(["transition", str(run / "U"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["along"] == "U" and found["U_c"] is None and found["at"] == {"lam": 0.8}
    # ⟨∂H/∂U⟩ is positive or negative, but E(U) follows it: the ansatz was trained at every U.
    assert found["hellmann_feynman"]["dof"] == 8
    assert main(["plot", "phase_map", str(folder), "--out", str(tmp_path / "figures")]) == 0
    assert main(["plot", "phase_diagram", str(run / "U" / "energies.nc"), "--out", str(tmp_path / "figures")]) == 0
    assert main(["report", str(run), "--out", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "Map in map" in page and "Phase map, from map" in page and "interaction energy against U" in page
