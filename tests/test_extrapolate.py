"""Extrapolation to zero variance: against states whose ground-state energy is known, and the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
from scipy.stats import binom

from qernel.cli import main
from qernel.estimators.extrapolate import NEEDED, States, extrapolate
from qernel.estimators.extrapolate_projected import NEEDED as PROJECTED
from qernel.estimators.extrapolate_projected import Pairs, meeting
from qernel.storage import save

TRUE, SLOPE = -17.5, 0.12
ATTRIBUTES = {"V0": 4.44, "U": 10.6, "phase_deg": 45.0, "electrons_up": 24, "electrons_down": 0, "moire_cells": 36}


def made_up(seed: int, variances: np.ndarray, slope: float = SLOPE) -> States:
    """States on the line E = TRUE + slope Var, measured with errors."""
    rng = np.random.default_rng(seed)
    size = np.full(len(variances), 0.002), 0.05 * variances
    energies = TRUE + slope * variances + size[0] * rng.normal(size=len(variances))
    return States(energies, size[0], variances + size[1] * rng.normal(size=len(variances)), size[1])


def results(states: States, index: int, lam: Any, **attributes: Any) -> xarray.Dataset:
    """One state as a file of ``qernel observe``, the same at each λ."""
    columns = (states.energies, states.energy_errors, states.variances, states.variance_errors)
    data = {name: ("lam", np.full(len(lam), column[index])) for name, column in zip(NEEDED, columns, strict=True)}
    return xarray.Dataset(data, {"lam": lam}, ATTRIBUTES | attributes)


def test_variational_states_of_a_matrix_lead_to_its_ground_state() -> None:
    """Ground state plus ever less of a few excited states: E and Var of each exactly, no sampling."""
    rng = np.random.default_rng(3)
    levels = np.concatenate([[TRUE], TRUE + 4.0 + 3.0 * rng.random(6)])
    weights = np.concatenate([[1.0], rng.random(6) ** 2])
    energies, variances = [], []
    for admixture in (0.02, 0.01, 0.005):
        p = weights * np.concatenate([[1.0], np.full(6, admixture)])
        p /= p.sum()
        energies.append(p @ levels)
        variances.append(p @ levels**2 - (p @ levels) ** 2)
    tiny = np.full(3, 1e-9)
    found = extrapolate(1.0, States(np.array(energies), tiny, np.array(variances), tiny), "abc")
    assert found.energy is not None
    # Corrections are of second order in the admixture: 1% of the distance that is extrapolated.
    distance = found.lowest.value - TRUE
    assert abs(found.energy.value - TRUE) < 0.05 * distance
    assert 1 / 7 < found.slope.value < 1 / 4  # the inverse of a mean excitation energy


def test_the_error_holds_the_truth() -> None:
    variances = np.array([0.9, 0.6, 0.4, 0.25])
    found = [extrapolate(1.0, made_up(seed, variances), "abcd", resamples=200) for seed in range(80)]
    assert all(one.energy is not None for one in found)
    held = sum(abs(one.energy.value - TRUE) < one.energy.error for one in found if one.energy)
    low, high = binom.ppf([0.005, 0.995], 80, 0.68)
    assert low <= held <= high
    assert np.mean([one.p_value or 0.0 for one in found]) == pytest.approx(0.5, abs=4 * 0.29 / np.sqrt(80))


def test_no_energy_where_it_does_not_fall_with_the_variance() -> None:
    found = extrapolate(1.0, made_up(0, np.array([0.5, 0.48, 0.46]), slope=0.0), "abc")
    assert found.energy is None and found.as_dict()["energy"] is None
    with pytest.raises(ValueError, match="a line needs two"):
        extrapolate(1.0, made_up(0, np.array([0.5])), "a")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    states = made_up(4, np.array([0.9, 0.5, 0.3]))
    lams = ([0.8, 1.0], [0.8, 1.0], [1.0, 1.2])
    files = [
        str(save(results(states, index, lam), tmp_path / f"stage{index}" / "observables.nc"))
        for index, lam in enumerate(lams)
    ]
    assert main(["extrapolate", *files, "--json", "--out", str(tmp_path / "out")]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data == json.loads((tmp_path / "out" / "extrapolation.json").read_text())
    assert [row["lam"] for row in data["results"]] == [0.8, 1.0]
    two, three = data["results"]
    assert (two["dof"], two["p_value"], three["dof"]) == (0, None, 1) and 0 < three["p_value"] <= 1
    assert abs(three["energy"]["value"] - TRUE) < 3 * three["energy"]["error"] < 0.1
    assert three["lowest"]["value"] == pytest.approx(states.energies.min())
    assert [state["name"] for state in three["states"]] == ["stage0", "stage1", "stage2"]
    assert (tmp_path / "out" / "extrapolation.png").read_bytes().startswith(b"\x89PNG")
    assert main(["extrapolate", *files]) == 0
    assert "not an upper bound" in capsys.readouterr().out
    assert main(["extrapolate", *files, "--out", str(tmp_path / "out")]) == 2
    assert "exist" in capsys.readouterr().err


def test_bad_input_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    states = made_up(4, np.array([0.9, 0.5]))
    good = str(save(results(states, 0, [1.0]), tmp_path / "good.nc"))
    elsewhere = str(save(results(states, 1, [1.1]), tmp_path / "elsewhere.nc"))
    foreign = str(save(results(states, 1, [1.0], V0=5.0), tmp_path / "foreign.nc"))
    screened = results(states, 1, [1.0], terms="moire + dual_gate")
    gated = str(save(screened, tmp_path / "gated.nc"))
    ungated = str(save(results(states, 0, [1.0], terms="moire + coulomb"), tmp_path / "ungated.nc"))
    twisted = str(save(results(states, 1, [1.0], twist_momentum=[0.5, 0.0]), tmp_path / "twisted.nc"))
    bare = str(save(results(states, 1, [1.0]).drop_vars("energy_variance"), tmp_path / "bare.nc"))
    nan = results(states, 1, [1.0])
    nan["energy_error"][0] = np.nan
    broken = str(save(nan, tmp_path / "broken.nc"))
    for line, words in (
        ([good], "alone gives no line"),
        ([good, elsewhere], "no λ in common"),
        ([good, foreign], "V0 = 5.0"),
        ([ungated, gated], "terms = moire + dual_gate"),
        ([good, twisted], "twist_momentum = [0.5 0. ]"),
        ([twisted, good], "twist_momentum = None"),
        ([good, bare], "lacks energy_variance"),
        ([good, broken], "no energy and variance with errors at λ = 1"),
        ([good, "none.nc"], "does not exist"),
    ):
        assert main(["extrapolate", *line]) == 2, line
        out, err = capsys.readouterr()
        assert out == "" and words in err and err.count("\n") == 1, err


RATIO = 0.55


def projected(seed: int, gaps: np.ndarray) -> Pairs:
    """States of which projection takes the same share of the distance to TRUE, measured with errors."""
    rng = np.random.default_rng(seed)
    errors = np.full(len(gaps), 0.002), np.full(len(gaps), 0.003)
    energies = (
        TRUE + share * gaps + size * rng.normal(size=len(gaps))
        for share, size in zip((RATIO, 1.0), errors, strict=True)
    )
    one, other = energies
    return Pairs(one, errors[0], other, errors[1])


def test_projected_and_variational_energies_meet_at_the_truth() -> None:
    gaps = np.array([0.2, 0.14, 0.09, 0.05])
    found = [meeting(1.0, projected(seed, gaps), "abcd", resamples=200) for seed in range(80)]
    assert all(one.energy is not None for one in found)
    held = sum(abs(one.energy.value - TRUE) < one.energy.error for one in found if one.energy)
    low, high = binom.ppf([0.005, 0.995], 80, 0.68)
    assert low <= held <= high
    off = [(one.energy.value - TRUE) / one.energy.error for one in found if one.energy]
    assert abs(np.mean(off)) < 0.5 and np.mean([one.slope.value for one in found]) == pytest.approx(RATIO, abs=0.02)
    # States as far from the truth as each other: any line goes through them.
    alike = meeting(1.0, projected(0, np.full(3, 0.1)), "abc")
    assert alike.energy is None and alike.as_dict()["energy"] is None


def test_the_command_takes_files_of_both_kinds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs, states = projected(1, np.array([0.2, 0.1, 0.05])), made_up(1, np.array([0.9, 0.6, 0.4]))
    files = []
    for index in range(3):
        columns = {name: ("lam", [column[index]]) for name, column in zip(PROJECTED, pairs, strict=True)}
        for stem, data in (
            ("projection", xarray.Dataset(columns, {"lam": [1.0]}, ATTRIBUTES)),
            ("observables", results(states, index, [1.0])),
        ):
            files.append(str(tmp_path / f"run{index}" / f"{stem}.nc"))
            save(data, files[-1])
    out = tmp_path / "out"
    assert main(["extrapolate", *files, "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "where both meet" in text and "at zero variance" in text
    record = json.loads((out / "extrapolation.json").read_text("utf-8"))
    (first,), (second,) = record["results"], record["projected"]
    assert second["energy"]["value"] == pytest.approx(TRUE, abs=4 * second["energy"]["error"])
    assert [row["name"] for row in second["states"]] == ["run0", "run1", "run2"] and first["dof"] == second["dof"] == 1
    assert main(["extrapolate", *files[:3]]) == 2
    assert "is the only file of qernel observe, and one gives no line" in capsys.readouterr().err
