"""Potentials by their waves, and a function of one's own: configuration, Fourier analysis, bands, training."""

from __future__ import annotations

import re
import textwrap
import tomllib
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import i0

import qernel
from ansatz_cases import energies, random_positions
from own_terms import forget
from qernel.config import Config, load_config
from qernel.errors import ConfigError, QernelError
from qernel.hamiltonian.bands import one_body_bands
from qernel.hamiltonian.harmonics import harmonics
from qernel.hamiltonian.terms import interactions
from qernel.hamiltonian.terms.fourier import Fourier, Wave, star
from qernel.primitive import LATTICES
from qernel.units import Material
from qernel.wavefunction import build
from term_cases import POTENTIALS, WAVES, gaussian_wells, values_of
from test_two_electrons import STORED, configuration

SYSTEM: dict[str, Any] = {"electrons": 2, "supercell": [[1, 1], [-1, 2]], "U": 10.0}
STAR = [{"wave": [0, 1], "amplitude": 8.0, "star": True}]


def refusal(**system: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config({"system": SYSTEM | system})
    return str(caught.value)


# Configuration ------------------------------------------------------------------------------------------------------


def test_waves_are_written_and_read_back() -> None:
    config = load_config({"system": SYSTEM | {"potential": STAR}, "family": {"lam": [0.0, 1.0]}})
    assert Config(**config.to_dict()) == config
    assert "[[system.potential]]" in config.to_toml()
    (term, _) = config.hamiltonian().terms
    assert term == Fourier(tuple(Wave(turns, 8.0, 0.0) for turns in ((0, 1), (-1, -1), (1, 0))))
    other = load_config(
        {"system": SYSTEM | {"potential": [STAR[0] | {"amplitude": 8.1}]}, "family": {"lam": [0.0, 1.0]}}
    )
    assert other.fingerprint("system") != config.fingerprint("system")
    assert not any("moiré depth is zero" in note for note in config.notes())


@pytest.mark.parametrize(("key", "value"), [("V0", 4.0), ("phase_deg", 30.0), ("depth_meV", 12.0)])
def test_keys_of_the_moire_potential_are_refused_beside_waves(key: str, value: float) -> None:
    system = {name: one for name, one in SYSTEM.items() if name != "U" or key != "depth_meV"}
    with pytest.raises(ConfigError) as caught:
        load_config({"system": system | {"potential": STAR, key: value}})
    assert f"system.{key} has no effect on [[system.potential]]: remove it, or use potential = 'moire'" in str(
        caught.value
    )


def test_amplitudes_in_meV_are_those_of_the_material() -> None:
    system = {"electrons": 2, "supercell": [[1, 1], [-1, 2]]}
    potential = [{"wave": [0, 1], "amplitude_meV": 30.0, "star": True}]
    config = load_config({"system": {**system, "potential": potential}})
    (term, _) = config.hamiltonian().terms
    assert isinstance(term, Fourier)
    assert term.waves[0].amplitude == pytest.approx(30.0 / Material().energy_unit_meV)
    assert "depth_meV" not in config.to_dict()["system"] and Config(**config.to_dict()) == config
    assert config.system.laboratory("lam", "1") is None, "λ scales waves, and no depth of the moiré potential"
    assert config.system.laboratory("U", "E0 a_M") is not None


def test_the_moire_potential_is_a_star() -> None:
    """A = −2V0 and φ on the star of (0, 1): equal components."""
    moire = POTENTIALS["moire-triangular"]
    values = {"lam": 0.7, "V0": 4.0, "phase_deg": 20.0}
    waves = Fourier(tuple(Wave(one, -8.0, 20.0) for one in star((0, 1), "triangular")))
    places = np.random.default_rng(2).uniform(-3, 3, (20, 2))
    mine = waves.value(jnp.asarray(places), values, moire.cell)
    np.testing.assert_allclose(mine, moire.at(places, values), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("potential", "reason"),
    [
        (
            "moir",
            "'moir' is neither a potential (moire) nor a list of waves, did you mean moire?: "
            "give e.g. potential = 'moire'",
        ),
        ([], "neither a potential (moire) nor a list of waves"),
        (
            [{"wave": [0, 1]}],
            "entry 1 (wave = [0, 1]) has no amplitude: give one of amplitude (in E0) and amplitude_meV",
        ),
        ([STAR[0] | {"amplitude_meV": 2.0}], "entry 1 (wave = [0, 1]) has both amplitude and amplitude_meV"),
        ([{"wave": [0, 1], "amplitude_meV": 2.0}], "system.U is in reduced units, which say nothing about meV"),
        (
            [*STAR, {"wave": [0, 0.5], "amplitude": 1.0}],
            "system.potential, entry 2: wave = [0, 0.5] is not a pair of whole numbers: give e.g. wave = [0, 1]",
        ),
        ([{"wave": [1], "amplitude": 1.0}], "entry 1: wave = [1] is not a pair of whole numbers: give e.g."),
        ([{"amplitude": 1.0}], "system.potential, entry 1: wave is missing: give e.g. wave = [0, 1]"),
        ([{"wave": [0, 2000], "amplitude": 1.0}], "wave = [0, 2000] must have every entry at most 1000: give e.g."),
        ([{"wave": [0, 1], "amplitude": 1e12}], "amplitude = 1000000000000.0 must be at most 1000000: give e.g."),
        ([{"wave": [0, 1], "amplitude": 1.0, "phase_deg": float("nan")}], "phase_deg = nan is not finite: give e.g."),
        ([{"wave": [0, 1], "amplitud": 1.0}], "entry 1 has an unknown key amplitud: did you mean amplitude?"),
        ([{"wave": [0, 1], "colour": 1.0}], "unknown key colour: it takes wave, amplitude, amplitude_meV, phase_deg"),
        ([[0, 1]], "system.potential, entry 1 = [0, 1] is not a table: give e.g. {wave = [0, 1], amplitude = -8.9}"),
    ],
)
def test_a_bad_potential_is_named_with_its_reason(potential: Any, reason: str) -> None:
    text = refusal(potential=potential)
    assert text.startswith("system.potential") and reason in text and text.count("\n") == 0


# A function of one's own --------------------------------------------------------------------------------------------


def test_a_function_becomes_the_waves_it_is_made_of() -> None:
    def wells(r: Any) -> Any:
        return -6.0 * (np.cos(2 * np.pi * r[..., 0]) + np.cos(2 * np.pi * r[..., 1] + 0.5)) - 1.5

    found = {tuple(entry["wave"]): entry for entry in qernel.potential(wells, "square")}
    assert set(found) == {(0, 1), (1, 0), (0, 0)}
    assert found[1, 0] == {"wave": [1, 0], "amplitude": -6.0}
    assert found[0, 0] == {"wave": [0, 0], "amplitude": -1.5}
    at = found[0, 1]["amplitude"] * np.exp(1j * np.deg2rad(found[0, 1]["phase_deg"]))
    assert at == pytest.approx(-6.0 * np.exp(0.5j))


def test_many_waves_give_the_function_back() -> None:
    own = WAVES["own"]
    places = np.random.default_rng(4).uniform(-3, 3, (50, 2))
    assert len(own.term.components({"lam": 1.0}).waves) > 100
    np.testing.assert_allclose(own.at(places, {"lam": 1.0}), gaussian_wells(places), rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda r: r[..., 0], "not periodic: 1 a1 + 0 a2 away it differs by up to 1 E0"),
        (lambda r: np.cos(2 * np.pi * r[..., 0]), "not periodic: 0 a1 + 1 a2"),
        (lambda r: np.abs(np.sin(np.pi * (r @ np.linalg.inv(LATTICES["triangular"]))[..., 0])), "not resolved by 256"),
        (lambda r: r, "returns the shape [64, 2] for positions [64, 2]"),
        (lambda r: np.full(len(r), np.nan), "finite real numbers"),
        (lambda r: np.full(len(r), 1j), "finite real numbers"),
    ],
)
def test_a_function_that_cannot_be_used_is_refused(function: Any, reason: str) -> None:
    with pytest.raises(QernelError) as caught:
        harmonics(function, "triangular")
    assert reason in str(caught.value)


# Without interaction ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WAVES)
def test_bands_are_exact_with_zero_variance(name: str) -> None:
    """U = 0, two electrons: the determinant of the Bloch functions, at λ between the nodes of their polynomial."""
    case = WAVES[name]
    waves = [
        {"wave": list(wave.turns), "amplitude": wave.amplitude, "phase_deg": wave.phase_deg}
        for wave in case.term.waves  # type: ignore[attr-defined]
    ]
    config = load_config(
        {
            "system": {
                "electrons": 2,
                "supercell": [[2, 1], [0, 1]],
                "lattice": case.lattice,
                "U": 0.0,
                "potential": waves,
            },
            "family": {"lam": [0.4, 1.0]},
            "model": {"ansatz": "slater", "bloch_order": 10, "bloch_cutoff": 900.0},
        }
    )
    family = config.hamiltonian()
    psi = build(config.model, family, key=jax.random.key(1), dtype=jnp.float64)
    x = random_positions(family, 12, 2)
    local = energies(psi, x, jnp.full((12, 1), 0.77)).total
    exact = one_body_bands(family, [0.77], 2, cutoff=1400.0).energies.sum()
    assert np.median(np.abs(np.asarray(local) - exact)) < 1e-2
    assert family.potential(x[0], jnp.asarray([0.77])).moire == pytest.approx(
        float(sum(case.at(x[0], values_of(case.term, 0.0) | {"lam": 0.77}))), abs=1e-9
    )


# With interaction ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rytova_keldysh", "yukawa_honeycomb", "dipolar"])
def test_two_electrons_are_trained_to_their_exact_energy(name: str, tmp_path: Any) -> None:
    """Hartree–Fock orbitals, dressed: never below the exact energy, and above it by less than 0.02 E0 an electron."""
    config = configuration(
        name,
        model={"orbitals": "hartree_fock", "hf_order": 1, "determinants": 2, "blocks": 1, "width": 16, "heads": 2},
        train={"iterations": 150, "groups": 1, "walkers": 256, "learning_rate": 0.1, "decay": 100.0},
    )
    qernel.train(config, tmp_path / "run")
    energy = qernel.load(str(tmp_path / "run")).at(1.0).energy(samples=100, walkers=256).energy
    exact = STORED[name]["exact"]["energy"] / 2
    assert energy.value > exact - 5 * energy.error
    assert energy.value < exact + 0.02 + 5 * energy.error


# What the document says ---------------------------------------------------------------------------------------------

DOCUMENT = (Path(__file__).parents[1] / "docs" / "hamiltonians.md").read_text("utf-8")


def test_configurations_in_the_document_can_be_used() -> None:
    blocks = re.findall(r"^ *```toml\n(.*?)^ *```", DOCUMENT, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 5
    for block in blocks:
        assert load_config(tomllib.loads(textwrap.dedent(block))).hamiltonian().terms


def test_the_function_in_the_document_becomes_a_potential() -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(block, names)
    term = names["config"].hamiltonian().potentials[0]
    assert isinstance(term, Fourier)
    cell = names["config"].hamiltonian().supercell
    places = np.random.default_rng(1).uniform(-2, 2, (10, 2))
    np.testing.assert_allclose(
        term.value(jnp.asarray(places), {"lam": 1.0}, cell), names["wells"](places), rtol=0, atol=1e-9
    )


def test_the_term_in_the_document_is_known() -> None:
    """Registered, conditioned on its parameter, and found in the bands."""
    (block,) = re.findall(r"^  ```python\n(.*?)^  ```", DOCUMENT, re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {"__name__": "notebook"}
    try:
        exec(textwrap.dedent(block), names)
        family = load_config(names["config"]).hamiltonian()
    finally:
        forget("wells")
    assert family.parameters == ("lam", "sharpness")
    waves, amplitudes = family.components(family.numbers([0.8, 0.7]))
    (constant,) = amplitudes[~waves.any(axis=1)]
    assert constant.real == pytest.approx(-0.8 * 9.0 * (np.exp(-0.7) * i0(0.7)) ** 2, abs=1e-10)


def test_every_interaction_stands_in_the_document() -> None:
    for name, term in interactions().items():
        if term.__module__.startswith("qernel."):
            assert f"| `{name}` |" in DOCUMENT
            for parameter in term.parameters:
                assert parameter.name == "U" or f"`{parameter.name}`" in DOCUMENT
