"""Strict numerics for every test, two simulated CPU devices, and the independent reference values."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# To be settled before jax and NumPy are imported.
os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        "--xla_force_host_platform_device_count=2",
        "--xla_cpu_multi_thread_eigen=false",
    ]
).strip()
os.environ.setdefault("PJRT_NPROC", "8")  # see `qernel.runtime.configure`
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["QERNEL_CACHE"] = "off"  # tests of the command line compile what they run, and write nothing outside
# On a busy machine the threads of OpenBLAS wait for each other: a small eigh then takes 400 times longer. It reads
# this once, when NumPy is imported; plugins that import NumPy before (jaxtyping's) have to be off for it to work.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import jax

jax.config.update("jax_enable_x64", True)


@pytest.fixture(scope="session")
def reference() -> dict[str, Any]:
    """Exact and Hartree–Fock values from code that is not part of this project; its ``metadata`` says how."""
    path = Path(__file__).parent / "data" / "exact_and_hartree_fock.json"
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="session")
def start() -> tuple[Any, Any]:
    """Wavefunction and first state of the runs of `runs.settings`."""
    from qernel.training import run
    from runs import settings

    template = run.initial_wavefunction(settings())
    return template, run.initial_state(settings(), template)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, start: tuple[Any, Any]) -> Callable[[Any], None]:
    """Puts a function in the place of the training step, `runs.pretended` to begin with; nothing is compiled."""
    from qernel.training import run
    from runs import pretended

    def use(step: Any) -> None:
        monkeypatch.setattr(run, "training_step", lambda *_: step)

    monkeypatch.setattr(run, "initial_wavefunction", lambda _, **__: start[0])
    monkeypatch.setattr(run, "initial_state", lambda *_: start[1])
    use(jax.jit(pretended))
    return use
