"""Runs that diverge at once: judged by the Hamiltonian, from the first update on, and given up in clear words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from qernel.errors import RunError
from qernel.estimators.possible import impossible
from qernel.estimators.quantity import Quantity
from qernel.hamiltonian.bounds import bounds
from qernel.training import limits
from qernel.training.checkpoint import Checkpoints
from qernel.training.events import EVENTS_FILE
from qernel.training.limits import Limits
from qernel.training.run import train
from qernel.training.state import TrainState
from qernel.training.step import StepInfo
from runs import GROUPS, Step, measured, newest, pretended, settings

HAMILTONIAN = settings().hamiltonian()
BOUND = bounds(HAMILTONIAN, [0.9]).total


def test_what_no_iteration_may_show() -> None:
    watch = Limits(lambda _: HAMILTONIAN)
    assert watch.judge(measured()) is None
    assert watch.judge(measured(median=np.array([-14.0, BOUND + 0.5]))) is None
    assert watch.judge(measured(median=np.array([1e9, np.nan]))) is None, "high energies are for the monitor"
    for changes, words in (
        ({"median": np.array([-14.0, BOUND - 0.5])}, "no state of the Hamiltonian is below"),
        ({"median": np.array([-14.0, -1.5e18])}, "energy per electron is -1.5e\\+18 E0"),
        ({"moire": np.array([0.0, -30.0]), "interaction": np.array([0.0, -20.0])}, "no configuration of electrons"),
    ):
        found = watch.judge(measured(**changes))
        assert found is not None and found.impossible and found.group == 1
        with pytest.raises(RuntimeError, match=words):
            raise RuntimeError(found.what)


@pytest.mark.parametrize(("mean", "seen"), [(-3.0, True), (-0.1, False), (4.0, False)])
def test_a_negative_kinetic_energy_beyond_its_error(mean: float, seen: bool) -> None:
    noise = np.random.default_rng(3).standard_normal((limits.WINDOW, GROUPS))
    watch = Limits(lambda _: HAMILTONIAN)
    found = [watch.judge(measured(kinetic=np.array([4.0, mean]) + x)) for x in noise]
    assert all(one is None for one in found[:-1]) and (found[-1] is not None) == seen
    if found[-1] is not None:
        assert found[-1].group == 1 and "mean kinetic energy" in found[-1].what


@pytest.mark.parametrize(
    ("acceptance", "width", "words"),
    [(0.001, 0.3, "stand still"), (0.999, 9.0, "same everywhere"), (0.999, 0.01, ""), (0.05, 0.01, ""), (0.9, 9.0, "")],
)
def test_walkers_that_do_not_sample(acceptance: float, width: float, words: str) -> None:
    """Only once the step width has had the time to adapt."""
    watch = Limits(lambda _: HAMILTONIAN)
    info = measured(acceptance=np.array([0.5, acceptance]), width=np.array([0.3, width]))
    found = [watch.judge(info) for _ in range(limits.ADAPTION)]
    assert all(one is None for one in found[:-1])
    assert (found[-1] is None) if not words else (found[-1] is not None and words in found[-1].what)


def diverging(after: int, sound: int = 10**9) -> Step:
    """The pretended step, with impossible energies for states after an iteration, the first ``sound`` times not."""
    step, seen = jax.jit(pretended), [0]

    def stepped(state: TrainState) -> tuple[TrainState, StepInfo]:
        iteration = int(state.iteration)
        new, info = step(state)
        if iteration > after:
            seen[0] += 1
            if seen[0] <= sound:
                info = measured(median=np.array([-14.0, -97000.0]))
        return new, info

    return stepped


def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / EVENTS_FILE).read_text().splitlines()]


@pytest.mark.parametrize("iterations", [1, 2, 4, 40])
def test_divergence_with_the_first_update_is_given_up(
    iterations: int, fake: Callable[[Step], None], tmp_path: Path
) -> None:
    """However few iterations there are: also when only the one after the last would show it."""
    fake(diverging(after=2))  # burn-in
    with pytest.raises(RunError, match=r"-9.7e\+04 E0, where no state .* the checkpoint that is left is .* untrained"):
        train(settings(iterations=iterations), tmp_path / "run")
    assert len(events(tmp_path / "run")) == 4 and newest(tmp_path / "run").stem.endswith("002")


def test_a_run_goes_back_from_impossible_energies(fake: Callable[[Step], None], tmp_path: Path) -> None:
    fake(diverging(after=30, sound=5))
    out = train(settings(iterations=60, checkpoint_every=10), tmp_path / "run")
    (event,) = events(out)
    assert event["iteration"] == 36 and event["back_to"] == 25 and event["group"] == 1
    assert newest(out).stem.endswith("062")


def test_what_was_checked_is_what_is_called_good(fake: Callable[[Step], None], tmp_path: Path) -> None:
    """The newest checkpoint is a state whose own energies were possible; one that was read may have none."""
    fake(diverging(after=40))
    with pytest.raises(RunError, match="checkpoint at iteration 40 is the last with energies above all bounds"):
        train(settings(iterations=60, checkpoint_every=10), tmp_path / "run")
    assert newest(tmp_path / "run").stem.endswith("040")
    fake(diverging(after=0))
    with pytest.raises(RunError, match="checkpoint at iteration 40 is not good either"):
        train(settings(iterations=60, checkpoint_every=10), tmp_path / "run", resume=True)


def test_one_look_after_the_last_iteration_changes_nothing(fake: Callable[[Step], None], tmp_path: Path) -> None:
    once = settings(iterations=4)
    out = train(once, tmp_path / "run")
    assert newest(out).stem.endswith("006") and Checkpoints.of(out, once).finished()
    assert not (out / EVENTS_FILE).exists()


# Measured numbers


def energies(**changes: Quantity) -> dict[str, Quantity]:
    sound = {"kinetic": Quantity(4.0, 0.1), "moire": Quantity(-9.0, 0.1), "interaction": Quantity(-12.0, 0.1)}
    return {**sound, "energy": Quantity(-17.0, 0.1), **changes}


@pytest.mark.parametrize(
    ("changes", "acceptance", "words"),
    [
        ({}, 0.5, ""),
        ({}, None, ""),
        ({"kinetic": Quantity(-0.2, 0.1)}, 0.5, ""),
        ({"kinetic": Quantity(-0.7, 0.1)}, 0.5, "kinetic energy -0.70(10) cannot be below 0"),
        ({"kinetic": Quantity(-3.0, float("nan"))}, 0.5, ""),
        ({"kinetic": Quantity(-9.7e4, 4e4)}, 0.5, "kinetic energy"),
        ({"energy": Quantity(-1.5e18, 1e18)}, 0.5, "energy"),
        ({"moire": Quantity(-30.0, 20.0)}, 0.5, "moiré energy"),
        ({"interaction": Quantity(-21.0, 20.0)}, 0.5, "interaction energy"),
        ({}, 0.0, "the chains stand still (acceptance 0.0%)"),
        ({}, 0.995, "hardly changes"),
    ],
)
def test_measured_energies(changes: dict[str, Quantity], acceptance: float | None, words: str) -> None:
    said = impossible(HAMILTONIAN, [0.9], energies(**changes), acceptance)
    assert (words in said) if words else said == ""
