"""Strict numerics for every test, two simulated CPU devices, and the independent reference values."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# To be settled before jax and NumPy are imported; plugins that import NumPy earlier (jaxtyping's) have to be off.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["QERNEL_CACHE"] = "off"  # tests of the command line compile what they run, and write nothing outside
os.environ.pop("QERNEL_DEVICES", None)
from qernel import runtime

LITTLE_EFFORT = (
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
)
"""Compilation is most of what fast tests spend time on: without the first two it takes three to four times as long,
without the last, which keeps a program in one piece, a fifth more."""

COLLECT_AFTER = 200_000
"""Objects made before Python looks for cycles again: tracing makes millions, and the search was a sixth of its time."""


LENIENT = {"test_benchmark"}
"""Files whose tests run with standard dtype promotion: folx promotes in its own code, in single precision."""


def pytest_configure(config: pytest.Config) -> None:
    """Start JAX; only what is computed for minutes is worth compiling with effort."""
    if config.getoption("markexpr") == "not slow":
        os.environ["XLA_FLAGS"] = f"{LITTLE_EFFORT} {os.environ.get('XLA_FLAGS', '')}"
    gc.set_threshold(COLLECT_AFTER)
    runtime.configure(2)
    allow_complex()


def allow_complex() -> None:
    """Let strict promotion multiply real and complex arrays of one precision.

    JAX's own strict rules refuse those as well; complex ψ multiplies real weights and complex orbitals everywhere, and
    no precision is lost or gained there.
    """
    import jax.numpy as jnp
    from jax._src import dtypes

    for real, like in ((jnp.float32, jnp.complex64), (jnp.float64, jnp.complex128)):
        dtypes._strict_lattice_ubs[jnp.dtype(real)].add(jnp.dtype(like))


@pytest.fixture(autouse=True, scope="module")
def promotion(request: pytest.FixtureRequest) -> Iterator[None]:
    """Refuse arrays of different types in one operation, but in the files of `LENIENT`."""
    import jax

    with jax.numpy_dtype_promotion("standard" if request.module.__name__ in LENIENT else "strict"):
        yield


MAPS, LIMIT = Path("/proc/self/maps"), Path("/proc/sys/vm/max_map_count")


@pytest.fixture(autouse=True)
def mappings() -> Iterator[None]:
    """Forget compiled programs in time: each takes hundreds of the mappings that Linux allows a process, and XLA ends
    with a segmentation fault where there are none left."""
    yield
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > 0.6 * int(LIMIT.read_text()):
        import jax

        jax.clear_caches()


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
    import jax

    from qernel.training import run
    from runs import pretended

    def use(step: Any) -> None:
        monkeypatch.setattr(run, "training_step", lambda *_: step)

    monkeypatch.setattr(run, "initial_wavefunction", lambda _, **__: start[0])
    monkeypatch.setattr(run, "initial_state", lambda *_: start[1])
    use(jax.jit(pretended))
    return use
