"""How many moves chains take to forget where they began: spread evenly, or at random.

    python studies/starts/relaxation.py MODEL λ [--electrons N] [--twist T1 T2] [--walkers W] [--moves M]

Prints, for both starts, total and interaction energy per electron in E0 against the moves made, with the scatter of
the walkers over √W. The first 120 moves adapt the step.
"""

from __future__ import annotations

import argparse

import jax.numpy as jnp
import numpy as np

import qernel
from qernel.estimators.chains import ChainSampler

STRIDE, ADAPTED = 60, 120


def main() -> None:
    """Print both series."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("lam", type=float)
    parser.add_argument("--electrons", type=int)
    parser.add_argument("--twist", type=float, nargs=2)
    parser.add_argument("--walkers", type=int, default=16)
    parser.add_argument("--moves", type=int, default=1200)
    options = parser.parse_args()
    model = qernel.load(options.model)
    if options.electrons:
        model = model.on(electrons=options.electrons, twist=options.twist)
    hamiltonian = model.wavefunction.hamiltonian
    count, cell = hamiltonian.count, hamiltonian.supercell
    middle = {name: 0.5 * (low + high) for name, (low, high) in model.config.family.ranges.items()}
    point = jnp.asarray([options.lam, *(middle[name] for name in model.config.family.ranges if name != "lam")])
    at_random = np.random.default_rng(5).uniform(size=(options.walkers, count, 2)) @ cell.vectors
    sampler = ChainSampler(model.wavefunction, options.walkers)
    print(f"{model.name}, {count} electrons, λ = {options.lam:g}: energy and interaction energy, E0 an electron")
    for name, start in (("at random", at_random), ("evenly", None)):
        records = sampler.records(
            point, samples=options.moves // STRIDE, moves=STRIDE, burn_in=ADAPTED, seed=1, start=start
        )
        for index, record in enumerate(records):
            parts = [record.kinetic + record.moire + record.interaction, record.interaction]
            shown = [f"{x.mean() / count:9.3f} ± {x.std() / count / np.sqrt(len(x)):.3f}" for x in parts]
            print(f"{name:10s} {ADAPTED + STRIDE * (index + 1):6d} moves {'  '.join(shown)}", flush=True)


if __name__ == "__main__":
    main()
