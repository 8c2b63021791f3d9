"""Whether results show a transition, and where: the one call behind the command, `qernel.transition` and a scan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qernel.errors import QernelError
from qernel.transition.analysis import Transition, analyse
from qernel.transition.phases import Phases, compare_phases
from qernel.transition.scan import Scan, from_dataset, read_scan

if TYPE_CHECKING:
    import xarray

    Source = str | Path | xarray.Dataset


def transition(
    source: Source,
    *,
    against: Source | None = None,
    between: tuple[float, float] | None = None,
    resamples: int = 400,
    seed: int = 0,
) -> Transition | Phases:
    """Look for a transition in a scan, or for the crossing of two phases in two of them.

    Args:
        source: a folder of ``qernel scan``, a file with its energies, or the data set of a scan.
        against: a second scan of the same model whose chains started in the other phase.
        between: fit only this range of the parameter.
        resamples: data sets drawn for the errors.
        seed: of these.

    Raises:
        QernelError: for a range whose lower end does not come first.
        RunError: if there is no scan, or its numbers cannot be fitted.
    """
    scans = [_scan(one) for one in (source, against) if one is not None]
    if between is not None:
        low, high = between
        if not low < high:
            raise QernelError(f"--between {low:g} {high:g}: the lower λ comes first")
        scans = [scan.between(low, high) for scan in scans]
    if against is None:
        return analyse(scans[0], resamples=resamples, seed=seed)
    return compare_phases(scans[0], scans[1], resamples=resamples, seed=seed)


def _scan(source: Source) -> Scan:
    return read_scan(source) if isinstance(source, str | Path) else from_dataset(source)
