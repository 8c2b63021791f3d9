"""The study of where liquid and crystal cross: variational, projected and zero-variance energies made up to cross."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts import script

LAM = (0.85, 0.9, 0.95, 1.0, 1.05, 1.1)
VARIANCE = {"best": 0.3, "fair": 0.6, "poor": 0.9}
SLOPE = {"liquid": 0.1, "crystal": 0.2}
"""dE/dVar, which moves the crossing of the variational energies."""


@pytest.fixture
def study() -> Any:
    return script("studies/projection/crossing.py")


def exact(phase: str, lam: float) -> float:
    """Energies that cross at λ = 1."""
    return -17.5 - (6.5 if phase == "liquid" else 8.0) * (lam - 1.0)


def number(value: float, error: float = 1e-3) -> dict[str, float]:
    return {"value": value, "error": error}


def made_up(folder: Path, noise: np.random.Generator) -> None:
    """What `qernel project` and `qernel observe --json` write of both phases."""
    for phase, slope in SLOPE.items():
        rows = []
        for lam in LAM:
            energy = exact(phase, lam) + 1e-3 * noise.normal()
            variational = energy + slope * VARIANCE["best"] + 1e-3 * noise.normal()
            rows.append({"lam": lam, "projected": number(energy + 0.01), "variational": number(variational)})
        (folder / phase).mkdir(parents=True)
        (folder / phase / "projection.json").write_text(json.dumps({"results": rows}))
        for name, variance in VARIANCE.items():
            states = [
                {
                    "lam": lam,
                    "energy": number(exact(phase, lam) + slope * variance + 1e-3 * noise.normal()),
                    "energy_variance": number(variance + 0.01 * noise.normal(), 0.01),
                }
                for lam in LAM
            ]
            (folder / f"{name}-{phase}.json").write_text(json.dumps({"results": states}))


def test_each_kind_of_energy_has_its_own_crossing(study: Any, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    made_up(tmp_path, np.random.default_rng(3))
    study.main(tmp_path)
    record = json.loads((tmp_path / "crossing.json").read_text())
    # The crystal is 0.03 too high in what is variational, and its energy falls faster by 1.5.
    expected = {"variational": 1.02, "projected": 1.0, "zero variance": 1.0}
    for name, place in expected.items():
        found = record["lambda_c"][name]
        assert 0 < found["error"] < 0.004
        assert found["value"] == pytest.approx(place, abs=3 * found["error"])
    assert record["lambda_c"]["variational"]["value"] > 1.01
    for phase, slope in SLOPE.items():
        fit = record["zero_variance_fits"][phase]
        assert fit["slope"][0] == pytest.approx(slope, abs=3 * fit["slope"][1]) and fit["dof"] == 11
        zero = record["energies"]["zero variance"][phase]
        pull = (np.array(zero["value"]) - [exact(phase, lam) for lam in LAM]) / zero["error"]
        assert np.abs(pull).max() < 3.5
    assert "| zero variance | " in capsys.readouterr().out


def test_without_other_wavefunctions_there_is_no_zero_variance(study: Any, tmp_path: Path) -> None:
    made_up(tmp_path, np.random.default_rng(4))
    for file in tmp_path.glob("*-crystal.json"):
        file.unlink()
    study.main(tmp_path)
    assert set(json.loads((tmp_path / "crossing.json").read_text())["lambda_c"]) == {"variational", "projected"}
