"""A cut-off that is too low for the potential is said before a long training."""

from __future__ import annotations

import numpy as np
import pytest

from qernel.cli import main
from qernel.cli.shared.doubts import TOLERATED, cutoff_doubt
from qernel.config import Config, load_config
from qernel.hamiltonian.bands import one_body_bands

SHARP = ["family.lam=[0.4,6]", "model.bloch_cutoff=40"]


def bloch(*overrides: str) -> Config:
    return load_config("n2", ["model.ansatz=slater", *overrides])


def test_too_few_waves_are_one_sentence_with_a_number_that_is_enough() -> None:
    """The error is that of the bands at the deepest potential, and what is advised has less than is tolerated."""
    config, said = bloch(*SHARP), cutoff_doubt(bloch(*SHARP))
    assert said.startswith("model.bloch_cutoff = 40 is low for this potential") and "at λ = 6" in said
    advised = float(said.rpartition("give about ")[2])
    low, enough, complete = (
        one_body_bands(config.hamiltonian(), np.array([6.0]), 2, cutoff=cutoff).energies.mean()
        for cutoff in (40.0, advised, 3000.0)
    )
    assert float(said.partition("begin ")[2].split()[0]) == pytest.approx(low - complete, rel=0.2)
    assert enough - complete < 1.5 * TOLERATED < low - complete


@pytest.mark.parametrize("overrides", [[], ["family.lam=[0.4,0.6]", "model.bloch_cutoff=150"]])
def test_enough_waves_are_no_remark(overrides: list[str]) -> None:
    assert cutoff_doubt(bloch(*overrides)) == ""
    assert cutoff_doubt(load_config("n6", SHARP)) == "", "orbitals of the network have no plane waves"


def test_validate_says_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "n2", "--set", "model.ansatz=slater", *SHARP]) == 0
    assert "#   model.bloch_cutoff = 40 is low" in capsys.readouterr().out
