"""Double precision and full matrix products wherever a computation starts, however Qernel and JAX are imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import runs

SOURCE = Path(__file__).parents[1] / "src"
SETTINGS = runs.TINY | {"model": {"ansatz": "slater"}, "train": {**runs.TINY["train"], "iterations": 4}}


def fresh() -> dict[str, str]:
    """The environment of a process that was told nothing about JAX."""
    told = ("JAX_", "XLA_FLAGS", "PJRT_NPROC")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(told)}
    return environment | {"PYTHONPATH": str(SOURCE), "JAX_PLATFORMS": "cpu"}


def python(code: str, folder: Path, **more: str) -> None:
    """Runs ``code`` in such a process."""
    environment, begin = fresh() | more, f"SETTINGS = {SETTINGS}\n"
    subprocess.run([sys.executable, "-c", begin + code], env=environment, cwd=folder, check=True)


@pytest.mark.parametrize(
    "code",
    [
        "import jax; import qernel",
        "import qernel; import jax",
        "import qernel, jax; jax.config.update('jax_enable_x64', False); qernel.load_config(SETTINGS).hamiltonian()",
    ],
    ids=["jax first", "qernel first", "switched off in between"],
)
def test_library_use_gets_double_precision_and_exact_products(code: str, tmp_path: Path) -> None:
    python(
        f"{code}\nimport jax, jax.numpy as jnp\n"
        "assert jnp.ones(1).dtype == 'float64' and jax.config.jax_default_matmul_precision == 'highest'",
        tmp_path,
    )


@pytest.mark.slow
def test_a_run_begun_from_python_goes_on_from_the_command_line(tmp_path: Path) -> None:
    python(
        "import qernel, os, signal\nfrom qernel.errors import Interrupted\n"
        "def stop(iteration, _):\n    if iteration == 3: os.kill(os.getpid(), signal.SIGTERM)\n"
        "try: qernel.train(qernel.load_config(SETTINGS), 'begun', after_step=stop)\n"
        "except Interrupted: pass\n"
        "else: raise SystemExit('was not stopped')\n"
        "qernel.train(qernel.load_config(SETTINGS), 'whole')",
        tmp_path,
    )
    begun, whole = tmp_path / "begun", tmp_path / "whole"
    assert load_file(runs.newest(begun))["tuning.rate"].dtype == np.float64
    line = [sys.executable, "-m", "qernel.cli", "train", "begun/config.toml", "--out", "begun", "--resume"]
    result = subprocess.run(line, env=fresh(), cwd=tmp_path, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "devices" not in result.stderr, "Python and the command line share walkers out alike"
    ends = [load_file(runs.newest(folder)) for folder in (begun, whole)]
    assert ends[0]["iteration"] == ends[1]["iteration"] == 6
    assert ends[0].keys() == ends[1].keys()
    for name, values in ends[0].items():
        np.testing.assert_array_equal(values, ends[1][name], name)


def test_training_in_a_fresh_process_gets_the_devices_of_the_command(tmp_path: Path) -> None:
    """As many as there are cores, and programs that are kept; told by the first thing that training does."""
    code = (
        "import jax, qernel.measure.train\nfrom qernel import runtime\nfrom qernel.training import run\n"
        "def begun(*_, **__):\n"
        "    raise SystemExit(jax.device_count() != 2 or jax.config.jax_compilation_cache_dir is None)\n"
        "runtime.usable_cores, run.train = lambda: 2, begun\n"
        "assert not runtime.started(), 'an import has started JAX'\nqernel.train(SETTINGS, 'run')"
    )
    python(code, tmp_path, QERNEL_CACHE="on", XDG_CACHE_HOME=str(tmp_path))
