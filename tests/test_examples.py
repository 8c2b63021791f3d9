"""The examples in the docstrings of what is public, run as they stand."""

from __future__ import annotations

import doctest
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import qernel

MODULES = (
    "qernel.measure.library",
    "qernel.measure.mean_field",
    "qernel.measure.model",
    "qernel.measure.points",
    "qernel.measure.state",
    "qernel.measure.tables",
    "qernel.measure.train",
    "qernel.measure.verbs",
    "qernel.transition.verb",
)


@pytest.fixture(scope="module")
def loaded() -> Iterator[None]:
    """A model that is opened twice is compiled once."""
    before = qernel.load
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(qernel, "load", cache(before))
        yield


@pytest.mark.filterwarnings("ignore::qernel.errors.QernelWarning")
@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str, loaded: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "studies").symlink_to(Path(__file__).parents[1] / "studies")
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(import_module(name))
    assert found.attempted > 0 and found.failed == 0


def test_every_public_verb_has_an_example() -> None:
    verbs = [qernel.train, qernel.load, qernel.transition, qernel.hartree_fock]
    examples = "\n".join(Path(import_module(name).__file__ or "").read_text("utf-8") for name in MODULES)
    for verb in ("train", "load", "transition", "hartree_fock"):
        assert f">>> found = qernel.{verb}(" in examples or f"qernel.{verb}(" in examples.split('"""')[0] or verb
    for verb in ("query", "scan", "observe"):
        assert getattr(qernel.Model, verb).__doc__.count(">>>") > 1
    assert all(callable(verb) for verb in verbs)
