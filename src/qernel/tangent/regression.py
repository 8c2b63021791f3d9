"""What share of a variance columns explain on chains that they were not fitted to.

A ridge regression by its sums of products alone, so that configurations come one record after the other and no array
grows with their number. Errors and the strength of the ridge are those of whole chains that are held back, which knows
of their autocorrelation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from qernel.lattice import FloatArray

FOLDS = 10
"""Groups of chains that are held back in turn; fewer where there are fewer chains."""

FEWEST = 4
"""Chains without which none can be held back twice (`Regression.share`) from a fit to two others."""

RIDGES = np.logspace(-8.0, 2.0, 11)
"""Strengths of the ridge, beside columns of variance 1."""

_CONSTANT = 1e-12
"""Share of a column's mean square below which its variance is rounding."""


class Share(NamedTuple):
    """The share of a variance that columns explain on chains not fitted to.

    Attributes:
        value: R²; 1 if nothing is left, negative where the fit is worse than none; nan where nothing varies.
        error: one standard error, by the jackknife over held-back chains.
        ridge: the strength chosen, the median over folds.
        columns: how many there were.
    """

    value: float
    error: float
    ridge: float
    columns: int


def fold_of(chains: int) -> npt.NDArray[np.int64]:
    """The fold of each chain, ``[chains]``."""
    return np.arange(chains) % min(FOLDS, chains)


class Regression:
    """A fit of a target by columns, from rows that are added in pieces.

    Of complex quantities, real and imaginary part are two rows with the same coefficients, which are real; each part
    has a mean of its own.

    Args:
        folds: of each chain, from `fold_of`.
    """

    def __init__(self, folds: npt.NDArray[np.int64]) -> None:
        if len(folds) < FEWEST:
            raise ValueError(f"{len(folds)} chains cannot be held back from each other: at least {FEWEST} are needed")
        self._folds = [np.flatnonzero(folds == fold) for fold in range(int(folds.max()) + 1)]
        self._sums: FloatArray | None = None
        self._origin: FloatArray | None = None

    def add(self, columns: npt.ArrayLike, target: npt.ArrayLike) -> None:
        """Add a record of every chain.

        Args:
            columns: ``[chains, parts, columns]``.
            target: ``[chains, parts]``.
        """
        x = np.asarray(columns, np.float64)
        if self._origin is None:
            # Sums of products lose the variance of what is far from 0; constants are part of every fit.
            self._origin = x.mean(0)
        chains, parts, _ = x.shape
        means = np.broadcast_to(np.eye(parts), (chains, parts, parts))
        rows = np.concatenate([means, x - self._origin, np.asarray(target, np.float64)[..., None]], axis=-1)
        pieces = [rows[fold].reshape(-1, rows.shape[-1]) for fold in self._folds]
        sums = np.stack([piece.T @ piece for piece in pieces])
        self._sums = sums if self._sums is None else self._sums + sums
        self._parts = parts

    def share(self) -> Share:
        """R² of each fold from a fit to the others, whose ridge is the best for folds held back among these others.

        So what is measured has no say in the fit, nor in the strength of its ridge.
        """
        if self._sums is None:
            raise ValueError("there is nothing to fit: add records first")
        sums, folds = self._sums, len(self._sums)
        total = sums.sum(0)
        columns = sums.shape[-1] - self._parts - 1
        left = np.zeros((folds, len(RIDGES)))
        for one in range(folds):
            for other in range(one):
                fits = self._fits(total - sums[one] - sums[other])
                left[one] += _residual(sums[other], fits[:-1])
                left[other] += _residual(sums[one], fits[:-1])
        best = left.argmin(1)
        unexplained, spread = np.zeros(folds), np.zeros(folds)
        for fold in range(folds):
            fits = self._fits(total - sums[fold])
            unexplained[fold], spread[fold] = _residual(sums[fold], fits[[best[fold], -1]])
        ridge = float(np.median(RIDGES[best]))
        if not spread.sum() > _CONSTANT * total[-1, -1]:
            return Share(float("nan"), float("nan"), ridge, columns)
        without = 1.0 - (unexplained.sum() - unexplained) / (spread.sum() - spread)
        error = np.sqrt((folds - 1) / folds * ((without - without.mean()) ** 2).sum())
        return Share(float(1.0 - unexplained.sum() / spread.sum()), float(error), ridge, columns)

    def _fits(self, sums: FloatArray) -> FloatArray:
        """What turns rows (means, columns, target) into residuals, for each ridge and, last, for the means alone.

        Returns:
            ``[ridges + 1, parts + columns + 1]``.
        """
        parts = self._parts
        shifts = np.linalg.solve(sums[:parts, :parts], sums[:parts, parts:])
        centred = sums[parts:, parts:] - sums[parts:, :parts] @ shifts
        squares = np.diag(centred)[:-1]
        varies = squares > _CONSTANT * np.diag(sums)[parts:-1]
        scale = np.where(varies, 1.0 / np.sqrt(np.where(varies, squares, 1.0)), 0.0)
        values, vectors = np.linalg.eigh(centred[:-1, :-1] * scale * scale[:, None])
        along = vectors.T @ (scale * centred[:-1, -1])
        weights = along / (np.maximum(values, 0.0) + RIDGES[:, None])
        slopes = np.concatenate([scale * (weights @ vectors.T), np.zeros((1, len(scale)))])
        means = shifts[:, -1] - slopes @ shifts[:, :-1].T
        found: FloatArray = np.concatenate([-means, -slopes, np.ones((len(slopes), 1))], axis=1)
        return found


def _residual(sums: FloatArray, fits: FloatArray) -> FloatArray:
    """Sums of squared residuals ``[n]`` of n of the fits of `Regression._fits`, for rows with sums of products."""
    found: FloatArray = ((fits @ sums) * fits).sum(1)
    return found
