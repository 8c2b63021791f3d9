"""Models conditioned on the gate distance or the phase: where they can be asked, and what files say about it."""

from __future__ import annotations

import jax
import pytest

from qernel.config import load_config
from qernel.errors import QernelError
from qernel.measure import Model
from qernel.provenance import model_attributes
from qernel.wavefunction import build


@pytest.fixture(scope="module")
def gated() -> Model:
    """An untrained model of two electrons."""
    table = {
        "system": {"electrons": 2, "supercell": [[1, 1], [-1, 2]], "interaction": "dual_gate", "V0": 4.4},
        "family": {"lam": [0.5, 1.5], "gate_distance": [0.5, 2.0], "U": [1.0, 3.0], "phase_deg": [0.0, 20.0]},
        "model": {"width": 8, "blocks": 1, "heads": 2},
    }
    config = load_config(table)
    return Model("gated", config, build(config.model, config.hamiltonian(), key=jax.random.key(0)))


@pytest.mark.parametrize("distance", [0.05, 0.49, -1.0])
def test_a_closer_gate_than_trained_is_refused(gated: Model, distance: float) -> None:
    with pytest.raises(QernelError, match=rf"gate_distance = {distance:g} is closer than 0\.5 a_M"):
        gated.at(1.0, gate_distance=distance)


def test_other_parameters_may_lie_outside(gated: Model) -> None:
    for others in ({"gate_distance": 0.5}, {"gate_distance": 5.0}, {"U": 0.1}, {"phase_deg": -30.0}, {}):
        assert gated.at(1.0, extrapolate=True, **others).lam == 1.0


def test_files_say_what_was_measured(gated: Model) -> None:
    """Files of other U or φ are of another Hamiltonian, of one model too."""
    assert {model_attributes(gated, {})[name] for name in ("U", "phase_deg")} == {2.0, 10.0}
    attributes = model_attributes(gated, {"U": 1.5, "phase_deg": 3.0})
    assert (attributes["U"], attributes["phase_deg"]) == (1.5, 3.0)
