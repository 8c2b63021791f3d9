"""What terms of the Jastrow factor could remove of the variance of the local energy: python local_terms.py MODEL LAM.

A term c·f of log ψ changes E_L by −c (½Δf + ∇log ψ·∇f). What share of E_L these columns explain on chains that were
held back (`qernel.tangent.regression`); the columns f themselves, scores, are what an explicit update knows. Families:
pairs Σ g_a(r_ij), three bodies Σ_i A_al(i) A_bl(i)* and four bodies Σ_i A_al A_bm A_c,l+m* with
A_al(i) = Σ_j g_a(r_ij) e^{ilθ_ij}, pairs beside the moiré harmonics of one of them, and Σ_i v_a(i)·∇c(r_i).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

import qernel
from qernel.estimators.quantity import Quantity
from qernel.lattice import FloatArray, displacement
from qernel.tangent.fits import targets
from qernel.tangent.regression import Regression, Share, fold_of
from qernel.wavefunction import log_psi

RANGE, RADIAL, ANGULAR = 2.5, 6, 7
FOUR = ((0, 0), (0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (2, 2), (1, 3), (3, 3), (2, 4))


def radial(square: Array, count: int) -> Array:
    """Smooth functions of a distance that end at `RANGE`, ``[..., count]``."""
    centres = jnp.linspace(0.0, 2.2, count)
    width = 1.3 * 2.2 / (count - 1)
    end = jnp.where(square < RANGE**2, (1 - square / RANGE**2) ** 3, 0.0)
    flat = jnp.where(centres > 0, (square / (square + 0.05))[..., None], 1.0)
    return jnp.exp(-(((jnp.sqrt(square + 1e-12)[..., None] - centres) / width) ** 2)) * end[..., None] * flat


def terms(x: Array, cell: FloatArray, waves: FloatArray) -> dict[str, Array]:
    """Every family at positions ``[N, 2]``."""
    count = len(x)
    d = displacement(x[:, None] - x[None], cell)
    square = (d**2).sum(-1) + 100.0 * jnp.eye(count)
    direction = (d[..., 0] + 1j * d[..., 1]) / jnp.sqrt(square)
    shells = radial(square, RADIAL)
    around = [(shells * (direction**turns)[..., None]).sum(1) for turns in range(ANGULAR)]
    few = [one[:, ::2] for one in around]
    found = {"pairs": 0.5 * radial(square, 14).sum((0, 1))}
    upper = np.triu_indices(RADIAL)
    for turns, one in enumerate(around):
        found[f"three bodies, l = {turns}"] = jnp.einsum("na,nb->ab", one, one.conj()).real[upper]
    fourfold = [jnp.einsum("na,nb,nc->abc", few[a], few[b], few[a + b].conj()).real.ravel() for a, b in FOUR]
    found["four bodies"] = jnp.concatenate(fourfold)
    phases = jnp.exp(1j * (x @ jnp.asarray(waves.T, x.dtype)))
    signs = jnp.asarray([1.0, -1.0, 1.0])
    harmonics = jnp.stack([phases.real.sum(1), phases.imag @ signs], axis=1)
    found["pairs, moiré"] = jnp.einsum("na,ns->as", around[0].real, harmonics).ravel()
    slopes = jnp.stack([-phases.imag @ waves, (phases.real * signs) @ waves])
    vectors = jnp.stack([around[1].real, around[1].imag], axis=-1)
    found["vectors along ∇c"] = jnp.einsum("nax,snx->sa", vectors, slopes).ravel()
    return found


def share(records: list[FloatArray], energies: FloatArray) -> Share:
    """What columns ``[chains, n]`` of every record explain of energies ``[chains, records]``."""
    regression = Regression(fold_of(len(energies)))
    for columns, target in zip(records, energies.T, strict=True):
        regression.add(columns[:, None], target[:, None])
    return regression.share()


def measured(name: str, lam: float, chains: int = 192, records: int = 16) -> Iterator[tuple[str, Share, Share]]:
    """For each family its name, and the shares by what it does to E_L and by its scores."""
    state = qernel.load(name).at(lam)
    psi = state.model.wavefunction
    cell = np.asarray(psi.hamiltonian.supercell.vectors, np.float32)
    waves = np.asarray(psi.hamiltonian.supercell.moire_shells(1))
    drawn = list(state.records(records, chains, 5, energies=True, progress=lambda _: None))
    energies = np.stack([one.kinetic + one.moire + one.interaction for one in drawn], axis=1)
    clipped = np.asarray(targets(energies, state.model.config.train.clip)[0].real)
    point, count = jnp.asarray(state.point, jnp.float32), psi.hamiltonian.count

    def flat(x: Array) -> Array:
        return jnp.concatenate([*terms(x.reshape(count, 2), cell, waves).values()])

    def columns(x: Array) -> tuple[Array, Array]:
        slope = jax.grad(lambda y: log_psi(psi, y.reshape(count, 2), point)[1].real)(x)

        def curvature(way: Array) -> Array:
            return jax.jvp(lambda y: jax.jvp(flat, (y,), (way,))[1], (x,), (way,))[1]

        laplacian = jax.lax.map(curvature, jnp.eye(x.size, dtype=x.dtype)).sum(0)
        return -0.5 * laplacian - jax.jvp(flat, (x,), (slope,))[1], flat(x)

    seen = jax.jit(lambda batch: jax.lax.map(columns, batch))
    parts = [seen(jnp.asarray(one.positions, jnp.float32).reshape(chains, -1)) for one in drawn]
    begin = 0
    for family, part in terms(jnp.asarray(drawn[0].positions[0]), cell, waves).items():
        own = slice(begin, begin + part.size)
        changes, scores = ([np.asarray(part[kind][:, own], float) for part in parts] for kind in (0, 1))
        yield family, share(changes, clipped), share(scores, clipped)
        begin = own.stop


if __name__ == "__main__":
    for family, *shares in measured(sys.argv[1], float(sys.argv[2])):
        change, score = (Quantity(one.value, one.error).number for one in shares)
        print(f"{family:22s}{shares[0].columns:5d} numbers: R² {change}, by scores {score}", flush=True)
