"""The extrapolation to zero variance recovers what it is given, and the records of studies are what it computes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts import script

HERE = Path(__file__).parents[1] / "studies" / "zero_variance"


@pytest.fixture(scope="module")
def study() -> Any:
    return script("studies/zero_variance/variance.py")


@pytest.mark.parametrize("name", ["n24", "n54"])
def test_the_record_is_computed_from_the_training_records(study: Any, name: str) -> None:
    recorded = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))[0]
    table = study.rows(name)
    for entry in recorded["energies"]:
        points = study.usable(table, study.STUDIES[name].phases[entry["phase"]], recorded["largest_variance"])
        assert study.at(study.fitted(points), entry["lam"]) == pytest.approx(entry["value"], abs=1e-3)


def test_known_energies_are_recovered_from_noisy_variances(study: Any) -> None:
    """Two phases with E = E₀(λ) + 1.5 v and crossing at λ = 0.9; the variances are only known to 20 %."""
    rng = np.random.default_rng(3)
    fits = {}
    for phase, slope in (("liquid", -6.0), ("crystal", -8.0)):
        low, high = between = study.STUDIES["n24"].phases[phase]
        block = np.repeat(np.arange(60.0), 40)
        lam = rng.uniform(low, high, block.size)
        variance = 0.08 * np.exp(-block / 25)
        energy = -16.7 + slope * (lam - 0.9) + 1.5 * variance + rng.normal(0.0, 0.01, lam.size)
        seen = variance * rng.normal(1.0, 0.2, lam.size)
        table = np.stack([lam, energy, seen, np.full(lam.size, 0.01), block], axis=1)
        fits[phase] = study.fitted(study.usable(table, between, 0.08))
    assert fits["liquid"][3] == pytest.approx(1.5, abs=0.15)
    assert study.at(fits["liquid"], 0.6) == pytest.approx(-14.9, abs=0.01)
    assert study.crossing(fits["liquid"], fits["crystal"]) == pytest.approx(0.9, abs=0.01)
