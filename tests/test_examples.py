"""The examples in the docstrings of what is public, run as they stand."""

from __future__ import annotations

import doctest
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import qernel
from qernel.measure import Model, State

SOURCE = Path(__file__).parents[1] / "src"

SAMPLING = ("qernel.measure.library", "qernel.measure.model", "qernel.measure.state", "qernel.measure.verbs")
"""Their examples ask one model, which is compiled once."""

TRAINING = ("qernel.measure.train", "qernel.measure.grow")

ALONE = [
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(SOURCE.rglob("*.py"))
    if ">>> " in path.read_text("utf-8")
]
ALONE = [name for name in ALONE if name not in (*SAMPLING, *TRAINING)]
"""Modules whose examples take no time."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in which examples may write, and read the stored results."""
    (tmp_path / "studies").symlink_to(Path(__file__).parents[1] / "studies")
    monkeypatch.chdir(tmp_path)


def check(name: str) -> None:
    found = doctest.testmod(import_module(name))
    assert found.attempted > 0 and found.failed == 0


@pytest.mark.parametrize("name", ALONE)
def test_examples(name: str) -> None:
    check(name)


@pytest.mark.filterwarnings("ignore::qernel.errors.QernelWarning")
def test_examples_with_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qernel, "load", cache(qernel.load))
    for name in SAMPLING:
        check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINING)
def test_examples_that_begin_runs(name: str) -> None:
    check(name)


def test_every_verb_has_an_example() -> None:
    where = {"load": "measure.library", "train": "measure.train", "hartree_fock": "measure.mean_field"}
    where |= {"transition": "transition.verb", "grow": "measure.grow"}
    verbs = [getattr(import_module(f"qernel.{module}"), name) for name, module in where.items()]
    verbs += [getattr(Model, name) for name in ("at", "query", "scan", "map", "observe", "diagnose", "project")]
    verbs += [getattr(State, name) for name in ("energy", "observe", "sample", "chains", "log_psi")]
    assert not [verb for verb in verbs if ">>> " not in (verb.__doc__ or "")]
