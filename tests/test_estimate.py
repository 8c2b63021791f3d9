"""What ``qernel validate`` predicts, against what the compiled training step asks for."""

from __future__ import annotations

import jax
import pytest

from qernel.cli import estimate
from qernel.config import load_config
from qernel.training.run import initial_state, initial_wavefunction, training_step


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_memory_within_a_factor_of_one_and_a_half(devices: int, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config("n2", ["train.groups=2"])
    monkeypatch.setattr(estimate, "matmul_rate", lambda _: 1e11)
    monkeypatch.setattr(jax, "device_count", lambda: devices)
    predicted = estimate.estimate(config).memory
    template = initial_wavefunction(config)
    state = jax.eval_shape(lambda: initial_state(config, template))
    needs = training_step(config, template, devices=devices).lower(state).compile().memory_analysis()
    assert needs is not None
    each = needs.temp_size_in_bytes + needs.argument_size_in_bytes + needs.output_size_in_bytes
    assert 1 / 1.5 < predicted / (devices * each) < 1.5
