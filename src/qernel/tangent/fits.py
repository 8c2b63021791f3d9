"""The fits of all groups of columns to the same local energies."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from qernel.stopping import check
from qernel.tangent.columns import Columns
from qernel.tangent.regression import Regression, Share

TOGETHER = "all terms"
"""The name of all terms in one fit."""


def targets(energies: npt.NDArray[np.complex128], clip: float) -> tuple[npt.NDArray[np.complex128], float]:
    """Local energies around their mean as they are fitted, and the share of their variance that clipping takes off.

    Few configurations near the nodes of ψ would decide a fit otherwise; training clips in the same way.

    Args:
        energies: ``[chains, samples]``.
        clip: they are pulled to within so many mean absolute deviations of their median, imaginary parts of 0.
    """
    centred = energies - energies.mean()
    median = np.median(centred.real)
    reach = clip * np.abs(centred.real - median).mean()
    kept = np.clip(centred.real, median - reach, median + reach) + 1j * np.clip(centred.imag, -reach, reach)
    total = centred.var()
    return kept, float(1.0 - kept.var() / total) if total else 0.0


class Fits:
    """The regressions of all groups, fed with one record after the other.

    Args:
        folds: of each chain (`qernel.tangent.regression.fold_of`).
    """

    def __init__(self, folds: npt.NDArray[np.int64]) -> None:
        self._folds = folds
        self._own: dict[str, Regression] = {}
        self._added: dict[str, Regression] = {}

    def add(self, own: Columns, added: Columns, energies: npt.NDArray[Any]) -> None:
        """Add a record: columns of the wavefunction's own parts and of terms, local energies ``[chains]``."""
        parts = next(iter({**own, **added}.values())).shape[1]
        target = np.stack([energies.real, energies.imag][:parts], axis=-1)
        if len(added) > 1:
            added = {**added, TOGETHER: np.concatenate([*added.values()], axis=-1)}
        for kind, fits in ((own, self._own), (added, self._added)):
            for name, columns in kind.items():
                fits.setdefault(name, Regression(self._folds)).add(columns, target)

    def own(self) -> dict[str, Share]:
        """What the parts of the wavefunction explain."""
        return _shares(self._own)

    def added(self) -> dict[str, Share]:
        """What each term explains, and all of them `TOGETHER`."""
        return _shares(self._added)


def _shares(fits: dict[str, Regression]) -> dict[str, Share]:
    found = {}
    for name, fit in fits.items():
        check()
        found[name] = fit.share()
    return found
