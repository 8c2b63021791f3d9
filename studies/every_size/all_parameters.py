"""How much of the variance of the local energy all parameters of a model could remove, each of them counted.

    python studies/every_size/all_parameters.py MODEL LAM [CHAINS [RECORDS [TAU]]]

`qernel diagnose` represents many parameters by random combinations, which bounds their share from below. Here the
regression is by its kernel, walkers by walkers, with all of them: the step of natural gradient itself. One half of the
chains is fitted, the other half tells how well, for several strengths of damping; the shares are those of clipped
energies, as in training. With TAU the rows are those of an implicit step (`qernel.training.rows`), and damping is in
units of (1 + 10 TAU)².
"""

from __future__ import annotations

import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import qernel
from qernel.estimators.batched import walker_functions
from qernel.tangent.fits import targets
from qernel.training.rows import measured
from qernel.wavefunction import parameter_layout

DAMPINGS = (1e-2, 1e-1, 1.0, 3.0, 10.0, 30.0)


def main(name: str, lam: float, chains: int = 256, records: int = 16, tau: float = 0.0) -> None:
    """Print R² and the correlation with the residual for growing numbers of fitted walkers."""
    model = qernel.load(name)
    state = model.at(lam)
    drawn = list(state.records(records, chains, 5, energies=True, progress=lambda _: None))
    energies = np.stack([one.kinetic + one.moire + one.interaction for one in drawn], axis=1)
    parameters, _, length = parameter_layout(model.wavefunction)
    seen = jax.jit(partial(measured, walker_functions(model.wavefunction, laplacian="forward", implicit=tau)))
    point = jnp.asarray(state.point, parameters.dtype)[None]
    rows = [seen(parameters, jnp.asarray(one.positions, parameters.dtype)[None], point)[1] for one in drawn]
    columns = np.stack([np.asarray(one[0, :, 0]) for one in rows], axis=1)
    clipped = targets(energies, model.config.train.clip)[0].real
    print(f"{name}, λ = {lam:g}: Var/N = {energies.var() / model.hamiltonian.count:.3f} E0², clipped", end=" ")
    print(f"{clipped.var() / model.hamiltonian.count:.3f}; {length} parameters")
    held = chains // 2
    test = columns[held:].reshape(-1, length)
    target = clipped[held:].reshape(-1)
    test, target = test - test.mean(0), target - target.mean()
    for fitted in (held // 4, held // 2, held):
        own = columns[:fitted].reshape(-1, length)
        aim = clipped[:fitted].reshape(-1)
        own, aim = own - own.mean(0), aim - aim.mean()
        values, vectors = np.linalg.eigh((own @ own.T).astype(float) / len(own))
        cross = (test @ own.T).astype(float)
        for damping in DAMPINGS:
            added = damping * (1 + 10 * tau) ** 2
            weights = vectors @ ((vectors.T @ aim) / (np.maximum(values, 0.0) + added)) / len(own)
            found = cross @ weights
            share = 1.0 - ((target - found) ** 2).sum() / (target**2).sum()
            alike = found @ target / np.sqrt((found**2).sum() * (target**2).sum())
            print(f"{len(own):6d} walkers, damping {damping:<5g}: R² {share:+.3f}, correlation {alike:.2f}")


if __name__ == "__main__":
    main(
        sys.argv[1], float(sys.argv[2]), *(int(given) for given in sys.argv[3:5]), *(float(tau) for tau in sys.argv[5:])
    )
