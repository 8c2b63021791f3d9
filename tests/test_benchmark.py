"""The benchmark: operation counts, the stages it times, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qernel.benchmark.flops import matmul_flops
from qernel.benchmark.measure import SYSTEMS, Timing, configuration, scaling_exponent
from qernel.benchmark.stages import REFERENCE, STAGES, with_method
from qernel.cli.commands import bench
from qernel.cli.entry import main
from qernel.sampling.devices import walker_mesh
from qernel.training.run import initial_wavefunction

TINY = [
    "model.width=8",
    "model.heads=2",
    "model.blocks=1",
    "model.experts=3",
    "model.expert_width=4",
    "model.shared_width=4",
    "train.walkers=4",
    "train.moves=2",
]


def test_matrix_products_are_counted_as_often_as_they_run() -> None:
    a, b = jnp.ones((3, 4)), jnp.ones((4, 5))
    assert matmul_flops(lambda a, b: jnp.sin(a) @ b, a, b) == 2 * 3 * 4 * 5
    assert matmul_flops(lambda a, b: a @ (1j * b), a, b) == 2 * (2 * 3 * 4 * 5)
    assert matmul_flops(jax.vmap(lambda x: x @ b), a) == 2 * 3 * 4 * 5
    square = jnp.ones((4, 4))

    def loop(x: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(0, 7, lambda _, y: y @ square, x)

    assert matmul_flops(jax.jit(loop), square) == 7 * 2 * 4**3


def test_the_share_of_every_device_is_counted() -> None:
    mesh = walker_mesh(2)
    assert mesh.size == 2
    spec = jax.sharding.PartitionSpec("walkers")
    square = jax.shard_map(lambda a: (a[0] @ a[0])[None], mesh=mesh, in_specs=spec, out_specs=spec)
    assert matmul_flops(square, jnp.ones((2, 3, 3))) == 2 * 2 * 3**3


def test_the_systems_have_filling_two_thirds() -> None:
    for electrons in SYSTEMS:
        system = configuration(electrons, []).system
        assert 3 * system.count == 2 * system.cells


def test_both_sides_of_a_comparison_compute_the_same_local_energies() -> None:
    config = configuration(2, [*TINY, "train.precision=float64"])
    template = initial_wavefunction(config)
    results = []
    for method in ("forward", REFERENCE):
        function, arguments = STAGES["local_energy"].build(with_method(config, method), template, walker_mesh(4))
        results.append(jax.jit(function)(*arguments).total)
    np.testing.assert_allclose(results[0], results[1], rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("ansatz", ["qernel", "psiformer", "slater"])
@pytest.mark.parametrize("electrons", [24, 54])
def test_the_oracle_agrees_at_the_sizes_that_matter(ansatz: str, electrons: int) -> None:
    """Network and Bloch orbitals in turn; with as many electrons as need several chunks of queries."""
    orbitals = "network" if electrons == 54 else "bloch"
    settings = [f"model.ansatz={ansatz}", f"model.orbitals={orbitals}", "model.bloch_cutoff=30.0"]
    config = configuration(electrons, [*settings, "train.precision=float64", "train.walkers=2"])
    template = initial_wavefunction(config)
    results = []
    for method in ("forward", REFERENCE):
        function, arguments = STAGES["local_energy"].build(with_method(config, method), template, walker_mesh(2, 1))
        results.append(jax.jit(function)(*arguments).kinetic)
    np.testing.assert_allclose(results[0], results[1], rtol=1e-10)


def test_the_command_knows_every_stage() -> None:
    assert tuple(STAGES) == bench.STAGES


def test_scaling_exponent() -> None:
    def timing(electrons: int, ms: float) -> Timing:
        return Timing(electrons, "forward", 1, 4, ms, 0.0, None, None, 0.5, None)

    cubic = [timing(n, 0.01 * n**3) for n in (24, 54, 96)]
    assert scaling_exponent([timing(6, 100.0), *cubic]) == pytest.approx(3.0, abs=1e-4)
    assert scaling_exponent(cubic[:1]) is None


def test_the_command_writes_what_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "bench"
    line = ["bench", "--electrons", "2", "--stage", "forward", "local_energy", "--out", str(out), "--set", *TINY]
    assert main([*line, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data == json.loads((out / "bench.json").read_text("utf-8"))
    forward, energy = data["results"]
    assert (forward["electrons"], forward["stage"], forward["ratio"]) == (2, "forward", None)
    assert energy["ratio"] > 0 and energy["reference_ms_per_walker"] > 0 and 0 < energy["matmul_fraction"] < 1
    assert "local_energy" in (out / "bench.txt").read_text("utf-8")
    assert main(line) == 2
    assert "already exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--electrons", "7"], "fills no supercell of the benchmark: choose from 2, 6, 24, 54, 96, 150"),
        (["--devices", "4096"], "is more than the"),
        (["--stage", "lunch"], "invalid choice: 'lunch'"),
        (["--electrons", "2", "--set", "model.widht=8"], "model.widht"),
    ],
)
def test_misuse_is_one_sentence(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bench"
    assert main(["bench", "--out", str(out), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()
