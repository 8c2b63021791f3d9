"""Lattices given by their vectors: configuration, energies and order against closed forms and other descriptions.

What holds for every lattice is tested with the others (`test_lattice.py`, `test_terms.py`, `test_potentials.py`,
`test_two_electrons.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import mathieu_a, mathieu_b

import qernel
from qernel.config import Config, load_config
from qernel.errors import ConfigError, QernelError
from qernel.hamiltonian.bands import one_body_bands
from qernel.hamiltonian.terms.coulomb import Coulomb
from qernel.hartree_fock.search import lowest, search
from qernel.lattice import Supercell
from qernel.primitive import LATTICES, Lattice
from term_cases import PLACES, PRIMITIVE, STRAINED, interaction, kernel, self_image

RECTANGULAR = ((1.2, 0.0), (0.0, 0.8))
OBLIQUE = ((1.2, 0.0), (1.2, 0.8))
"""The same lattice by other vectors."""

WAVES = [{"wave": [0, 1], "amplitude": -9.0}, {"wave": [1, 0], "amplitude": -8.0}]


def system(lattice: Any, **changes: Any) -> dict[str, Any]:
    """Two electrons in three cells."""
    return {"electrons": 2, "supercell": [[1, 1], [-1, 2]], "lattice": lattice, "U": 10.0, "potential": WAVES} | changes


def refusal(lattice: Any, **changes: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config({"system": system(lattice, **changes)})
    return str(caught.value)


# Configuration ------------------------------------------------------------------------------------------------------


def test_vectors_are_written_and_read_back() -> None:
    config = load_config({"system": system([[1, 0], [0.53, 0.84]])})
    assert config.system.lattice == STRAINED
    assert Config(**config.to_dict()) == config
    assert "lattice = [[1.0, 0.0], [0.53, 0.84]]" in config.to_toml()
    assert config.hamiltonian().supercell == Supercell(((1, 1), (-1, 2)), STRAINED)
    assert config.notes() == ["filling 2/3: 2 electrons on 3 moiré cells"], "no rotation and no crystal to speak of"
    assert load_config(config, ["system.lattice=[[1, 0], [0.5, 0.84]]"]).fingerprint() != config.fingerprint()


@pytest.mark.parametrize(
    ("lattice", "reason"),
    [
        ("hexagonal", "'hexagonal' is not one of triangular, square or two rows of two numbers: give e.g. lattice"),
        (None, "is not one of triangular, square or two rows of two numbers"),
        ([[1, 0]], "is not one of triangular, square or two rows of two numbers"),
        ([[1, 0], [0, True]], "is not one of triangular, square or two rows of two numbers"),
        ([[1, 0], [0, float("nan")]], "its entries have to be finite"),
        ([[1, 0], [0, 10**400]], "its vectors are 1 and 1e+09 a_M long, and have to be between 0.5 and 2"),
        ([[1, 0], [2, 0]], "the angle between its vectors is 0°, and has to be between 30° and 150°"),
        ([[0.5, 0.8], [1, 0]], "the second vector has to be to the left of the first, so exchange them"),
    ],
)
def test_vectors_that_make_no_lattice_are_named_with_the_reason(lattice: Any, reason: str) -> None:
    text = refusal(lattice)
    assert text.startswith("system.lattice = ") and reason in text and text.count("\n") == 0


def test_what_belongs_to_a_named_lattice_is_refused() -> None:
    star = [{"wave": [0, 1], "amplitude": 8.0, "star": True}]
    assert "a lattice given by its vectors has no rotation by 120° or 90°" in refusal(STRAINED, potential=star)
    text = refusal(STRAINED, potential="moire", V0=4.0)
    assert "system.lattice = [[1.0, 0.0], [0.53, 0.84]] does not fit the potential 'moire', which is triangular" in text
    with pytest.raises(ConfigError, match="crystal_seed = true needs polarised electrons"):
        load_config({"system": system(STRAINED), "model": {"crystal_seed": True, "determinants": 2}})


def test_a_function_on_a_strained_lattice_becomes_waves() -> None:
    dual = np.linalg.inv(np.array(STRAINED)).T

    def wells(r: Any) -> Any:
        turns = 2 * np.pi * r @ dual.T
        return -9.0 * np.cos(turns[..., 1]) - 8.0 * np.cos(turns[..., 0])

    assert qernel.potential(wells, [list(row) for row in STRAINED]) == WAVES
    with pytest.raises(QernelError, match="not periodic"):
        qernel.potential(wells)
    with pytest.raises(QernelError, match="the angle between its vectors is 0°"):
        qernel.potential(wells, [[1, 0], [1, 0]])


# Energies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lattice", LATTICES)
def test_the_interaction_on_the_vectors_of_a_named_lattice(lattice: str) -> None:
    (a, b), (c, d) = LATTICES[lattice].tolist()
    named, given = kernel("coulomb", PRIMITIVE, lattice), kernel("coulomb", PRIMITIVE, ((a, b), (c, d)))
    np.testing.assert_array_equal(interaction(given, PLACES, {}), interaction(named, PLACES, {}))
    assert self_image(given, {}) == self_image(named, {})


@pytest.mark.parametrize("lattice", [((1.4, 0.0), (0.0, 0.7)), ((1.4, 0.7), (0.0, 0.7))], ids=["own", "oblique"])
def test_the_self_image_of_a_rectangular_lattice_is_that_of_two_squares(lattice: Lattice) -> None:
    """1.4 by 0.7 is 0.7 of two cells of the square lattice."""
    squares = Coulomb().on(Supercell(((2, 0), (0, 1)), "square"), {})
    found = Coulomb().on(Supercell(PRIMITIVE, lattice), {})
    assert float(found.self_image({})) == pytest.approx(float(squares.self_image({})) / 0.7, rel=1e-13)


@pytest.mark.parametrize(
    ("lattice", "waves"), [(RECTANGULAR, ((1, 0), (0, 1))), (OBLIQUE, ((1, 1), (0, 1)))], ids=["own", "oblique"]
)
def test_bands_of_a_rectangular_lattice_are_sums_of_those_of_mathieu(lattice: Lattice, waves: Any) -> None:
    """−½ψ'' + A cos(2πx/L)ψ = Eψ is Mathieu's equation with a = 2E(L/π)² and q = A(L/π)², whose sign moves x by L/2."""
    levels = []
    for depth, length in ((-8.0, 1.2), (-5.0, 0.8)):
        unit = (length / np.pi) ** 2
        q = -depth * unit
        a = [*(mathieu_a(order, q) for order in (0, 2, 4, 6)), *(mathieu_b(order, q) for order in (2, 4, 6))]
        levels.append(np.array(a) / (2 * unit))
    expected = np.sort((levels[0][:, None] + levels[1]).ravel())[:6]
    potential = [{"wave": list(wave), "amplitude": depth} for wave, depth in zip(waves, (-8.0, -5.0), strict=True)]
    one = system(lattice, electrons=1, supercell=[[1, 0], [0, 1]], potential=potential)
    family = load_config({"system": one, "family": {"lam": 1.0}}).hamiltonian()
    found = one_body_bands(family, [1.0], 6, cutoff=900.0).energies
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_hartree_fock_does_not_depend_on_the_vectors_of_the_lattice() -> None:
    """The same crystal twice, and no order parameter of the triangular lattice for either."""
    found = []
    for lattice, rows, waves in (
        (RECTANGULAR, [[1, 1], [-1, 2]], ([1, 0], [0, 1])),
        (OBLIQUE, [[0, 1], [-3, 2]], ([1, 1], [0, 1])),
    ):
        potential = [{"wave": wave, "amplitude": -8.0} for wave in waves]
        config = {"system": system(lattice, supercell=rows, potential=potential), "family": {"lam": 1.0}}
        best = lowest(search(load_config(config).hamiltonian(), [1.0], cutoff=10.0)[0])
        assert best.order_parameter is None
        found.append(best.energy)
    assert found[0] == pytest.approx(found[1], abs=1e-7)
