"""A run folder with a model that changes phase where the energies of the two cross, six electrons and 24.

    python studies/every_size/offset.py MODEL FOLDER

ψ is a sum of a liquid and of crystals. Six electrons have these in different symmetry sectors: beside each other they
give the mean of their energies, and nothing is gained. The logarithm of the ratio of their norms, ln ∫|ψ_c|²/∫|ψ_l|²,
is measured from chains of either phase, by Bennett's ratio (J. Comput. Phys. 22, 245) where they overlap, which those
of 24 electrons hardly do: there it is half way between the means of ln |ψ_c|²/|ψ_l|², as for Gaussians of one width.
ω and κ of `qernel.wavefunction.ansatz.lem`, linear in λ and U, then make it STEEPNESS · (λ − λ_c) of each size.
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

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

COUPLINGS, SEED = (6.0, 10.6235, 15.5), 5


class Size(NamedTuple):
    """Where a size is measured, and what is wanted of it; λ_c at U = 10.6235, and its slope in U."""

    electrons: int
    chains: int
    records: int
    lambdas: tuple[float, ...]
    steepness: float
    crossing: float
    slope: float

    def wanted(self, place: dict[str, float]) -> float:
        """The logarithm of the ratio."""
        return self.steepness * (place["lam"] - self.crossing - self.slope * (place["U"] - COUPLINGS[1]))


# λ_c of six electrons by energies of each phase; of 24 that of studies/every_size/phases.
SIZES = (
    Size(6, 64, 8, (0.9, 1.0, 1.1), 300.0, 1.012, 0.0),
    Size(24, 24, 4, (0.9, 1.0), 640.0, 0.966, -0.0145),
)


def ratio(phases: dict[str, qernel.Model], functions: dict[str, Any], place: dict[str, float], size: Size) -> float:
    """ln ∫|ψ_c|²/∫|ψ_l|² at a place of the family."""
    found = {}
    for name, model in phases.items():
        state = model.at(**place)
        point = jnp.asarray(state.point, jnp.float32)
        drawn = state.records(size.records, size.chains, SEED, energies=False, progress=lambda _: None)
        logs = [{k: f(jnp.asarray(one.positions, jnp.float32), point) for k, f in functions.items()} for one in drawn]
        found[name] = 2.0 * np.concatenate([np.asarray(log["crystal"] - log["liquid"], float) for log in logs])
    liquid, crystal = found["liquid"], found["crystal"]
    if liquid.max() < crystal.min():
        return float(0.5 * (liquid.mean() + crystal.mean()))
    return float(brentq(lambda c: expit(liquid - c).mean() - expit(c - crystal).mean(), -900, 900))


def rows_of(model: qernel.Model, size: Size) -> list[tuple[list[float], float]]:
    """What multiplies the numbers of ω and κ in the logarithm of the ratio, and what it lacks, at every place."""
    phases = {phase: model.on(electrons=size.electrons, phase=phase) for phase in ("liquid", "crystal")}
    functions = {
        phase: jax.jit(jax.vmap(lambda r, p, psi=one.wavefunction: log_psi(psi, r, p)[1], (0, None)))
        for phase, one in phases.items()
    }
    crystal = phases["crystal"].wavefunction
    rows = []
    for coupling, value in product(COUPLINGS, size.lambdas):
        place = {"lam": value, "U": coupling}
        scaled = crystal.hamiltonian.scaled(jnp.asarray([value, coupling]))
        condition = crystal.embedding(scaled)
        tilt = float(size.electrons * crystal.balance(condition) + crystal.offset(condition))
        # The liquid alone has no weight, nor has a single crystal; three have the one of the sum.
        measured = ratio(phases, functions, place, size) + (2.0 if size.electrons <= 12 else 4.0) * tilt
        affine = 4.0 * np.array([1.0, *np.asarray(scaled, float)])
        rows.append(([*(size.electrons * affine), *affine], size.wanted(place) - measured))
        print(
            f"N = {size.electrons}, λ = {value:g}, U = {coupling:g}: {measured:.1f}, lacks {rows[-1][1]:.1f}",
            flush=True,
        )
    return rows


def main(name: str, folder: str) -> None:
    """Measure, print and write."""
    model = qernel.load(name)
    rows = [row for size in SIZES for row in rows_of(model, size)]
    A, lacking = np.array([row for row, _ in rows]), np.array([rest for _, rest in rows])
    found = np.linalg.lstsq(A, lacking, rcond=None)[0]
    print("left:", np.round(lacking - A @ found, 1).tolist())
    wavefunction = model.wavefunction
    for part, numbers in (("balance", found[:3]), ("offset", found[3:])):
        print(f"{part} += " + ", ".join(f"{one:.3f}" for one in numbers))
        old = getattr(wavefunction, part)
        new = (
            old.base + old.base.dtype.type(numbers[0]),
            old.slope.at[:2].add(np.asarray(numbers[1:], old.slope.dtype)),
        )
        wavefunction = eqx.tree_at(
            lambda psi, part=part: (getattr(psi, part).base, getattr(psi, part).slope), wavefunction, new
        )
    Path(folder).mkdir(parents=True)
    save_model(Path(folder) / MODEL_FILE, model.config, wavefunction, model.training)


if __name__ == "__main__":
    main(*sys.argv[1:])
