"""Numbers say why their error bars may be too small, and λ far from the training is not answered unasked."""

from __future__ import annotations

import doctest
import json
import math
from pathlib import Path

import numpy as np
import pytest

from qernel import load
from qernel.along import named
from qernel.cli import main
from qernel.errors import RunError
from qernel.estimators import doubts as module
from qernel.estimators import student
from qernel.estimators.doubts import CHAINS, DISAGREE, SAMPLES, UNKNOWN, doubts, doubts_of, sentences
from qernel.estimators.quantity import Quantity
from qernel.estimators.statistics import summarise
from scripts import script


def test_examples() -> None:
    assert doctest.testmod(module).failed == 0 and doctest.testmod(student).failed == 0


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((64, 100), ()),
        ((2, 100), (CHAINS,)),
        ((15, 100), (CHAINS,)),
        ((64, 3), (UNKNOWN,)),
        ((2, 2), (CHAINS, UNKNOWN, SAMPLES)),
        ((1, 2), (CHAINS, UNKNOWN, SAMPLES)),
        ((1, 1), (CHAINS, UNKNOWN, SAMPLES)),
    ],
)
def test_reasons(shape: tuple[int, int], expected: tuple[str, ...]) -> None:
    series = np.random.default_rng(1).normal(size=shape)
    assert doubts_of(summarise(series), shape[0]) == expected


def test_frozen_chains_and_two_modes_are_doubted() -> None:
    frozen = np.repeat(np.random.default_rng(2).normal(size=(20, 1)), 50, axis=1)
    assert doubts_of(summarise(frozen), 20) == (DISAGREE, SAMPLES)
    modes = np.random.default_rng(3).normal(size=(40, 50)) + 9 * (np.arange(40) % 2)[:, None]
    assert DISAGREE in doubts_of(summarise(modes), 40)


def test_an_exact_energy_is_not_doubted() -> None:
    assert doubts_of(summarise(np.full((2, 2), -3.5)), 2) == ()
    assert doubts(2, 0.0, math.nan, math.nan) == ()


def test_sentences_name_each_number_once() -> None:
    reasons = (CHAINS, UNKNOWN)
    found = [(name, lam, reasons) for lam in (0.5, 1.0) for name in ("energy", "moire")]
    few, unknown = sentences(found)
    assert few.count("energy, moire at λ = 0.5, 1") == 1 and "--walkers" in few
    assert unknown.startswith("too few records") and "--samples" in unknown
    assert sentences([("energy", 1.0, ())]) == []
    (many,) = sentences([("energy", lam, (SAMPLES,)) for lam in range(20)])
    assert "and 14 more" in many


def test_a_quantity_carries_and_prints_its_doubts() -> None:
    sure, unsure = Quantity(1.0, 0.1, "E0"), Quantity(2.0, 0.1, "E0", doubts=(CHAINS,))
    assert repr(sure) == "1.00(10) E0" and repr(unsure) == "2.00(10) E0 (doubtful: fewer than 16 chains)"
    assert (sure - unsure).doubts == (2 * unsure).doubts == sum([unsure, unsure, sure]).doubts == (CHAINS,)
    assert "fewer than 16 chains" in unsure._repr_html_() and unsure.number == "2.00(10)"
    assert set(unsure.as_dict()) == {"value", "error"}


@pytest.mark.parametrize("lam", [-1.0, -1e-6, 2.8, 100.0, 1e5])
def test_far_from_the_training_is_asked_for(lam: float) -> None:
    n6 = load("n6")
    low, high = n6.reach["lam"]
    with pytest.raises(RunError, match=rf"is far outside \[0.15, 1.85\].*give {low:g} to {high:g}.*extrapolate=True"):
        n6.at(lam)
    assert n6.at(lam, extrapolate=True).extrapolating
    assert n6.at(high).extrapolating and n6.at(low).extrapolating  # not far: a warning is enough


def test_far_from_the_training_on_the_command_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (["query", "n6"], ["scan", "n6"], ["observe", "n6", "--observable", "energy"]):
        assert main([*command, "--lam", "1", "-1"]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and "lam = -1 is far outside" in err and "--extrapolate" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_two_chains_are_said_everywhere(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    few = ["--lam=-1", "--extrapolate", "--walkers", "2", "--samples", "2"]
    for command in (["query", "n6"], ["scan", "n6"], ["observe", "n6", "--observable", "energy"]):
        assert main([*command, *few, "--json"]) == 0
        out, err = capsys.readouterr()
        assert CHAINS in err and UNKNOWN in err and "extrapolating" in err
        (row,) = json.loads(out)["results"]
        assert {f"energy: {reason}" for reason in (CHAINS, UNKNOWN, SAMPLES)} <= set(row["warnings"])
    assert main(["query", "n6", *few]) == 0
    assert capsys.readouterr().out.rstrip().endswith("errors doubtful, extrapolating")


def test_the_study_measures_coverage(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of docs/errors.md, from few repetitions, and the pieces of a made-up model."""
    study = script("studies/error_bars/coverage.py")
    monkeypatch.setattr(study, "CHAINS", (2, 8))
    study.main(["40"])
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 2 + len(study.PROCESSES) and "→" in rows[-1]
    series = study.autoregressive(np.random.default_rng(0), (64, 40), 3.0)
    monkeypatch.setattr(study, "drawn", lambda *_: {"made up": series})
    study.main(["n6", "1"])
    _, *pieces = [line for line in capsys.readouterr().out.splitlines() if " × " in line]
    within = [float(line.split("|")[3].strip(" %")) / 100 for line in pieces]
    assert len(pieces) == 4 and 0.4 < within[0] < 0.95


def test_transition_repeats_the_doubts_of_a_scan() -> None:
    """R̂ that is large or unknown, and points that the scan itself doubts; a λ is named once."""
    from types import SimpleNamespace

    from qernel.transition import words

    points = np.array([0.5, 0.6, 0.7, 0.8])
    rhat = np.array([1.0, 1.2, math.nan, 1.0])
    scan = SimpleNamespace(points=points, axis=named("lam"), left_out=(), rhat=rhat, doubtful=None)
    (stuck,) = words._warnings(SimpleNamespace(scan=scan))  # type: ignore[arg-type]
    assert "λ = 0.6, 0.7:" in stuck
    scan.doubtful = np.array([False, True, False, True])
    _, few = words._warnings(SimpleNamespace(scan=scan))  # type: ignore[arg-type]
    assert few.endswith("at λ = 0.8.")
