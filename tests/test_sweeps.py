"""Chains carried in λ and chains that start as crystals: where they start, what they say, what is stored."""

from __future__ import annotations

import csv
import itertools
import json
import shlex
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qernel
from qernel.cli import main
from qernel.config import load_config
from qernel.errors import ConfigError, NotFinite, RunError
from qernel.estimators.chains import ChainSampler, Record, Replicas
from qernel.estimators.order_parameter import crystal_order
from qernel.hamiltonian.terms.moire import moire_potential
from qernel.lattice import displacement, wrap
from qernel.measure import Model
from qernel.measure.kept import Kept
from qernel.measure.replicas import exchanged
from qernel.measure.sweeps import swept
from qernel.observables.registry import SCANNED, make
from qernel.sampling.starts import registry_positions, settle, start_walkers
from qernel.structure import PHASES
from qernel.training.run import initial_state, initial_wavefunction
from qernel.transition import Curve, read_scan
from qernel.transition.reading import merged
from runs import TINY

SMALL = load_config({**TINY, "model": {"ansatz": "slater"}, "sample": {"walkers": 6, "samples": 12, "burn_in": 4}})


class Remembering:
    """Stands in for `ChainSampler`: chains in a harmonic well around λ that forget half of where they were."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def records(self, point: jax.Array, *, samples: int, seed: int, start: Any, **options: Any) -> Iterator[Record]:
        lam = float(point[0])
        self.asked.append({"lam": lam, "seed": seed, "start": start})
        rng = np.random.default_rng(seed)
        positions = rng.normal(size=(6, 2, 2)) if start is None else start
        for _ in range(samples):
            positions = 0.5 * positions + 0.5 * lam + 0.1 * rng.normal(size=(6, 2, 2))
            noise = rng.normal(size=6)
            yield Record(noise, noise - 5.0 * lam, noise, noise, 0 * noise, positions, np.full(6, 0.5))

    def replicas(self, points: jax.Array, *, samples: int, seed: int, **options: Any) -> Iterator[Replicas]:
        self.asked.append({"lam": np.asarray(points)[:, 0].tolist(), "seed": seed})
        columns = [
            self.records(point, samples=samples, seed=seed + 100 * g, start=None) for g, point in enumerate(points)
        ]
        for records in zip(*columns, strict=True):
            yield Replicas(list(records), np.array([0.5, 0.01, *[0.9] * (len(points) - 3)]))

    def reweighed(self, points: jax.Array, record: Record) -> tuple[np.ndarray, Record]:
        """|ψ_λ|² is Gaussian in one coordinate, with its mean at λ and the width `WIDTH`; the energy is its square."""
        here, there = np.asarray(points)[:, 0]
        x = record.positions[:, 0, 0]
        squares = 2 * x**2
        log = ((x - here) ** 2 - (x - there) ** 2) / (2 * WIDTH**2)
        return log, record._replace(kinetic=squares, moire=0 * x, interaction=0 * x)


WIDTH = 0.2


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    """A model whose chains cost nothing, under the name small."""
    wavefunction = types.SimpleNamespace(hamiltonian=SMALL.hamiltonian(), weight=np.ones(2))
    fake = Model("small", SMALL, wavefunction)
    sampler = Remembering()
    monkeypatch.setattr(Model, "sampler", lambda self, walkers: sampler)
    monkeypatch.setattr(Model, "parameters", 2)
    monkeypatch.setattr(qernel.measure, "load", lambda run: fake)
    object.__setattr__(fake, "chains", sampler)
    return fake


def test_chains_go_on_where_they_ended(model: Model) -> None:
    lams = [0.5, 0.6, 0.7]
    states = [model.at(lam) for lam in lams]
    begun: list[Any] = []
    start = np.full((6, 2, 2), 0.25)
    down = swept(states, "down", seed=3, start=start, begin=begun.append)
    asked = model.chains.asked  # type: ignore[attr-defined]
    assert [state.lam for state in begun] == [0.7, 0.6, 0.5] == [one["lam"] for one in asked]
    assert [one.lam for one in down] == lams and {one.direction for one in down} == {"down"}
    assert asked[0]["start"] is start
    for before, after in itertools.pairwise(asked):
        again = list(Remembering().records(np.array([before["lam"]]), samples=12, **_without(before)))
        np.testing.assert_array_equal(after["start"], again[-1].positions)
    up = swept(states, "up", seed=3)
    assert asked[3]["start"] is None and up[0].direction == "up"
    assert len({one["seed"] for one in asked}) == 6  # no two λ, no two directions have the same noise
    with pytest.raises(ValueError, match="use up or down"):
        swept(states, "left")


def _without(asked: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if name != "lam"}


@pytest.mark.parametrize("sweep", ["fresh", "down"])
def test_a_scan_that_was_cut_short_goes_on(
    sweep: str, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ["scan", "small", "--lam", "0.5", "0.6", "0.7", "--sweeps", sweep, "--observable", "density"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert main([*line, "--out", str(whole)]) == 0
    asked = model.chains.asked  # type: ignore[attr-defined]
    assert len(asked) == 3
    drawn, third = Remembering.records, asked[2]["lam"]

    def interrupted(self: Remembering, point: jax.Array, **options: Any) -> Iterator[Record]:
        for index, record in enumerate(drawn(self, point, **options)):
            if float(point[0]) == third and index == 5:
                raise KeyboardInterrupt
            yield record

    monkeypatch.setattr(Remembering, "records", interrupted)
    assert main([*line, "--out", str(cut)]) == 130
    again = shlex.join(["qernel", *line, "--out", str(cut)])
    assert f"qernel: stopped, everything is saved; to go on: {again}\n" in capsys.readouterr().err
    assert [path.name for path in cut.iterdir()] == ["unfinished"]
    kept = sorted((cut / "unfinished").iterdir())
    assert len(kept) == 2
    kept[0].write_bytes(kept[0].read_bytes()[:-7])  # a damaged one is drawn again
    (cut / "unfinished" / "mine").touch()
    monkeypatch.setattr(Remembering, "records", drawn)
    asked.clear()
    assert main([*line, "--out", str(cut)]) == 0
    assert len(asked) == 2 and asked[1]["lam"] == third
    assert (cut / "energies.csv").read_bytes() == (whole / "energies.csv").read_bytes()
    one, other = (qernel.open(folder / "observables.nc") for folder in (whole, cut))
    np.testing.assert_array_equal(one["density_error"], other["density_error"])
    assert [path.name for path in (cut / "unfinished").iterdir()] == ["mine"] and not (whole / "unfinished").exists()


def test_kept_chains_are_those_asked_for(model: Model, tmp_path: Path) -> None:
    """Everything the chains depend on is in the name of their file."""
    asked = model.chains.asked  # type: ignore[attr-defined]
    start = np.zeros((6, 2, 2))
    other = Model("small", SMALL, types.SimpleNamespace(hamiltonian=SMALL.hamiltonian(), weight=np.ones(2)), None)
    settings: list[dict[str, Any]] = [{}, {"seed": 5}, {"samples": 9}, {"start": start}, {"start": start + 1.0}]
    with pytest.raises(KeyboardInterrupt), model.remembering(tmp_path) as remembered:
        first = [remembered.at(0.6).energy(**each) for each in settings]
        remembered.at(0.7).energy()
        with pytest.raises(KeyboardInterrupt), other.remembering(tmp_path) as same:
            assert same.at(0.6).energy() == first[0]
            raise KeyboardInterrupt
        raise KeyboardInterrupt
    assert len(asked) == len(settings) + 1 == len(list(tmp_path.iterdir()))
    with model.remembering(tmp_path) as remembered:
        assert [remembered.at(0.6).energy(**each) for each in settings] == first
        assert len(asked) == len(settings) + 1
    assert not tmp_path.exists()


def test_the_order_parameter_of_energies_is_the_one_of_the_kernel(model: Model) -> None:
    state = model.at(0.6)
    found = state.energy(seed=5)
    records = list(Remembering().records(np.array([0.6]), samples=12, seed=5, start=None))
    cell = model.hamiltonian.supercell
    series = [[float(crystal_order(jnp.asarray(x), cell)) for x in record.positions] for record in records]
    assert found.order_parameter is not None
    assert found.order_parameter.value == pytest.approx(np.mean(series), rel=1e-12)
    assert 0 < found.order_parameter.error < 0.2 and np.isfinite(found.order_parameter_rhat)


def test_a_sweep_is_written_and_read(model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "scan"
    line = ["scan", "small", "--lam", "0.5:1.0:7", "--sweeps", "up", "down", "--out", str(out)]
    line += ["--observable", "structure_factor", "--json"]
    assert main(line) == 0
    data = json.loads(capsys.readouterr().out)
    assert set(data) == {"system", "model", "results", "sweeps"} and set(data["sweeps"]) == {"up", "down"}
    assert data["results"] == data["sweeps"]["up"]
    assert {row["direction"] for row in data["sweeps"]["down"]} == {"down"}
    assert set(data["results"][0]["order_parameter"]) == {"value", "error"}
    with (out / "energies.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["direction"] for row in rows] == ["up"] * 7 + ["down"] * 7
    stored = qernel.open(out / "energies.nc")
    np.testing.assert_array_equal(stored["energy"], stored["energy_up"])
    assert float(stored["interaction_down"][2]) == data["sweeps"]["down"][2]["interaction"]["value"]
    assert float(stored["order_parameter_down_error"][2]) == data["sweeps"]["down"][2]["order_parameter"]["error"]
    assert {"energy_down_rhat", "order_parameter_rhat"} <= set(stored) and stored.attrs["direction"] == "up"
    observed = qernel.open(out / "observables.nc")
    said = [row["phase"] for row in data["results"]]
    assert said == [row["phase"] for row in rows[:7]] == [PHASES[int(number)] for number in stored["phase"]]
    assert [PHASES[int(number)] for number in observed["phase"]] == said
    np.testing.assert_allclose(observed["lam"], stored["lam"], rtol=1e-12)
    assert observed["structure_factor"].sizes["lam"] == 7 and "density" not in observed
    scan = read_scan(out)
    assert set(scan.sweeps) == {"up", "down"} and len(scan.points) == 7
    assert main([*line[:-1], "--start", "registries"]) == 2
    assert "another scan" in capsys.readouterr().err


def test_two_directions_become_one() -> None:
    """Where they agree the weighted mean, where not the lower energy, for all curves alike."""
    up = {"energy": Curve(np.array([1.0, 1.0]), np.array([0.1, 0.1])), "moire": Curve(np.zeros(2), np.full(2, 0.2))}
    down = {"energy": Curve(np.array([1.1, 0.0]), np.array([0.2, 0.2])), "moire": Curve(np.ones(2), np.full(2, 0.3))}
    both = merged(up, down)
    np.testing.assert_allclose(both["energy"].values, [1.02, 0.0])
    np.testing.assert_allclose(both["energy"].errors, [(100 + 25) ** -0.5, 0.2])
    np.testing.assert_allclose(both["moire"].values, [(1 / 0.09) / (1 / 0.09 + 1 / 0.04), 1.0])
    np.testing.assert_allclose(both["moire"].errors[1], 0.3)


# Crystals to start from


@pytest.mark.parametrize(("electrons", "phase"), [(6, 45.0), (3, 170.0)])
def test_registries(electrons: int, phase: float) -> None:
    """All three, in turn: arg ρ_K differs by 120°; |ρ_K|² is that of the crystal with its electrons smeared."""
    table = {"electrons": electrons, "supercell": [[3, 0], [0, 3]], "phase_deg": phase}
    hamiltonian = load_config({"system": table}).hamiltonian()
    cell = hamiltonian.supercell
    (positions,) = registry_positions(hamiltonian, np.array([[1.0]]), 30, seed=1)
    assert positions.shape == (30, electrons, 2)
    harmonic = np.exp(1j * positions @ cell.k_point).mean(-1)
    means = harmonic.reshape(10, 3).mean(0)
    turns = np.angle(means / means[0]) / (2 * np.pi / 3)
    np.testing.assert_allclose(np.sort(np.mod(turns, 3)), [0, 1, 2], atol=0.15)
    smeared = np.exp(-0.5 * 0.1**2 * cell.k_point @ cell.k_point)
    perfect = 0.5 if electrons == 6 else 1.0
    np.testing.assert_allclose(np.abs(means), perfect * smeared, rtol=0.1)
    # In the wells: the potential there is the lowest of the cell's high-symmetry points.
    assert np.asarray(moire_potential(jnp.asarray(positions), np.deg2rad(phase))).mean() < -3.0


def test_registries_need_a_cell_that_holds_them() -> None:
    hamiltonian = load_config({"system": {"electrons": 4, "supercell": [[2, 0], [0, 2]]}}).hamiltonian()
    with pytest.raises(RunError, match="registries of a crystal needs filling 1/3 or 2/3"):
        registry_positions(hamiltonian, np.array([[1.0]]), 3, seed=1)
    wavefunction = types.SimpleNamespace(hamiltonian=hamiltonian, weight=np.ones(2))
    with pytest.raises(RunError, match="registries of a crystal needs filling 1/3 or 2/3"):
        Model("run", SMALL, wavefunction).with_start("registries")  # before anything is written


@pytest.mark.parametrize("strength", [0.0, 0.6, 200.0])
def test_crystals_settle_in_registries_with_the_weights_of_psi(strength: float) -> None:
    """Moved by moiré lattice vectors and nothing else, into each registry as often as |ψ|² says."""
    hamiltonian = load_config({"system": {"electrons": 6, "supercell": [[3, 0], [0, 3]]}}).hamiltonian()
    cell, chains = hamiltonian.supercell, 3000
    key = jax.random.key(1)
    options: dict[str, Any] = {"crystal_from": 0.0, "seed": 1, "dtype": jnp.float32}
    walkers = start_walkers(key, hamiltonian, jnp.array([[1.0]]), chains, **options)

    def log_modulus(positions: jax.Array) -> jax.Array:
        harmonic = jnp.exp(1j * positions @ jnp.asarray(cell.k_point, positions.dtype)).mean(-1)
        return strength * jnp.real(harmonic * complex(np.exp(0.3j)))

    settled = settle(jax.random.split(key, (1, chains)), walkers, log_modulus, cell)
    shifts = np.arange(3, dtype=np.float32)[:, None, None] * cell.primitive[0].astype(np.float32)
    moved = np.asarray(wrap(walkers.positions[0] + shifts[:, None], cell.vectors))
    logs = 2.0 * np.asarray(log_modulus(jnp.asarray(moved)))
    weights = np.exp(logs - logs.max(0)) / np.exp(logs - logs.max(0)).sum(0)
    distance = np.abs(np.asarray(displacement(settled.positions[0] - jnp.asarray(moved), cell.vectors))).max((-1, -2))
    assert distance.min(0).max() < 1e-4
    chosen = distance.argmin(0)[None] == np.arange(3)[:, None]
    surprise = (chosen - weights).sum(1) / np.sqrt((weights * (1.0 - weights)).sum(1) + 1e-9)
    assert np.abs(surprise).max() < 4.0
    assert chosen.sum(1).max() < (1200 if strength == 0.0 else chains)


def test_chains_settle_where_they_start_as_crystals(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def recorded(keys: jax.Array, walkers: Any, *rest: Any) -> Any:
        asked.append(walkers.positions.shape)
        return walkers

    monkeypatch.setattr("qernel.sampling.population.settle", recorded)
    options: dict[str, Any] = {"samples": 1, "moves": 1, "burn_in": 0, "seed": 4, "energies": False}
    wavefunction = initial_wavefunction(SMALL)
    next(ChainSampler(wavefunction, 6).records(jnp.array([1.0]), **options))
    crystals = ChainSampler(wavefunction, 6, crystal_from=0.0)
    next(
        crystals.records(
            jnp.array([1.0]), start=registry_positions(SMALL.hamiltonian(), np.array([[1.0]]), 6, seed=2)[0], **options
        )
    )
    assert not asked
    next(crystals.records(jnp.array([1.0]), **options))
    assert [shape[:2] for shape in asked] == [(1, 6 // jax.device_count())]


def test_real_chains_start_where_they_are_told() -> None:
    """With steps far too short to go anywhere the first record is the start, up to translations and hops."""
    from qernel.training.run import initial_wavefunction

    wavefunction = initial_wavefunction(SMALL)
    sampler = ChainSampler(wavefunction, 6)
    (start,) = registry_positions(SMALL.hamiltonian(), np.array([[1.0]]), 6, seed=2)
    options: dict[str, Any] = {"samples": 1, "moves": 1, "burn_in": 0, "seed": 4, "energies": False}
    one = next(sampler.records(jnp.array([1.0]), start=start, **options)).positions
    other = next(sampler.records(jnp.array([1.0]), **options)).positions
    cell = SMALL.hamiltonian().supercell

    def order(positions: np.ndarray) -> float:
        return float(np.mean([crystal_order(jnp.asarray(x), cell) for x in positions]))

    assert order(one) > 0.12 and not np.allclose(one, other)
    with pytest.raises(ValueError, match=r"start has shape \(3, 2, 2\): expected \(6, 2, 2\)"):
        next(sampler.records(jnp.array([1.0]), start=start[:3], **options))


def test_chains_start_as_crystals_from_a_lam_on() -> None:
    """Of chains and of training alike; what a scan asks for takes precedence over the configuration.

    Of two electrons |ρ_K|² is 1/2 on average where they are independent, 0.42 where they are spread evenly, and near
    1/4 in the crystal.
    """
    sampling = SMALL.sample.model_copy(update={"crystal_from": 0.8})
    config = SMALL.model_copy(update={"sample": sampling})
    model = Model("run", config, initial_wavefunction(config))
    points = jnp.array([[0.7], [0.8]])
    options: dict[str, Any] = {"samples": 1, "moves": 1, "burn_in": 0, "seed": 4, "energies": False}

    def orders(model: Model) -> list[float]:
        """⟨|ρ_K|²⟩ at both λ, of chains that have had no time to go anywhere."""
        cell = model.hamiltonian.supercell
        records = next(model.sampler(300).replicas(points, swap=False, **options)).records
        return [float(np.mean([crystal_order(jnp.asarray(x), cell) for x in record.positions])) for record in records]

    liquid, crystal = orders(model)
    assert crystal < 0.36 < liquid
    assert max(orders(model.with_start("registries"))) < 0.36
    assert min(orders(model.with_start("spread"))) > 0.36
    assert [model.with_start(start).crystal_from for start in ("registries", "spread")] == [0.0, None]

    training = config.train.model_copy(update={"crystal_from": 0.8, "groups": 2, "walkers": 300})
    config = config.model_copy(update={"train": training})
    hamiltonian = config.hamiltonian()
    (low, high), cell = hamiltonian.ranges[0], hamiltonian.supercell
    assert 0.75 * low + 0.25 * high < 0.8 < 0.25 * low + 0.75 * high
    walkers = initial_state(config, initial_wavefunction(config)).walkers
    first, last = (np.mean([crystal_order(x, cell) for x in group]) for group in walkers.positions)
    assert last < 0.36 < first

    mixed = config.model_copy(update={"train": training.model_copy(update={"spread_until": 1.4})})
    group = initial_state(mixed, initial_wavefunction(mixed)).walkers.positions[1]
    spread, crystals = (np.mean([crystal_order(x, cell) for x in group[start::2]]) for start in (0, 1))
    assert crystals < 0.36 < spread


def test_crystals_only_start_where_they_fit() -> None:
    for section in ("train", "sample"):
        table = {"system": {"electrons": 4, "supercell": [[3, 0], [0, 3]]}, section: {"crystal_from": 0.8}}
        with pytest.raises(ConfigError, match=rf"{section}\.crystal_from = 0\.8 needs filling 1/3 or 2/3"):
            load_config(table)
    table = {"system": {"electrons": 2, "supercell": [[3, 0], [0, 3]]}, "train": {"spread_until": 0.9}}
    with pytest.raises(ConfigError, match=r"train\.spread_until = 0\.9 needs crystals from a smaller λ on"):
        load_config(table)


def test_a_local_energy_that_is_no_number_is_said_so() -> None:
    wavefunction = initial_wavefunction(SMALL)
    broken = jax.tree.map(
        lambda leaf: jnp.full_like(leaf, jnp.nan) if eqx.is_inexact_array(leaf) else leaf, wavefunction
    )
    chains = ChainSampler(broken, 6).records(jnp.asarray([0.7]), samples=2, moves=2, burn_in=0, seed=0)
    with pytest.raises(NotFinite, match=r"at lam = 0\.7 the local energy of 6 of 6 walkers is not finite"):
        next(chains)


def test_an_exchange_scan_tells_the_acceptance_of_every_pair(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scan"
    line = ["scan", "small", "--lam", "0.5", "0.6", "0.7", "0.8", "--exchange", "--observable", "--out", str(out)]
    assert main(line) == 0
    shown = capsys.readouterr()
    assert "less than 5% of the swaps are accepted between λ = 0.6 and 0.7 (1.0%)" in shown.err
    assert shown.out.splitlines()[1].endswith("swaps with next")
    assert main([*line, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [pair["lam"] for pair in data["exchange"]] == [[0.5, 0.6], [0.6, 0.7], [0.7, 0.8]]
    assert [pair["acceptance"] for pair in data["exchange"]] == pytest.approx([0.5, 0.01, 0.9])
    assert {row["direction"] for row in data["results"]} == {"exchange"} and "sweeps" not in data
    together = [one["lam"] for one in model.chains.asked if isinstance(one["lam"], list)]  # type: ignore[attr-defined]
    np.testing.assert_allclose(together, [[0.5, 0.6, 0.7, 0.8]] * 2)
    stored = qernel.open(out / "energies.nc")
    np.testing.assert_allclose(stored["exchange_acceptance"], [0.5, 0.01, 0.9])
    np.testing.assert_allclose(stored["pair_high"], [0.6, 0.7, 0.8])
    assert main(["scan", "small", "--lam", "0.5", "--exchange"]) == 2
    assert "give at least two" in capsys.readouterr().err
    assert main(["scan", "small", "--lam", "0.5", "0.6", "--exchange", "--sweeps", "up"]) == 2
    assert "use one of them" in capsys.readouterr().err


def test_weights_carry_gaussian_records_to_a_neighbour(model: Model) -> None:
    """Mean λ'² + s², effective fraction exp(−δ²/s²), error bars that hold it; λ' = λ gives the records' own numbers."""
    state, count = model.at(0.5), 2
    chains = model.chains  # type: ignore[attr-defined]
    pulls, fractions = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        noise = rng.normal(size=6)
        blank = Record(noise, noise, noise, noise, noise, np.zeros((6, 2, 2)), np.full(6, 0.5))
        drawn = rng.normal(0.5, WIDTH, size=(60, 6, 2, 2))
        records = [blank._replace(positions=positions) for positions in drawn]
        found = state.reweighted(0.6, records, seed)
        pulls.append((count * found.energy.value - 2 * (0.6**2 + WIDTH**2)) / (count * found.energy.error))
        fractions.append(found.effective_fraction)
    assert abs(np.mean(pulls)) < 4 / 40**0.5 and 0.6 < np.std(pulls) < 1.4
    assert np.mean(fractions) == pytest.approx(np.exp(-((0.1 / WIDTH) ** 2)), rel=0.05)
    assert (found.lam, found.reweighted_from, found.direction) == (0.6, 0.5, "reweighted")
    assert found.effective_samples <= 360 * found.effective_fraction
    with pytest.raises(RunError, match=r"λ = 0\.85 cannot be reweighted from λ = 0\.5: .* below 20%"):
        state.reweighted(0.85, records, seed)
    own = [chains.reweighed(np.array([[0.5], [0.5]]), record)[1] for record in records]
    same, expected = state.reweighted(0.5, records, seed), state.energies_of(own, seed)
    assert same.energy.value == pytest.approx(expected.energy.value, rel=1e-12)
    assert same.energy.error == pytest.approx(expected.energy.error, rel=1e-12)
    assert same.effective_fraction == pytest.approx(1.0, rel=1e-12)


def test_a_scan_marks_what_is_reweighted(model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "scan"
    grid = ["0.5", "0.6", "0.7", "0.8", "0.9", "1.0"]
    line = ["scan", "small", "--lam", *grid, "--reweight", "2", "--observable", "--out", str(out), "--json"]
    assert main(line) == 0
    data = json.loads(capsys.readouterr().out)
    assert [row["lam"] for row in data["results"]] == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    assert len(data["reweighted"]) == 10
    first, second = data["reweighted"][:2]
    assert (first["lam"], first["reweighted_from"]) == pytest.approx((0.5 + 0.1 / 3, 0.5))
    assert (second["lam"], second["reweighted_from"]) == pytest.approx((0.5 + 0.2 / 3, 0.6))
    assert first["direction"] == "reweighted" and 0.2 < first["effective_fraction"] < 1
    stored = qernel.open(out / "energies.nc")
    assert stored.sizes["lam"] == 6 and stored.sizes["lam_reweighted"] == 10
    assert float(stored["interaction_reweighted_error"][0]) == first["interaction"]["error"]
    assert float(stored["effective_samples_reweighted"][0]) == first["effective_samples"]
    with (out / "energies.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert set(json.loads((out / "energies.json").read_text())["units"]) == set(rows[0])
    assert [row["reweighted_from"] for row in rows[:6]] == [""] * 6 and float(rows[6]["reweighted_from"]) == 0.5
    assert len(read_scan(out).points) == 6, "numbers that share records are no independent data for a fit"


def test_exchange_and_weights_agree_with_separate_chains() -> None:
    """A Slater determinant at three λ: together, each alone, and reweighted from its neighbour; and λ' = λ exactly."""
    from qernel.training.run import initial_wavefunction

    config = load_config(
        {**TINY, "model": {"ansatz": "slater"}, "sample": {"walkers": 32, "samples": 40, "burn_in": 60}}
    )
    real = Model("slater", config, initial_wavefunction(config))
    states = [real.at(lam) for lam in (0.5, 0.6, 0.7)]
    together, acceptance = exchanged(states, seed=2)
    assert acceptance.shape == (2,) and np.all((acceptance > 0.5) & (acceptance < 1))
    records = list(states[0].records(None, None, 3, energies=True, progress=None))
    apart = [states[1].energy(seed=4), states[0].reweighted(0.6, records, 3), together[1]]
    for name in ("energy", "kinetic", "moire", "interaction", "order_parameter"):
        for one, other in itertools.combinations([getattr(found, name) for found in apart], 2):
            difference = one - other
            assert abs(difference.value) < 4 * difference.error, (name, one, other)
            assert difference.error < 0.3
    assert 0.8 < apart[1].effective_fraction < 1 and together[0].direction == "exchange"
    same, own = states[0].reweighted(0.5, records, 3), states[0].energies_of(records, 3)
    assert same.energy.value == pytest.approx(own.energy.value, rel=1e-6)
    assert same.energy.error == pytest.approx(own.energy.error, rel=1e-4)
    kept = Kept([0.5], [make(name) for name in SCANNED], 0)
    kept(states[0], records, 3)
    alone = states[0].observe(*SCANNED, seed=3)
    assert kept.dataset is not None and set(kept.dataset.data_vars) == set(alone.data_vars)
    for name in ("structure_factor", "density", "fidelity_susceptibility", "fidelity_susceptibility_error"):
        np.testing.assert_allclose(kept.dataset[name][0], alone[name], rtol=1e-12)


@pytest.mark.slow
def test_reweighted_energies_of_the_shipped_model_are_those_sampled_there() -> None:
    shipped = qernel.load("n6")
    state = shipped.at(0.95)
    records = list(state.records(60, 64, 5, energies=True, progress=None))
    found, sampled = state.reweighted(1.0, records, 5), shipped.at(1.0).energy(60, walkers=64, seed=6)
    for name in ("energy", "kinetic", "moire", "interaction", "order_parameter"):
        difference = getattr(found, name) - getattr(sampled, name)
        assert abs(difference.value) < 4 * difference.error, name
    assert (found.energy - sampled.energy).error < 0.01 and found.effective_fraction > 0.9
