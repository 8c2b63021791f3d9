"""From the steps of six_electrons.py to one energy per λ with an uncertainty; writes six_electrons.json.

The energy of full configuration interaction in 55 orbitals, E(55), is corrected for three things:
1. orbitals 56 to 121: the second-order energy from 37 orbitals times ρ = [E(55) − E(37)] / (its second-order estimate);
2. those beyond 121: the step from 91 to 121 continued like (number of orbitals)^-2, with the same ρ;
3. plane waves of the orbitals beyond 200 E0: what 400 E0 change in the energy with 31 orbitals.
Where a step is missing at some λ, the correction is interpolated linearly in λ at the same momentum.
Uncertainty: a quarter of 1, half of 2, a fifth of 3 and 0.001 in total for unconverged eigenvectors; added, not in
quadrature. Kinetic, moiré and interaction energy continue linearly in the energy from 37 to 55 orbitals; their
uncertainty is half of that step plus the one of the energy.
"""

import argparse
import json
from pathlib import Path

import numpy as np

PARTS = ("kinetic", "moire", "interaction")
CONVERGENCE = 0.001  # E0, total: two starts differ by 0.0007 at most


class Steps:
    """All lines of one crystal momentum."""

    def __init__(self, rows: list[dict]):
        self.rows = rows
        self.ladders = {lam: self._ladder(lam) for lam in sorted({r["lam"] for r in rows})}
        self.ladders = {lam: steps for lam, steps in self.ladders.items() if {37, 55} <= set(steps)}
        self.second = {r["lam"]: self._second(r) for r in rows if {"55", "91", "121"} <= set(r.get("second_order", {}))}
        self.waves = {lam: self._waves(lam) for lam in {r["lam"] for r in rows if r.get("cutoff") == 400.0}}

    def _ladder(self, lam: float) -> dict[int, dict]:
        """Lowest energy per number of orbitals."""
        steps: dict[int, dict] = {}
        for r in self.rows:
            best = steps.get(r["orbitals"])
            if r["lam"] == lam and r.get("cutoff", 200.0) == 200.0 and (best is None or r["energy"] < best["energy"]):
                steps[r["orbitals"]] = r
        return dict(sorted(steps.items()))

    def _second(self, row: dict) -> dict[int, float]:
        return {int(n): sum(e.values()) for n, e in row["second_order"].items()}

    def _waves(self, lam: float) -> float:
        fine = min(r["energy"] for r in self.rows if r["lam"] == lam and r.get("cutoff") == 400.0)
        return fine - self._ladder(lam)[31]["energy"]

    @staticmethod
    def _at(lam: float, known: dict[float, float]) -> float:
        return float(np.interp(lam, sorted(known), [known[x] for x in sorted(known)]))

    def ratio(self, lam: float) -> float:
        """FCI over second order for the orbitals 38 to 55."""
        known = {
            x: (self.ladders[x][55]["energy"] - self.ladders[x][37]["energy"]) / e[55]
            for x, e in self.second.items()
            if x in self.ladders
        }
        return self._at(lam, known)

    def estimate(self, lam: float) -> dict:
        """Energies per electron at one λ."""
        ladder, ratio = self.ladders[lam], self.ratio(lam)
        near = ratio * self._at(lam, {x: e[121] - e[55] for x, e in self.second.items()})
        last = ratio * self._at(lam, {x: e[121] - e[91] for x, e in self.second.items()})
        tail = last * 121**-2 / (91**-2 - 121**-2)
        waves = self._at(lam, self.waves)
        energy = ladder[55]["energy"] + near + tail + waves
        uncertainty = abs(near) / 4 + abs(tail) / 2 + abs(waves) / 5 + CONVERGENCE
        step = (energy - ladder[55]["energy"]) / (ladder[55]["energy"] - ladder[37]["energy"])
        out = {
            "lam": lam,
            "momentum": ladder[55]["momentum"],
            "energy": energy / 6,
            "uncertainty": uncertainty / 6,
            "upper_bound": ladder[55]["energy"] / 6,
            "ratio": ratio,
            "corrections": {"to_121": near / 6, "beyond_121": tail / 6, "waves": waves / 6},
            "interpolated": [n for n, k in (("second_order", self.second), ("waves", self.waves)) if lam not in k],
            "ladder": {n: r["energy"] / 6 for n, r in ladder.items()},
        }
        for name in PARTS:
            move = step * (ladder[55][name] - ladder[37][name])
            out[name] = (ladder[55][name] + move) / 6
            out[f"{name}_uncertainty"] = (abs(move) / 2 + uncertainty) / 6
        return out


def main() -> None:
    """Reads JSON lines, writes and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("steps", type=Path, nargs="+", help="JSON lines written by six_electrons.py")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("six_electrons.json"))
    arguments = parser.parse_args()
    rows = [json.loads(line) for path in arguments.steps for line in path.read_text().splitlines()]
    results = []
    for momentum in sorted({r["momentum"] for r in rows}):
        steps = Steps([r for r in rows if r["momentum"] == momentum])
        results += [steps.estimate(lam) for lam in steps.ladders] if steps.second and steps.waves else []
    for r in sorted(results, key=lambda r: r["lam"]):
        print(
            f"| {r['lam']} | {r['momentum']} | {r['energy']:.4f} ± {r['uncertainty']:.4f} | {r['upper_bound']:.4f} | "
            + " | ".join(f"{r[n]:.3f} ± {r[n + '_uncertainty']:.3f}" for n in PARTS)
            + f" | {r['ratio']:.3f} | {r['interpolated']}"
        )
    table = {"units": "E0 per electron, N U xi/2 included; N = 6, 3x3 cells, phase 45 deg, twist 0", "cases": results}
    arguments.out.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
