"""Lowest eigenpair of a large Hermitian operator whose diagonal is known."""

from collections.abc import Callable

import numpy as np


def lowest(
    apply: Callable[[np.ndarray], np.ndarray],
    diagonal: np.ndarray,
    start: np.ndarray,
    tolerance: float = 1e-6,
    iterations: int = 200,
    subspace: int = 12,
) -> tuple[float, np.ndarray, float]:
    """Davidson's method. Returns eigenvalue, vector and residual norm; the eigenvalue error is of order residual²."""
    basis: list[np.ndarray] = []
    images: list[np.ndarray] = []
    new = start / np.linalg.norm(start)
    projected = np.zeros((0, 0), complex)
    value, vector, norm = np.inf, new, np.inf
    for _ in range(iterations):
        basis.append(new)
        images.append(apply(new))
        size = len(basis)
        grown = np.zeros((size, size), complex)
        grown[:-1, :-1] = projected
        grown[:, -1] = [np.vdot(b, images[-1]) for b in basis]
        grown[-1, :] = grown[:, -1].conj()
        projected = grown
        values, vectors = np.linalg.eigh(projected)
        value, mix = values[0], vectors[:, 0].astype(start.dtype)
        vector = sum(c * b for c, b in zip(mix, basis, strict=True))
        image = sum(c * b for c, b in zip(mix, images, strict=True))
        residual = image - value.astype(diagonal.dtype) * vector
        norm = float(np.linalg.norm(residual))
        if norm < tolerance:
            break
        if size == subspace:
            basis, images, projected = [vector], [image], np.array([[value]], complex)
        gap = diagonal - value.astype(diagonal.dtype)
        new = residual / np.where(np.abs(gap) < 0.3, 0.3, gap)
        for _ in range(2):
            for b in basis:
                new = new - np.vdot(b, new) * b
        new = new / np.linalg.norm(new)
    return float(value), vector / np.linalg.norm(vector), norm
