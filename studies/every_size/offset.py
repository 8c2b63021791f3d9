"""A run folder with a model of which six electrons change phase where the energies of the two cross.

    python studies/every_size/offset.py MODEL LAM FOLDER [STEEPNESS]

ψ is a sum of a liquid and of crystals, which six electrons have in different symmetry sectors: beside each other they
give the mean of their energies, and nothing is gained. The logarithm of the ratio of their norms, ln ∫|ψ_c|²/∫|ψ_l|²,
is measured from chains of either phase (Bennett's ratio, J. Comput. Phys. 22, 245) at a few places, and the κ of
`qernel.wavefunction.ansatz.lem`, linear in λ and U, makes it STEEPNESS · (λ − LAM).
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

import qernel
from qernel.training.folder import save_model
from qernel.training.names import MODEL_FILE
from qernel.wavefunction.base import log_psi

ELECTRONS, CHAINS, RECORDS, SEED = 6, 64, 8, 5
LAMBDAS, COUPLINGS = (0.9, 1.0, 1.1), (6.0, 10.6235, 15.5)
STEEPNESS = 300.0


def ratio(phases: dict[str, qernel.Model], functions: dict[str, object], place: dict[str, float]) -> float:
    """ln ∫|ψ_c|²/∫|ψ_l|² at a place of the family."""
    found = {}
    for name, model in phases.items():
        state = model.at(**place)
        point = jnp.asarray(state.point, jnp.float32)
        drawn = state.records(RECORDS, CHAINS, SEED, energies=False, progress=lambda _: None)
        logs = [{k: f(jnp.asarray(one.positions, jnp.float32), point) for k, f in functions.items()} for one in drawn]
        found[name] = 2.0 * np.concatenate([np.asarray(log["crystal"] - log["liquid"], float) for log in logs])
    return float(brentq(lambda c: expit(found["liquid"] - c).mean() - expit(c - found["crystal"]).mean(), -300, 300))


def main(name: str, lam: str, folder: str, steepness: str = str(STEEPNESS)) -> None:
    """Measure, print and write."""
    model = qernel.load(name)
    phases = {phase: model.on(electrons=ELECTRONS, phase=phase) for phase in ("liquid", "crystal")}
    functions = {
        phase: jax.jit(jax.vmap(lambda r, p, psi=one.wavefunction: log_psi(psi, r, p)[1], (0, None)))
        for phase, one in phases.items()
    }
    crystal = phases["crystal"].wavefunction
    rows, wanted = [], []
    for coupling, value in product(COUPLINGS, LAMBDAS):
        place = {"lam": value, "U": coupling}
        scaled = crystal.hamiltonian.scaled(jnp.asarray([value, coupling]))
        condition = crystal.embedding(scaled)
        # The liquid alone has no weight beside it; the crystals alone have the one of the sum.
        tilt = float(ELECTRONS * crystal.balance(condition) + crystal.offset(condition))
        measured = ratio(phases, functions, place) + 2.0 * tilt
        wanted.append((float(steepness) * (value - float(lam)) - measured) / 4.0)
        rows.append([1.0, *np.asarray(scaled, float)])
        print(f"λ = {value:g}, U = {coupling:g}: ln ratio {measured:.2f}, κ lacks {wanted[-1]:.2f}", flush=True)
    base, *slope = np.linalg.lstsq(np.array(rows), np.array(wanted), rcond=None)[0]
    offset = crystal.offset
    found = (offset.base + offset.base.dtype.type(base), offset.slope.at[: len(slope)].add(np.asarray(slope, "f4")))
    print(f"κ += {base:.3f}" + "".join(f" {one:+.3f} s{index}" for index, one in enumerate(slope)))
    wavefunction = eqx.tree_at(lambda psi: (psi.offset.base, psi.offset.slope), model.wavefunction, found)
    Path(folder).mkdir(parents=True)
    save_model(Path(folder) / MODEL_FILE, model.config, wavefunction)


if __name__ == "__main__":
    main(*sys.argv[1:])
