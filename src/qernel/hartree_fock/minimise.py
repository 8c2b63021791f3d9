"""Minimisation of the Hartree–Fock energy over Slater determinants.

The energy depends on the space the orbitals span, and on nothing else. Written as a function of amplitudes X that
need not be orthonormal, E(X S^{−1/2}), it has no constraints and its gradient is (1 − P) F φ S^{−1/2}; a quasi-Newton
method takes it down monotonically, which a self-consistent iteration does not promise. Amplitudes are scaled by the
inverse root of their kinetic energy, so that all directions have about the same curvature.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from qernel.hartree_fock.functional import MeanField, Orbitals, Parts, orthonormal
from qernel.lattice import ComplexArray, FloatArray
from qernel.stopping import check

_KINETIC_SCALE = 8.0
"""Kinetic energy in E0 beyond which plane waves are scaled down: about the gap between filled and empty orbitals."""

_MEMORY = 12
"""Steps the quasi-Newton method remembers."""

Mask = npt.NDArray[np.bool_]


class Minimum(NamedTuple):
    """A stationary point of the energy.

    Attributes:
        orbitals: orthonormal amplitudes per spin.
        parts: total energies in E0.
        residual: ‖(1 − P) F φ‖ per orbital (root mean square) in E0; the energy is off by about its square.
        evaluations: Fock operators applied.
    """

    orbitals: Orbitals
    parts: Parts
    residual: float
    evaluations: int


def minimise(
    field: MeanField,
    start: Sequence[ComplexArray],
    *,
    tolerance: float = 1e-5,
    evaluations: int = 400,
    masks: Sequence[Mask] | None = None,
) -> Minimum:
    """The minimum of the energy below a starting determinant.

    Args:
        field: the energy functional.
        start: independent rows of amplitudes per spin, ``[n_s, n]``; need not be orthonormal.
        tolerance: residual to stop at.
        evaluations: give up after so many applications of the Fock operator.
        masks: which amplitudes each orbital may use, shaped like ``start``. Orbitals that each keep a crystal momentum
            of their own make a determinant with the symmetry of the moiré lattice.
    """
    scale = 1.0 / np.sqrt(1.0 + field.basis.kinetic / _KINETIC_SCALE)
    allowed = [np.ones(block.shape, bool) for block in start] if masks is None else list(masks)
    spent, best = 0, (np.inf, Parts(0.0, 0.0, 0.0), list(start), np.inf)

    def objective(vector: FloatArray) -> tuple[float, FloatArray]:
        nonlocal spent, best
        check()
        free = _blocks(vector, [block.shape for block in start])
        orbitals, roots = orthonormal(
            [field.symmetrised(np.where(mask, block * scale, 0.0)) for block, mask in zip(free, allowed, strict=True)]
        )
        parts, fock = field.apply(orbitals)
        spent += 1
        gradient, square = [], 0.0
        for block, acted, root, mask in zip(orbitals, fock, roots, allowed, strict=True):
            rest = acted - (block.conj() @ acted.T).T @ block
            rest = field.symmetrised(np.where(mask, rest, 0.0))
            square += float((np.abs(rest) ** 2).sum())
            gradient.append((2.0 * scale * (root.conj() @ rest)).ravel().view(float))
        residual = float(np.sqrt(square / field.hamiltonian.count))
        if parts.energy < best[0] or residual < best[3]:
            best = (parts.energy, parts, orbitals, residual)
        return parts.energy, np.concatenate(gradient)

    def stop(intermediate_result: object) -> None:
        if best[3] < tolerance or spent >= evaluations:
            raise StopIteration

    current = orthonormal([field.symmetrised(np.where(m, b, 0.0)) for b, m in zip(start, allowed, strict=True)])[0]
    while True:
        before = spent
        vector = np.concatenate([(block / scale).ravel().view(float) for block in current])
        options = {"maxcor": _MEMORY, "maxiter": evaluations, "maxfun": evaluations, "ftol": 0.0, "gtol": 0.0}
        minimize(objective, vector, jac=True, method="L-BFGS-B", callback=stop, options=options)
        current = best[2]
        # A line search that ends at the precision of the energy begins anew without its memory, which may still help.
        if best[3] < tolerance or spent >= evaluations or spent - before < 5:
            return Minimum(current, best[1], best[3], spent)


def _blocks(vector: FloatArray, shapes: Sequence[tuple[int, ...]]) -> list[ComplexArray]:
    """Complex blocks of these shapes, one after the other in a vector of real numbers."""
    blocks, begin = [], 0
    for rows, waves in shapes:
        size = 2 * rows * waves
        blocks.append(vector[begin : begin + size].view(complex).reshape(rows, waves))
        begin += size
    return blocks
