"""Answers between the points of a map over two parameters: met exactly, with honest errors, never across phases."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray

import qernel
from qernel.ask import candidates
from qernel.ask.materials import setting
from qernel.estimators.phases import flag
from qernel.measure.answers import Wanted, answered
from qernel.measure.energies import ENERGIES
from qernel.measure.interpolate import between
from qernel.measure.shelf import Shelf, models_folder, shelved
from qernel.measure.stored import Results
from qernel.storage import save

LAM = np.array([0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6])
Law = Callable[[Any, Any], Any]


def cubic(lam: Any, u: Any) -> Any:
    return -6.0 - 3.0 * lam - u + 0.4 * lam**2 * u - 0.05 * lam * u**2 + 0.3 * lam**3


def liquid(lam: Any, u: Any) -> str:
    return "liquid"


class Stored:
    """A folder with files of results, and the shipped model that could have made them.

    Args:
        folder: for the files.
    """

    def __init__(self, folder: Path) -> None:
        found = shelved("lem")
        assert found is not None
        self.about = qernel.open(models_folder() / "lem" / "observables.nc").attrs
        self.shelf = replace(found, folder=folder)
        low, high = found.ranges["U"]
        self.grid = np.linspace(low + 0.5, high - 0.5, 6)

    def put(
        self,
        name: str,
        u: float,
        law: Law = cubic,
        error: float = 0.01,
        phase: Callable[[float, float], str] = liquid,
        noise: Sequence[Any] = (0.0, 0.0, 0.0),
    ) -> None:
        """A file along λ at one U: energies share out a law."""
        shares = {"kinetic": 1.5, "moire": -1.0, "interaction": 0.5}
        data: dict[str, Any] = {}
        for (part, share), shift in zip(shares.items(), noise, strict=True):
            data[part] = ("lam", share * law(LAM, u) + shift)
        data["energy"] = ("lam", sum(values for _, values in data.values()))
        data |= {f"{part}_error": ("lam", np.full(len(LAM), error)) for part in ENERGIES}
        data["order_parameter"] = ("lam", np.full(len(LAM), 0.02))
        data["order_parameter_error"] = ("lam", np.full(len(LAM), 0.001))
        data["phase"] = ("lam", *flag([phase(lam, u) for lam in LAM]))
        save(xarray.Dataset(data, {"lam": LAM, "U": float(u)}, self.about), self.shelf.folder / name)  # type: ignore[operator]

    def map(self, **options: Any) -> Results:
        """A map, as ``qernel scan --over U`` leaves one."""
        for u in self.grid:
            self.put(f"map/U={u:.6g}/energies.nc", u, **options)
        return Results(self.shelf)


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    return Stored(tmp_path)


def test_a_cubic_of_both_is_met_exactly(stored: Stored) -> None:
    results, u = stored.map(error=0.0), 0.4 * stored.grid[1] + 0.6 * stored.grid[2]
    found = results.at("lam", 0.93, {"U": u})
    assert found is not None and found.origin == "interpolated" and found.values == pytest.approx({"lam": 0.93, "U": u})
    assert found.energy.value == pytest.approx(cubic(0.93, u), rel=1e-9)
    assert found.interaction.value == pytest.approx(0.5 * cubic(0.93, u), rel=1e-9)
    assert "U = " in found.source and "λ = 0.8, 1, 0.6, 1.2" not in found.source and found.source.endswith("seed 1")
    assert found.phase == "liquid" and found.phase_why.startswith("|ρ_K|² = 0.0200 ± 0.00")
    again = results.at("U", u, {"lam": 0.93})
    assert again is not None and again.energy.value == pytest.approx(found.energy.value)


def test_at_a_stored_point_it_is_what_was_measured(stored: Stored) -> None:
    results, u = stored.map(), float(stored.grid[2])
    found = results.at("lam", 1.0, {"U": u})
    assert found is not None and found.origin == "stored" and found.energy.value == pytest.approx(cubic(1.0, u))
    on_a_line = results.at("lam", 1.0, {"U": u + 0.1})
    assert on_a_line is not None and "λ" not in on_a_line.source and on_a_line.origin == "interpolated"


def test_errors_hold_what_noise_and_the_polynomials_miss(stored: Stored) -> None:
    """Deviations over errors, at many places with noise of its own each, where the law is no polynomial."""
    error, rng, pulls = 0.01, np.random.default_rng(5), []

    def law(lam: Any, u: Any) -> Any:
        return -8.0 * np.sqrt(1.0 + lam**2) - 4.0 * np.sqrt(u) - 0.3 * lam * u**1.3

    for u in stored.grid:
        stored.put(
            f"map/U={u:.6g}/energies.nc", u, law, error, noise=rng.normal(0.0, error / math.sqrt(3), (3, len(LAM)))
        )
    results = Results(stored.shelf)
    for lam in (0.5, 0.7, 0.9, 1.1, 1.3):
        for u in 0.5 * (stored.grid[1:] + stored.grid[:-1]):
            found = results.at("lam", lam, {"U": float(u)})
            assert found is not None
            pulls.append((found.energy.value - law(lam, u)) / found.energy.error)
    assert len(pulls) == 25 and np.mean(np.square(pulls)) < 1.5 and np.max(np.abs(pulls)) < 3.5
    assert np.mean(np.square(pulls)) > 0.02, "errors are not absurdly large"


def test_errors_of_one_sign_do_not_average_out() -> None:
    rule = between(np.array([0.0, 1.0, 2.0, 3.0]), 1.5, ["liquid"] * 4)
    assert rule is not None
    flat, errors = np.zeros(4), np.ones(4)
    plain, together = rule.of(flat, errors)[1], rule.of(flat, errors, alike=True)[1]
    assert plain < together == pytest.approx(np.abs(rule.weights).sum())


def test_nothing_is_said_across_phases_or_beyond_the_map(stored: Stored) -> None:
    middle = float(stored.grid[2] + stored.grid[3]) / 2

    def phase(lam: float, u: float) -> str:
        return "liquid" if (lam < 1.1 if u < middle else lam < 0.7) else "crystal"

    results = stored.map(phase=phase)
    assert results.at("lam", 0.9, {"U": middle}) is None
    first, last = (results.at("lam", lam, {"U": middle}) for lam in (0.5, 1.3))
    assert first is not None and last is not None and (first.phase, last.phase) == ("liquid", "crystal")
    assert results.at("lam", 0.9, {"U": float(stored.grid[0]) - 0.1}) is None
    ((low, high),) = results.around("lam", {"U": middle})
    assert (float(low["U"]), float(high["U"])) == pytest.approx(tuple(stored.grid[2:4]))


def test_nothing_is_said_between_points_that_are_undecided(stored: Stored) -> None:
    """Chains of a first-order transition are in one phase here and in the other there: no number follows from them."""

    def phase(lam: float, u: float) -> str:
        return "liquid" if lam < 0.9 else "undecided" if lam < 1.3 else "crystal"

    results, between_rows = stored.map(phase=phase), 0.5 * float(stored.grid[1] + stored.grid[2])
    assert results.at("lam", 1.0, {"U": between_rows}) is None
    assert results.at("lam", 1.1, {"U": float(stored.grid[2])}) is None
    measured = results.at("lam", 1.0, {"U": float(stored.grid[2])})
    assert measured is not None and (measured.origin, measured.phase) == ("stored", "undecided")


def test_rows_on_both_sides_of_one_that_says_nothing_are_not_joined(stored: Stored) -> None:
    """At one U the phase changes around this λ; those beside it are all liquid there."""
    a, b, odd, *rest = map(float, stored.grid)
    for u in (a, b, *rest):
        stored.put(f"map/U={u:.6g}/energies.nc", u)
    assert Results(stored.shelf).at("lam", 0.9, {"U": odd}) is not None
    stored.put("map/odd/energies.nc", odd, phase=lambda lam, u: "liquid" if lam < 0.9 else "crystal")
    for u in (odd - 0.1, odd, odd + 0.1):
        assert Results(stored.shelf).at("lam", 0.9, {"U": u}) is None
    beyond = Results(stored.shelf).at("lam", 0.9, {"U": 0.5 * (rest[0] + rest[1])})
    assert beyond is not None and f"{b:g}" not in beyond.source and f"{odd:g}" not in beyond.source


def test_a_file_of_the_model_is_a_row_of_its_map(stored: Stored) -> None:
    """The file beside a shipped model closes a hole of the map; fewer than three rows say nothing."""
    a, b, c, *_ = map(float, stored.grid)
    stored.put("map/a/energies.nc", a)
    stored.put("map/b/energies.nc", b)
    assert Results(stored.shelf).at("lam", 0.9, {"U": (a + b) / 2}) is None
    stored.put("observables.nc", c)
    assert Results(stored.shelf).at("lam", 0.9, {"U": (a + b) / 2}) is not None


def test_query_answers_from_a_map_at_once(stored: Stored) -> None:
    def never() -> Any:
        raise AssertionError("nothing was to be sampled")

    stored.map()
    u = float(stored.grid[1] + stored.grid[2]) / 2
    (found,) = answered(stored.shelf, Wanted([0.9], at={"U": u}), never).results
    assert found.origin == "interpolated" and isinstance(stored.shelf, Shelf)


def test_ask_answers_from_a_map_at_once(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample whose U lies between two rows: its phase and energies, and where the phase changes in both of them."""
    middle = float(stored.grid[2] + stored.grid[3]) / 2

    def phase(lam: float, u: float) -> str:
        return "liquid" if lam < (0.9 if u < middle else 1.1) else "crystal"

    stored.map(phase=phase)
    monkeypatch.setattr(candidates, "on_the_shelf", lambda *_: (stored.shelf, pytest.fail))
    monkeypatch.setattr(candidates, "_systems", lambda shelf: [(shelf.config.system, {})])
    dielectric = setting("default").material.U * setting("default")["dielectric"] / middle
    liquid, between_both, crystal = (
        qernel.ask("default", depth=15 * lam, epsilon=dielectric, models=["lem"]) for lam in (0.5, 1.0, 1.3)
    )
    assert (liquid.word, between_both.word, crystal.word) == ("liquid", "undecided", "crystal")
    assert all(found.inside for found in (liquid, between_both, crystal))
    answer = liquid.said[0].answer
    assert answer is not None and answer.origin == "interpolated"
    assert answer.energy.value == pytest.approx(cubic(0.5, middle))
    assert liquid.said[0].change == crystal.said[0].change == (0.8, 1.2)
    assert "between λ = 0.8 and 1.2" in liquid.sentence


def test_seven_digits_of_a_parameter_are_the_parameter(stored: Stored) -> None:
    stored.put("observables.nc", 10.623473)
    found = Results(stored.shelf).at("lam", 1.0, {"U": setting("default").material.U})
    assert found is not None and found.origin == "stored"
    assert Results(stored.shelf).at("lam", 1.0, {"U": 10.6235}) is None
