"""Physical units against CODATA constants and the numbers of the default material."""

from __future__ import annotations

from typing import Any

import pytest

from qernel.units import Material

# CODATA 2022, not derived from the constants of the module.
HARTREE_MEV = 27_211.386_245_981
BOHR_NM = 0.052_917_721_054_4
# The electron mass of the conventions is the CODATA 2014 value, which is 9.0e-9 below that of 2022.
MASS_REVISION = 1e-8


def test_default_material_has_the_documented_numbers() -> None:
    """Seven digits as printed: off by at most half a unit of the last one."""
    material = Material()
    assert material.energy_unit_meV == pytest.approx(3.375559, abs=5e-7)
    depth, interaction = material.V0, material.U
    assert depth == pytest.approx(4.443709, abs=5e-7)
    assert interaction == pytest.approx(10.623473, abs=5e-7)


def test_default_material_matches_the_reference_to_all_digits(reference: dict[str, Any]) -> None:
    material = Material()
    depth, interaction = material.V0, material.U
    assert depth == pytest.approx(reference["one_body_fermi_sea_U0"][0]["V"], rel=1e-14)
    assert interaction == pytest.approx(reference["N2_exact_sqrt3_cell"][0]["U"], rel=1e-14)


def test_energy_unit_is_hartree_times_bohr_squared_over_mass_and_period() -> None:
    """ħ²/m_e = E_h a_B²."""
    material = Material(effective_mass=0.7, period_nm=12.5)
    assert material.energy_unit_meV == pytest.approx(HARTREE_MEV * BOHR_NM**2 / (0.7 * 12.5**2), rel=MASS_REVISION)


def test_interaction_times_energy_unit_is_the_coulomb_energy_at_one_period() -> None:
    """U E0 = e²/(4πε0 ε a_M), with e²/4πε0 = E_h a_B, whatever the mass is."""
    for mass in (0.35, 1.3):
        material = Material(effective_mass=mass, dielectric=7.0, period_nm=6.0)
        coulomb = HARTREE_MEV * BOHR_NM / (7.0 * 6.0)
        assert material.U * material.energy_unit_meV == pytest.approx(coulomb, rel=MASS_REVISION)


@pytest.mark.parametrize(
    ("change", "energy", "depth", "interaction"),
    [
        ({"effective_mass": 0.7}, 1 / 2, 2, 2),
        ({"period_nm": 2 * 8.031}, 1 / 4, 4, 2),
        ({"dielectric": 10.0}, 1, 1, 1 / 2),
        ({"depth_meV": 30.0}, 1, 2, 1),
    ],
)
def test_doubling_one_quantity_scales_the_others(
    change: dict[str, float], energy: float, depth: float, interaction: float
) -> None:
    before, after = Material(), Material(**change)
    ratios = [after.energy_unit_meV / before.energy_unit_meV, after.V0 / before.V0, after.U / before.U]
    assert ratios == pytest.approx([energy, depth, interaction], rel=1e-14)
