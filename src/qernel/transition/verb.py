"""Whether results show a transition, and where: the one call behind the command, `qernel.transition` and a scan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from qernel.errors import QernelError
from qernel.transition.analysis import Transition, analyse
from qernel.transition.boundary import Boundary, boundary
from qernel.transition.phase_map import PhaseMap, is_map, read_map
from qernel.transition.phases import Phases, compare_phases
from qernel.transition.reading import from_dataset, read_scan
from qernel.transition.scan import Curves

if TYPE_CHECKING:
    import xarray

    class Measured(Protocol):
        """What the verbs `scan` and `map` return."""

        @property
        def scanned(self) -> xarray.Dataset | PhaseMap:
            """The numbers."""

    Results = str | Path | xarray.Dataset | PhaseMap
    Source = Results | Measured


def transition(
    source: Source,
    *,
    against: Source | None = None,
    between: tuple[float, float] | None = None,
    resamples: int = 400,
    seed: int = 0,
) -> Transition | Phases | Boundary:
    """Look for a transition in a scan, for the crossing of two phases in two of them, or for the boundary in a map.

    Args:
        source: a folder of ``qernel scan``, with or without ``--over``; a file with its energies; what `Model.scan` or
            `Model.map` returned; or the data set of a scan.
        against: a second one of the same model whose chains started in the other phase.
        between: fit only this range of the parameter.
        resamples: data sets drawn for the errors.
        seed: of these.

    Raises:
        QernelError: for a map and a scan together, or a range whose lower end does not come first.
        RunError: if there is no scan, or its numbers cannot be fitted.

    >>> import qernel
    >>> found = qernel.transition("studies/n6/scan", resamples=100)
    >>> found.verdict, round(found.lambda_c.value, 1)
    ('transition', 1.1)
    """
    results = [_results(one) for one in (source, against) if one is not None]
    mapped = [_mapped(one) for one in results]
    if any(mapped) and not all(mapped):
        names = " and ".join(str(one) if isinstance(one, str | Path) else type(one).__name__ for one in results)
        raise QernelError(f"one of {names} is a map and the other is not: compare a map with a map")
    if mapped[0]:
        maps = [_map(one) for one in results]
        limits = _range(between, maps[0].along.symbol)
        return boundary(*maps, between=limits, resamples=resamples, seed=seed)
    scans = [_scan(one) for one in results]
    limits = _range(between, scans[0].axis.symbol)
    if limits is not None:
        scans = [scan.between(*limits) for scan in scans]
    if against is None:
        return analyse(scans[0], resamples=resamples, seed=seed)
    return compare_phases(scans[0], scans[1], resamples=resamples, seed=seed)


def _range(between: tuple[float, float] | None, symbol: str) -> tuple[float, float] | None:
    if between is None:
        return None
    low, high = between
    if not low < high:
        raise QernelError(f"--between {low:g} {high:g}: the lower {symbol} comes first")
    return low, high


def _results(source: Source) -> Results:
    """The numbers of what a verb returned; everything else as it is."""
    from xarray import Dataset

    return source if isinstance(source, str | Path | Dataset | PhaseMap) else source.scanned


def _mapped(source: Results) -> bool:
    return isinstance(source, PhaseMap) or (isinstance(source, str | Path) and is_map(source))


def _map(source: Results) -> PhaseMap:
    if isinstance(source, PhaseMap):
        return source
    assert isinstance(source, str | Path)
    return read_map(source)


def _scan(source: Results) -> Curves:
    if isinstance(source, str | Path):
        return read_scan(source)
    assert not isinstance(source, PhaseMap)
    return from_dataset(source)
