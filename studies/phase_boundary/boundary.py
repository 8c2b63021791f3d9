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
DATA = HERE / "boundary.json"
CUTOFF = 150.0
"""Kinetic cut-off of the finer grid in E0. With 300 and a grid of 0.1 six electrons at ε = 5 cross at 0.762 too."""

COARSE = (0.5, 0.7, 0.9, 1.1, 1.4, 1.7, 2.0)
REFINED = (-0.8, -0.35, 0.1, 0.55, 1.0)
"""Where the finer grid lies in the bracket, 0 and 1 being its ends: the coarse cut-off favours liquids."""

REFERENCE = 5.0
"""The ε of the default material, at which crossings beyond mean field are known."""

CROSSINGS = {6: (1.085, 0.003, "near-exact"), 24: (0.856, 0.012, "wavefunction"), 54: (0.867, 0.010, "wavefunction")}
"""λ of the crossing at `REFERENCE`, its error, its kind: studies/exact, studies/n24/phases, studies/n54/phases."""

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
        bracket = ordering(lam, [lowest(branches).kind for branches in found])
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
        "U": hamiltonian.constants["U"],
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


def place(boundary: dict[float, float], factor: float, electrons: int) -> None:
    """What puts a crossing at the published λ: another depth (exact), or another ε (mean field times a factor)."""
    depth = DEPTH_MEV * CROSSINGS[electrons][0] / PUBLISHED
    print(f"N = {electrons}: λ_c = {PUBLISHED:g} if λ = 1 means {depth:.2f} meV, at ε = {REFERENCE:g}")
    for (a, low), (b, high) in pairwise(sorted(boundary.items())):
        if factor * low <= PUBLISHED < factor * high:
            found = a + (b - a) * (PUBLISHED - factor * low) / (factor * (high - low))
            print(f"N = {electrons}: λ_c = {PUBLISHED:g} at {DEPTH_MEV:g} meV needs ε = {found:.1f}, linear in between")
            return
    print(f"N = {electrons}: λ_c = {PUBLISHED:g} at {DEPTH_MEV:g} meV is not between the ε that were solved")


def draw() -> None:
    """The boundaries, each also shifted to the crossing beyond mean field of as many electrons."""
    from qernel.plots.style import BLUE, INK, VERMILLION, figure, save, style

    entries = [entry for entry in stored() if entry["lambda_c"] is not None]
    print("| N | ε | U (E0 a_M) | λ_c, mean field | depth there (meV) | λ_c × factor |")
    print("|---|---|---|---|---|---|")
    boundaries, factors = {}, {}
    for electrons in sorted({entry["electrons"] for entry in entries}):
        own = {entry["dielectric"]: entry for entry in entries if entry["electrons"] == electrons}
        boundaries[electrons] = {dielectric: entry["lambda_c"] for dielectric, entry in own.items()}
        factors[electrons] = CROSSINGS[electrons][0] / boundaries[electrons][REFERENCE]
        for dielectric, entry in own.items():
            lam = entry["lambda_c"]
            print(
                f"| {electrons} | {dielectric:g} | {entry['U']:.3f} | {lam:.3f} | "
                f"{entry['depth_meV']:.1f} | {lam * factors[electrons]:.2f} |"
            )
    for electrons, factor in factors.items():
        print(f"N = {electrons}: {CROSSINGS[electrons][2]} over mean field at ε = {REFERENCE:g}: {factor:.3f}")
        place(boundaries[electrons], factor, electrons)
    with style():
        plot = figure(4.6, 3.6)
        axes = plot.add_subplot()
        for (electrons, boundary), colour, marker in zip(boundaries.items(), (BLUE, VERMILLION), "os", strict=True):
            x, depths = list(boundary), [DEPTH_MEV * lam for lam in boundary.values()]
            axes.plot(x, depths, marker=marker, color=colour, label=f"mean field, N = {electrons}")
            factor = factors[electrons]
            axes.plot(x, [factor * y for y in depths], ls="--", color=colour, label=f"the same × {factor:.2f}")
        for (electrons, (lam, error, source)), marker in zip(CROSSINGS.items(), "*Xd", strict=True):
            label, at = f"{source}, N = {electrons}", DEPTH_MEV * lam
            axes.errorbar([REFERENCE], [at], [DEPTH_MEV * error], marker=marker, ms=7, color=INK, ls="", label=label)
        axes.set_xlabel("dielectric constant ε")
        axes.set_ylabel("moiré depth at the crossing (meV)")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        save(plot, HERE / "boundary")


if __name__ == "__main__":
    main()
