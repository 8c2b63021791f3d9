"""A term of one's own: its parameters reach configuration, training, files, page and command line by themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import iv

from own_terms import CORE, RATIO, Brought, Bumps, Cored, Ridges, forget
from qernel.cli import main
from qernel.config import Config, load_config
from qernel.errors import ConfigError, QernelError, QernelWarning
from qernel.estimators.local_energy import local_energy
from qernel.hamiltonian import terms
from qernel.hamiltonian.bounds import bounds
from qernel.hamiltonian.family import Hamiltonian
from qernel.hamiltonian.parameters import Parameter
from qernel.hamiltonian.terms.base import Components, OneBody, Values
from qernel.hamiltonian.terms.coulomb import Coulomb
from qernel.hamiltonian.terms.moire import Moire
from qernel.hartree_fock.classical import wells
from qernel.lattice import FloatArray, Supercell
from qernel.measure import Model
from qernel.provenance import model_attributes
from qernel.wavefunction import build

THREE = Supercell(((3, 0), (0, 3)), "square")
THREE_SIDED = Supercell(((2, 0), (0, 2)))


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    """The two terms, for the tests of this file."""
    terms.register(Ridges)
    terms.register(Cored)
    yield
    forget("ridges", "cored")


def ridges(system: dict[str, Any] | None = None, **family: Any) -> dict[str, Any]:
    """The configuration of two electrons between ridges on a square lattice."""
    given: dict[str, Any] = {"electrons": 2, "supercell": [[2, 0], [0, 2]], "lattice": "square", "potential": "ridges"}
    given |= {"U": 3.0, "ridge_height": 2.0} | (system or {})
    return {"system": given, "family": {"lam": [0.5, 1.5], **family}}


def test_parameters_are_keys_of_the_configuration() -> None:
    config = load_config(ridges({"interaction": "cored"}, ridge_ratio=[0.2, 0.8], core=[0.2, 0.4]))
    family = config.hamiltonian()
    assert family.parameters == ("lam", "ridge_ratio", "core")
    assert dict(family.constants) == pytest.approx(
        {"lam": 1.0, "U": 3.0, "ridge_height": 2.0, "ridge_ratio": 0.5, "core": 0.3}
    )
    assert [term.name for term in family.terms] == ["ridges", "cored"]
    assert load_config(config.to_dict()) == config
    assert (
        load_config(ridges({"ridge_ratio": 0.3})).fingerprint()
        != load_config(ridges({"ridge_ratio": 0.4})).fingerprint()
    )


def test_keys_of_terms_change_no_other_configuration() -> None:
    with_terms = load_config("n6")
    forget("ridges", "cored")
    try:
        assert load_config("n6").fingerprint() == with_terms.fingerprint()
        assert load_config("n6").to_toml() == with_terms.to_toml()
    finally:
        terms.register(Ridges)
        terms.register(Cored)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (
            ridges({"ridge_ratio": 1.5}),
            "system.ridge_ratio = 1.5 must be at most 1: give e.g. ridge_ratio = 1.0",
        ),
        (
            ridges(ridge_ratio=[0.9, 0.1]),
            "family.ridge_ratio = [0.9, 0.1] must run from low to high: give e.g. ridge_ratio = [0.2, 0.8]",
        ),
        (
            ridges(),
            "system.potential = 'ridges' needs the height of the second ridges over that of the first: give e.g. "
            "ridge_ratio = 1",
        ),
        (
            ridges({"ridge_ratio": 0.5, "potential": "moire", "V0": 0.0}),
            "system.ridge_ratio has no effect on potential = 'moire': remove it, or use potential = 'ridges'",
        ),
        (
            ridges({"ridge_ratio": 0.5, "interaction": "cored", "core": 0.1, "supercell": [[999, 0], [0, 999]]}),
            "system.core = 0.1 takes 2.5e+08 waves in this supercell, more than the 2,000,000 supported: give at least "
            "1.2, or a smaller supercell",
        ),
        (
            ridges({"ridge_ratio": 0.5}, ridge_ratio=[0.2, 0.8]),
            "system.ridge_ratio has no effect because family.ridge_ratio makes it a parameter: remove one of the two",
        ),
        (
            ridges({"ridge_ratio": 0.5, "ridge_hight": 0.5}),
            "system.ridge_hight = 0.5 is an unknown key: did you mean system.ridge_height?",
        ),
    ],
)
def test_what_is_wrong_with_them_is_said(table: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(table)
    assert sentence in caught.value.problems


def test_other_sums_are_refused_where_they_are_not_resolved() -> None:
    family = load_config(ridges({"ridge_ratio": 0.5, "interaction": "cored"}, core=[0.2, 0.4])).hamiltonian()
    with pytest.raises(QernelError, match=r"core = 0\.1 is closer than 0\.2 a_M.*ask for 0\.2 or more"):
        family.interaction.require(family.numbers([1.0, 0.1]))


class Twice(Ridges):
    """Another class under the same name."""


def test_a_name_means_one_thing() -> None:
    with pytest.raises(QernelError, match="ridges exists already"):
        terms.register(Twice)

    class Other(Ridges):
        name = "others"
        parameters = (Parameter("U", "U", "E0", "something else"),)

    with pytest.raises(QernelError, match="the parameter U otherwise"):
        terms.register(Other)
    assert terms.register(Ridges) is Ridges, "a notebook cell that is run twice"
    assert "others" not in terms.catalogue()


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("summary", "Bare has no summary: give it e.g. summary"),
        ("parameters", r"Bare has no parameters: give it e.g. parameters = \(LAM,\)"),
        ("components", "Bare cannot be made without arguments: .*components"),
    ],
)
def test_a_class_that_lacks_something_is_refused(missing: str, sentence: str) -> None:
    """And everything else stays readable."""
    given = {"name": "bare", "summary": "nothing", "parameters": (), "components": Ridges.components}
    bare: Any = type("Bare", (OneBody,), {key: value for key, value in given.items() if key != missing})
    with pytest.raises(QernelError, match=sentence):
        terms.register(bare)
    assert "bare" not in terms.catalogue()


def test_what_a_parameter_shows_is_a_value_of_it() -> None:
    with pytest.raises(ValueError, match=r"parameter a: its interval has 2, which is not between its bounds 0 and 1"):
        Parameter("a", "a", "1", "a part", least=0.0, most=1.0)
    with pytest.raises(ValueError, match=r"parameter a: its default has -1"):
        Parameter("a", "a", "1", "a length", least=0.0, default=-1.0)
    Parameter("a", "a", "1", "a part", least=0.0, most=1.0, conditioned=False)


def test_installed_packages_bring_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is broken, calls itself otherwise or means another thing by a parameter is left out, with a warning."""
    found = [
        EntryPoint("brought", "own_terms:Brought", terms.GROUP),
        EntryPoint("broken", "own_terms:Nothing", terms.GROUP),
        EntryPoint("other", "own_terms:Cored", terms.GROUP),
        EntryPoint("strange", "own_terms:Strange", terms.GROUP),
    ]
    monkeypatch.setattr(terms, "entry_points", lambda group: found)
    terms._installed.cache_clear()
    with pytest.warns(QernelWarning) as warned:
        known = terms.catalogue()
    monkeypatch.undo()
    terms._installed.cache_clear()
    assert known["brought"] is Brought
    assert not {"broken", "other", "strange"} & set(known)
    said = " ".join(str(warning.message) for warning in warned)
    assert "the term broken of own_terms:Nothing does not load" in said
    assert "the term other of own_terms:Cored does not load: it calls itself cored" in said
    assert "Strange describes the parameter U otherwise than another term" in said


def test_what_nothing_reads_is_refused() -> None:
    with pytest.raises(ValueError, match="no term reads V0"):
        Hamiltonian(THREE, (1, 0), (Ridges(),), {"ridge_height": 1.0, "ridge_ratio": 0.5, "V0": 1.0})
    with pytest.raises(ValueError, match="constants lack ridge_ratio"):
        Hamiltonian(THREE, (1, 0), (Ridges(),), {"ridge_height": 1.0})


# The physics of it


def potential(r: FloatArray, lam: float, height: float, ratio: float) -> FloatArray:
    """λ W [cos 2πx + κ cos 2πy] on a square lattice."""
    result: FloatArray = lam * height * (np.cos(2 * np.pi * r[..., 0]) + ratio * np.cos(2 * np.pi * r[..., 1]))
    return result


def lowest_levels(cells: int, lam: float, height: float, ratio: float, count: int) -> FloatArray:
    """One-body energies on n × n square cells: sums of those of two Mathieu equations, each in 41 plane waves."""

    def levels(depth: float) -> FloatArray:
        found = []
        for k in range(cells):
            waves = 2 * np.pi * (np.arange(-20, 21) + k / cells)
            matrix = np.diag(0.5 * waves**2) + 0.5 * depth * (np.eye(41, k=1) + np.eye(41, k=-1))
            found.append(np.linalg.eigvalsh(matrix))
        return np.concatenate(found)

    both = levels(lam * height)[:, None] + levels(lam * height * ratio)[None]
    return np.sort(both.ravel())[:count]


def test_a_potential_has_value_wells_and_bound_from_its_components() -> None:
    term, values = Ridges(), {"lam": 1.2, "ridge_height": 2.0, "ridge_ratio": 0.6}
    r = np.random.default_rng(4).uniform(-2, 2, (50, 2))
    found = term.value(jnp.asarray(r), values, THREE)
    np.testing.assert_allclose(found, potential(r, 1.2, 2.0, 0.6), atol=1e-12)
    slope = jax.grad(lambda x: term.energy(jnp.asarray(r), values | {"ridge_ratio": x}, THREE))(0.6)
    assert float(slope) == pytest.approx(potential(r, 1.2, 2.0, 1.0).sum() - potential(r, 1.2, 2.0, 0.0).sum())
    ((place,),) = term.minima(values, THREE)
    np.testing.assert_allclose(place, [0.5, 0.5], atol=1e-9)
    assert term.lower(values) == pytest.approx(-1.2 * 2.0 * 1.6)


def test_several_potentials_add_up() -> None:
    cell = Supercell(((3, 0), (0, 3)))
    constants = {"V0": 1.0, "U": 2.0, "phase_deg": 20.0, "ridge_height": 0.5, "ridge_ratio": 0.3}
    family = Hamiltonian(cell, (3, 0), (Moire(), Ridges(), Coulomb(), Cored()), {**constants, "core": 0.4})
    values = family.numbers([0.8])
    r = jnp.asarray(np.random.default_rng(5).uniform(0, 3, (3, 2)))
    parts = [term.value(r, values, cell) for term in family.potentials]
    np.testing.assert_allclose(family.one_body(r, values), parts[0] + parts[1], atol=1e-13)
    whole = family.potential(r, jnp.asarray([0.8]))
    assert float(whole.moire) == pytest.approx(float((parts[0] + parts[1]).sum()))
    waves, amplitudes = family.components(values)
    by_hand = (np.exp(1j * np.asarray(r) @ (waves @ cell.moire_reciprocal).T) @ amplitudes).real
    np.testing.assert_allclose(by_hand, parts[0] + parts[1], atol=1e-12)
    assert len(waves) == 6, "ridges along b_1 and b_2 are waves of the moiré potential too"
    each = [Hamiltonian(cell, (3, 0), (term,), {"U": 2.0, "core": 0.4} if term.name == "cored" else {"U": 2.0})
            for term in (Coulomb(), Cored())]  # fmt: skip
    alone = sum(float(one.potential(r, jnp.asarray([0.8])).interaction) for one in each)
    assert float(whole.interaction) == pytest.approx(alone)
    assert bounds(family, [0.8]).interaction == -np.inf, "of what has no bound nothing is claimed"
    assert np.isfinite(bounds(family, [0.8]).moire) and np.isfinite(bounds(family, [0.8]).scale)
    assert len(wells(family, values).level) == 9


@dataclass(frozen=True)
class Frozen(Ridges):
    """The ridges, at any λ as at 1."""

    name: ClassVar[str] = "frozen"
    parameters: ClassVar[tuple[Parameter, ...]] = Ridges.parameters[1:]

    def components(self, values: Values) -> Components:
        """Those at λ = 1."""
        return super().components({**values, "lam": 1.0})


@dataclass(frozen=True)
class Fixed(Coulomb):
    """1/r, whatever U."""

    name: ClassVar[str] = "fixed"
    parameters: ClassVar[tuple[Parameter, ...]] = ()

    def strength(self, values: Values) -> float:
        """1."""
        return 1.0


@pytest.mark.parametrize("more", [(), (Ridges(),), (Frozen(),), (Fixed(),), (Frozen(), Fixed())])
def test_a_file_says_where_no_energy_is_proportional_to_a_parameter(more: tuple[Any, ...]) -> None:
    """moire/λ and interaction/U are derivatives of the energy unless a term does not read λ or U."""
    own = {"ridge_height": 0.5, "ridge_ratio": 0.3} if any(isinstance(term, Ridges) for term in more) else {}
    constants = {"V0": 1.0, "phase_deg": 20.0, **own}
    ranges = {"parameters": ("lam", "U"), "ranges": ((0.5, 1.5), (1.0, 3.0))}
    family = Hamiltonian(THREE_SIDED, (2, 0), (Moire(), Coulomb(), *more), constants, **ranges)
    r = jnp.asarray(np.random.default_rng(5).uniform(0, 2, (2, 2)))
    here = family.potential(r, jnp.asarray([0.8, 2.0]))
    for index, (name, part) in enumerate({"lam": here.moire, "U": here.interaction}.items()):
        point = np.array([0.8, 2.0])
        slope = [sum(family.potential(r, jnp.asarray(point + h * np.eye(2)[index]))) for h in (-1e-4, 1e-4)]
        derivative = float(slope[1] - slope[0]) / 2e-4
        assert (abs(derivative - float(part) / point[index]) < 1e-6) == family.proportional(name)
    assert not family.proportional("phase_deg")
    model = Model("mine", load_config(ridges({"ridge_ratio": 0.5})), SimpleNamespace(hamiltonian=family))
    expected = [name for name, term in (("lam", Frozen), ("U", Fixed)) if any(isinstance(one, term) for one in more)]
    assert model_attributes(model, {}).get("no_factor", "") == " ".join(expected)


SLATER = {"ansatz": "slater", "bloch_cutoff": 300.0}
TRAINING = {"iterations": 4, "groups": 2, "walkers": 8, "moves": 2, "burn_in": 2, "precision": "float64"}
SAMPLING = {"walkers": 8, "samples": 8, "burn_in": 20, "moves": 2}


def test_without_interaction_every_point_of_two_parameters_is_exact() -> None:
    """Zero variance, and the energy of a separable problem solved by itself."""
    config = load_config(ridges({"U": 0.0}, ridge_ratio=[0.2, 0.8]) | {"model": {**SLATER, "bloch_order": 8}})
    family = config.hamiltonian()
    psi = build(config.model, family, key=jax.random.key(0), dtype=jnp.float64)
    positions = jnp.asarray(np.random.default_rng(6).uniform(0, 2, (6, 2, 2)))
    energies = jax.jit(jax.vmap(lambda x, p: local_energy(psi, x, p).total, (0, None)))
    for lam, ratio in ((0.5, 0.2), (0.9, 0.75), (1.45, 0.33)):
        found = np.asarray(energies(positions, jnp.asarray([lam, ratio])))
        exact = lowest_levels(2, lam, 2.0, ratio, 2).sum()
        np.testing.assert_allclose(found, exact, atol=2e-3, rtol=0)


def test_a_function_has_the_components_of_its_series() -> None:
    """e^{s cos 2πx} = Σ_n I_n(s) e^{2πinx}; the deepest point is known too, and no well is there without λ."""
    values = {"lam": 0.8, "sharpness": 1.3}
    found, size = np.zeros((32, 32), complex), np.arange(-16, 16)
    waves, amplitudes = Bumps().components(values)
    np.add.at(found, tuple(waves.T), amplitudes)
    series = iv(size, 1.3)[np.argsort(size % 32)]
    np.testing.assert_allclose(found, -4.0 * np.exp(-2.6) * series[:, None] * series, rtol=0, atol=1e-11)
    assert -4.0 - 0.02 < Bumps().lower(values) <= -4.0 + 1e-9
    assert len(Bumps().components(values | {"lam": 0.0}).waves) == 0


def test_a_function_has_the_period_of_one_lattice() -> None:
    with pytest.raises(QernelError, match="has the lattices triangular, square: a function has the period of one"):
        type("Both", (Bumps,), {"lattices": ("triangular", "square")})


def test_a_function_of_position_and_a_parameter_is_exact_without_interaction() -> None:
    """Zero variance at points of λ and s, between the nodes, and the levels of its matrix in plane waves."""
    terms.register(Bumps)
    try:
        given = {"electrons": 2, "supercell": [[1, 0], [0, 2]], "lattice": "square", "potential": "bumps", "U": 0.0}
        family = {"lam": [0.4, 1.0], "sharpness": [0.3, 0.9]}
        model = SLATER | {"bloch_cutoff": 500.0, "bloch_order": 6}
        config = load_config({"system": given, "family": family, "model": model})
        hamiltonian = config.hamiltonian()
        psi = build(config.model, hamiltonian, key=jax.random.key(0), dtype=jnp.float64)
    finally:
        forget("bumps")
    positions = jnp.asarray(np.random.default_rng(6).uniform(0, 2, (6, 2, 2)))
    energies = jax.jit(jax.vmap(lambda x, p: local_energy(psi, x, p).total, (0, None)))
    for lam, sharpness in ((0.51, 0.4), (0.93, 0.83)):
        found = np.asarray(energies(positions, jnp.asarray([lam, sharpness])))
        np.testing.assert_allclose(found, bump_levels(lam, sharpness, 2).sum(), atol=4e-3, rtol=0)


def bump_levels(lam: float, sharpness: float, count: int) -> FloatArray:
    """One-body energies of `Bumps` on 1 × 2 cells, in 17² plane waves at each momentum."""
    n = np.stack(np.meshgrid(np.arange(-8, 9), np.arange(-8, 9), indexing="ij"), axis=-1).reshape(-1, 2)
    away = n[:, None] - n[None]
    potential = -5.0 * lam * np.exp(-2 * sharpness) * iv(away, sharpness).prod(axis=-1)
    levels = []
    for k in (0.0, 0.5):
        momenta = 2 * np.pi * (n + np.array([0.0, k]))
        levels.append(np.linalg.eigvalsh(np.diag(0.5 * (momenta**2).sum(1)) + potential))
    lowest: FloatArray = np.sort(np.concatenate(levels))[:count]
    return lowest


def test_hartree_fock_of_one_electron_is_the_lowest_level() -> None:
    from qernel.hartree_fock import lowest, search

    family = load_config(ridges({"electrons": 1, "ridge_ratio": 0.4})).hamiltonian()
    found = lowest(search(family, [1.1], cutoff=300.0)[0])
    image = 0.5 * 3.0 * float(Coulomb().on(family.supercell, {}).self_image({}))
    assert found.energy == pytest.approx(lowest_levels(2, 1.1, 2.0, 0.4, 1)[0] + image, abs=1e-5)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, registered: None) -> Path:
    """A run of a few steps, conditioned on λ and κ."""
    from qernel.training.run import train

    table = ridges({}, ridge_ratio=[0.2, 0.8])
    table |= {"model": {**SLATER, "bloch_order": 4, "bloch_cutoff": 60.0}, "train": TRAINING, "sample": SAMPLING}
    folder = tmp_path_factory.mktemp("own") / "run"
    train(Config(**table), folder)
    return folder


def test_a_run_is_trained_and_measured_at_values_of_the_parameter(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files, JSON and page call it what the table says."""
    import qernel
    from qernel.explore.catalogue import catalogue
    from qernel.explore.view import describe

    assert main(["query", str(run), "--lam", "1.0", "--at", "ridge_ratio=1.3"]) == 2
    assert "ridge_ratio = 1.3 is far outside [0.2, 0.8]" in capsys.readouterr().err
    out = tmp_path / "scan"
    line = ["scan", str(run), "--lam", "0.6", "--at", "ridge_ratio=0.3", "--observable", "energy"]
    assert main([*line, "--out", str(out), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["system"]["ridge_ratio"] == 0.3 and answer["system"]["ridge_height"] == 2.0
    data = qernel.open(out / "energies.nc")
    assert float(data["ridge_ratio"]) == 0.3
    assert data["ridge_ratio"].attrs == {"units": "1", "long_name": RATIO.meaning}
    assert data.attrs["terms"] == "ridges + coulomb"
    assert data.attrs["ridge_height"] == 2.0 and data.attrs["ridge_ratio"] == 0.3
    np.testing.assert_allclose(data.attrs["trained_ridge_ratio"], [0.2, 0.8])
    entry = next(iter(catalogue([str(run)]).values()))
    slider = describe(entry)["parameters"][1]
    assert (slider["name"], slider["symbol"], slider["label"]) == ("ridge_ratio", "κ", RATIO.meaning)
    assert slider["bounds"] == (0.0, 1.0), "half an interval more, within what makes sense"


def test_the_unit_of_a_second_derivative() -> None:
    assert [terms.parameter(name).squared() for name in ("lam", "U", "phase_deg", CORE.name)] == [
        "1",
        "1/(E0 a_M)^2",
        "1/degree^2",
        "1/a_M^2",
    ]
