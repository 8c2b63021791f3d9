"""Where liquid and crystal cross in Hartree–Fock, against the dielectric constant: a mean-field phase boundary.

    python studies/phase_boundary/boundary.py solve 6 --dielectric 4 5 6 8 10 12   # minutes of one core
    python studies/phase_boundary/boundary.py figure                               # from boundary.json, with the table

For each ε the place where the lowest state becomes a crystal is bracketed on a coarse grid of λ, then on a finer one.
λ_c is the crossing of the energies there, or the middle of the bracket where only one of the two states is found.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from qernel import runtime
from qernel.files import write_atomically

HERE = Path(__file__).parent
LARGER = HERE.parent / "hartree_fock" / "n24.json"
"""Twenty-four electrons at the default ε: on a grid of 0.2 in λ."""

DATA = HERE / "boundary.json"
CUTOFF = 150.0
"""Kinetic cut-off of the finer grid in E0. With 300 and a grid of 0.1 six electrons at ε = 5 cross at 0.762 too."""

COARSE = (0.5, 0.7, 0.9, 1.1, 1.4, 1.7, 2.0)
REFINED = (-0.8, -0.35, 0.1, 0.55, 1.0)
"""Where the finer grid lies in the bracket, 0 and 1 being its ends: the coarse cut-off favours liquids."""

NEAR_EXACT, NEAR_EXACT_ERROR, REFERENCE = 1.085, 0.003, 5.0
"""λ where near-exact diagonalisation of six electrons has the crossing (studies/exact), and at which ε."""

PUBLISHED = 1.05
"""λ of the published kink for 54 electrons, whose unit is not given."""

DEPTH_MEV = 15.0
"""Depth at λ = 1 of the default material."""


def main() -> None:
    """Solve and store, or draw what is stored."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    solver = commands.add_parser("solve", help="Hartree–Fock at each ε, added to boundary.json")
    solver.add_argument("electrons", type=int, choices=(6, 24))
    solver.add_argument("--dielectric", type=float, nargs="+", required=True)
    commands.add_parser("figure", help="boundary.png and boundary.pdf, and the table of the README")
    options = parser.parse_args()
    if options.command == "figure":
        draw()
        return
    runtime.configure(1)
    for dielectric in options.dielectric:
        add(boundary(options.electrons, dielectric))


def boundary(electrons: int, dielectric: float) -> dict[str, Any]:
    """λ_c at one ε, everything else as in the preset; depth in meV at the crossing."""
    from qernel.config import load_config
    from qernel.hartree_fock import lowest, search, transition

    begin = time.process_time()
    config = load_config(f"n{electrons}", [f"system.dielectric={dielectric}"])
    hamiltonian = config.hamiltonian()
    lam, bracket = list(COARSE), None
    for cutoff in (60.0, CUTOFF):
        found = search(hamiltonian, lam, cutoff=cutoff)
        bracket = ordering(lam, [lowest(branches).branch for branches in found])
        if bracket is None:
            break
        low, high = bracket
        lam = [low + (high - low) * step for step in REFINED]
    crossing = None if bracket is None else transition(found)
    if bracket is not None and crossing is None:
        crossing = sum(bracket) / 2
    material = config.system.material
    assert material is not None
    return {
        "electrons": electrons,
        "dielectric": dielectric,
        "U": hamiltonian.U,
        "lambda_c": crossing,
        "depth_meV": None if crossing is None else crossing * material.depth_meV,
        "bracket": bracket,
        "searched": [COARSE[0], COARSE[-1]],
        "cutoff": CUTOFF,
        "seconds": round(time.process_time() - begin, 1),
    }


def ordering(lam: list[float], kinds: list[str]) -> tuple[float, float] | None:
    """The two neighbouring λ between which the lowest state becomes a crystal for good; None if there are none."""
    ordered = [kind == "crystal" for kind in kinds]
    last = max((index for index, crystal in enumerate(ordered) if not crystal), default=-1)
    return (lam[last], lam[last + 1]) if 0 <= last < len(lam) - 1 else None


def add(entry: dict[str, Any]) -> None:
    """Put an entry in the place of an earlier one of the same N and ε."""
    same = ("electrons", "dielectric")
    others = [old for old in stored() if any(old[key] != entry[key] for key in same)]
    entries = sorted([*others, entry], key=lambda one: (one["electrons"], one["dielectric"]))
    write_atomically(DATA, (json.dumps(entries, indent=1) + "\n").encode())
    print(entry, flush=True)


def stored() -> list[dict[str, Any]]:
    """What is in boundary.json."""
    result: list[dict[str, Any]] = json.loads(DATA.read_text()) if DATA.exists() else []
    return result


def place(boundary: dict[float, float], factor: float) -> None:
    """What puts the crossing of six electrons at the published λ: another depth (exact), or another ε (mean field)."""
    depth = DEPTH_MEV * NEAR_EXACT / PUBLISHED
    print(f"λ = {PUBLISHED:g} is the near-exact crossing if λ = 1 means {depth:.2f} meV, at ε = {REFERENCE:g}")
    for what, scale in (("mean field alone", 1.0), ("mean field × factor", factor)):
        points = sorted(boundary.items())
        for (a, low), (b, high) in pairwise(points):
            if scale * low <= PUBLISHED < scale * high:
                found = a + (b - a) * (PUBLISHED - scale * low) / (scale * (high - low))
                print(f"λ_c = {PUBLISHED:g} at {DEPTH_MEV:g} meV needs ε = {found:.1f} ({what}, linear in between)")
                break
        else:
            print(f"λ_c = {PUBLISHED:g} at {DEPTH_MEV:g} meV is not between the ε that were solved ({what})")


def draw() -> None:
    """The boundary, and the same shifted to the near-exact crossing of six electrons."""
    from qernel.plots.style import BLUE, INK, VERMILLION, figure, save, style

    entries = [entry for entry in stored() if entry["lambda_c"] is not None]
    six = {entry["dielectric"]: entry["lambda_c"] for entry in entries if entry["electrons"] == 6}
    factor = NEAR_EXACT / six[REFERENCE]
    print(f"near-exact over mean field at ε = {REFERENCE:g}, N = 6: {factor:.3f}")
    print("| N | ε | U (E0 a_M) | λ_c, mean field | depth there (meV) | λ_c × factor |")
    print("|---|---|---|---|---|---|")
    for entry in entries:
        lam = entry["lambda_c"]
        print(
            f"| {entry['electrons']} | {entry['dielectric']:g} | {entry['U']:.3f} | {lam:.3f} | "
            f"{entry['depth_meV']:.1f} | {lam * factor:.2f} |"
        )
    place(six, factor)
    with style():
        plot = figure(4.2, 3.2)
        axes = plot.add_subplot()
        for electrons, colour, marker in ((6, BLUE, "o"), (24, VERMILLION, "s")):
            own = [entry for entry in entries if entry["electrons"] == electrons]
            if not own:
                continue
            x = [entry["dielectric"] for entry in own]
            axes.plot(
                x, [one["depth_meV"] for one in own], marker=marker, color=colour, label=f"mean field, N = {electrons}"
            )
            if electrons == 6:
                shifted = [factor * one["depth_meV"] for one in own]
                axes.plot(x, shifted, ls="--", color=colour, label=f"the same × {factor:.2f}")
        depth = DEPTH_MEV * NEAR_EXACT
        error = DEPTH_MEV * NEAR_EXACT_ERROR
        axes.errorbar([REFERENCE], [depth], [error], marker="*", ms=9, color=INK, ls="", label="near-exact, N = 6")
        larger = json.loads(LARGER.read_text())
        if not any(entry["electrons"] == 24 for entry in entries):
            at = [DEPTH_MEV * larger["transition"]]
            axes.plot([REFERENCE], at, marker="s", ls="", color=VERMILLION, label="mean field, N = 24 (coarse)")
        axes.set_xlabel("dielectric constant ε")
        axes.set_ylabel("moiré depth at the crossing (meV)")
        axes.legend()
        save(plot, HERE / "boundary")


if __name__ == "__main__":
    main()
