"""The ready ``qernel train`` command for a sample that no model was trained on."""

from __future__ import annotations

import shlex
from fractions import Fraction

from qernel.ask.evidence import system_of
from qernel.ask.materials import Setting
from qernel.config import Config, load_config
from qernel.hamiltonian.shells import HALVES, closed_shells
from qernel.lattice import Supercell
from qernel.units import Material

SIDES = (6, 3, 4, 5, 8, 7, 10, 9, 12)
"""Sides of supercells in moiré cells, the best first: those of 3 and 6 hold the √3×√3 crystal."""

SEVERAL = 3
"""Fewest electrons that are many."""

_SMALL = ("n2", "n3", "n6")
"""Presets with settings of their own for few electrons."""

_LAM = (0.3, 1.6)
"""What is trained around the transition of the default material."""


def small_cell(filling: Fraction, most: int = 24) -> tuple[int, int]:
    """Electrons and side of a supercell that has a filling.

    Args:
        filling: electrons for each moiré cell.
        most: electrons, if that can be had.
    """
    fitting = [(int(filling * side**2), side) for side in SIDES if (filling * side**2).denominator == 1]
    fitting += [(int(filling * side**2), side) for side in (filling.denominator,)]
    good = [pair for pair in fitting if SEVERAL <= pair[0] <= most]
    return good[0] if good else fitting[0]


def overrides(sample: Setting, filling: Fraction) -> tuple[str, list[str]]:
    """A preset, and values of its keys for a sample: λ = 1 stays 15 meV, so λ of the transition stay comparable.

    Args:
        sample: the material.
        filling: electrons for each moiré cell.
    """
    electrons, side = small_cell(filling)
    honeycomb = filling in (Fraction(1, 3), Fraction(2, 3))
    base = f"n{electrons}" if f"n{electrons}" in _SMALL else "n24" if honeycomb else "hf24"
    unit = Material().depth_meV
    lam = sample["depth_meV"] / unit
    low, high = min(_LAM[0], 0.7 * lam), max(_LAM[1], 1.3 * lam)
    values = {f"system.{key}": value for key, value in system_of(sample, electrons, side).items()}
    values |= {"system.depth_meV": unit, "family.lam": [round(low, 2), round(high, 2)]}
    if base == "n24":
        real = closed_shells(Supercell(((side, 0), (0, side))), (electrons, 0), HALVES)
        values["system.twist"] = list(real[0].twist if real else HALVES[0])
    if not honeycomb:
        # Crystals of other fillings are for Hartree–Fock to find; walkers start spread.
        values |= dict.fromkeys(("train.crystal_from", "train.spread_until", "sample.crystal_from"), "none")
        values |= {"model.crystal_seed": "false"} if base in ("n3", "n6") else {}
    default = load_config(base).to_dict()
    return base, [f"{key}={_text(value)}" for key, value in values.items() if not _same(default, key, value)]


def _same(default: dict[str, dict[str, object]], key: str, value: object) -> bool:
    section, name = key.split(".")
    return default[section].get(name) == value or (value == "none" and name not in default[section])


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value).replace(" ", "") if isinstance(value, list) else str(value)


def command(sample: Setting, filling: Fraction) -> str:
    """The command, as it can be typed."""
    base, values = overrides(sample, filling)
    return shlex.join(["qernel", "train", base, "--set", *values])


def config(sample: Setting, filling: Fraction) -> Config:
    """The configuration that the command trains."""
    base, values = overrides(sample, filling)
    return load_config(base, values)
