"""Six electrons on 3×3 moiré cells: full configuration interaction in closed shells of Bloch orbitals."""

import argparse
import json
import time
from pathlib import Path

from active_space import MOMENTA, ActiveSpace, OneBody, Problem, embed
from cell import DEPTH
from perturbation import second_order


def main() -> None:
    """Ladder of orbital numbers for every λ in one momentum; appends one JSON line per step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lam", type=float, nargs="+", required=True)
    parser.add_argument("--momentum", choices=sorted(MOMENTA), required=True)
    parser.add_argument("--orbitals", type=int, nargs="+", default=[31, 37, 43, 55])
    parser.add_argument("--outer", type=int, nargs="*", default=[], help="second-order energy up to so many orbitals")
    parser.add_argument("--cutoff", type=float, default=200.0, help="k²/2 of the plane waves in the orbitals, E0")
    parser.add_argument("--tolerance", type=float, default=8e-3, help="residual norm; its square bounds the error")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, appended to")
    arguments = parser.parse_args()
    body = OneBody(arguments.cutoff)
    spaces: dict[int, ActiveSpace] = {}
    for lam in arguments.lam:
        previous, c = None, None
        for total in arguments.orbitals:
            begin = time.time()
            counts = body.shells(total)
            if total not in spaces:
                spaces[total] = ActiveSpace(counts, MOMENTA[arguments.momentum])
            space = spaces[total]
            problem = Problem(body, space, lam * DEPTH)
            orbitals = body.bands(lam * DEPTH, counts)
            energy, c = problem.solve(orbitals, None if c is None else embed(previous, space, c), arguments.tolerance)
            previous = space
            _, one = space.density_matrices(c)
            row = {
                "lam": lam,
                "momentum": arguments.momentum,
                "orbitals": total,
                "cutoff": arguments.cutoff,
                "states": len(space.states),
                "energy": energy,
                **problem.parts(orbitals, one, energy),
            }
            outer = [n for n in arguments.outer if n > total]
            row["second_order"] = {n: second_order(body, space, body.shells(n), lam * DEPTH, energy, c) for n in outer}
            row["seconds"] = round(time.time() - begin, 1)
            with arguments.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(row, flush=True)


if __name__ == "__main__":
    main()
