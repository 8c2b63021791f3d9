"""Text for people: tables, durations and sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qernel.storage import DOUBTFUL, IMPOSSIBLE, outside

if TYPE_CHECKING:
    from qernel.measure import Energies, Model


def energy_table(
    model: Model,
    results: Sequence[Energies],
    others: Mapping[str, float],
    *,
    swaps: Sequence[float] | None = None,
) -> str:
    """What `query` and `scan` print: a row for each λ, energies per electron in E0.

    Args:
        model: that was measured.
        results: at each λ.
        others: parameters that are the same at each λ.
        swaps: accepted fraction of the swaps between each λ and the next one.
    """
    head = [
        "λ",
        "energy",
        "kinetic",
        "moiré",
        "interaction",
        "|ρ_K|²",
        "acceptance",
        "autocorr.",
        "rhat",
        "eff. samples",
    ]
    shown = [f"{value:.2f}" for value in swaps] + [""] if swaps is not None else []
    head += ["swaps with next"] if shown else []
    rows = []
    for index, result in enumerate(results):
        parts = (result.energy, result.kinetic, result.moire, result.interaction)
        order = () if result.order_parameter is None else (result.order_parameter,)
        rows.append(
            [
                f"{result.lam:g}",
                *(part.number for part in parts),
                "" if result.order_parameter is None else result.order_parameter.number,
                f"{result.acceptance:.2f}",
                f"{result.autocorrelation:.1f}",
                f"{result.rhat:.3f}",
                f"{result.effective_samples:.0f}",
                *shown[index : index + 1],
                remark({**result._asdict(), DOUBTFUL: any(part.doubts for part in (*parts, *order))}),
            ]
        )
    unit = model.config.energy_unit_meV
    title = f"{model.name}: {describe(model.config.system.electrons, model.config.system.cells)}, "
    title += "".join(f"{name} = {value:g}, " for name, value in others.items())
    title += "energies per electron in E0" + ("" if unit is None else f" = {unit:.6g} meV")
    return f"{title}\n{columns([[*head, ''], *rows])}"


def reweighted_table(results: Sequence[Energies]) -> str:
    """Energies at λ between those that were sampled."""
    rows = [["λ", "energy", "kinetic", "moiré", "interaction", "from λ", "effective", "eff. samples", ""]]
    for result in results:
        parts = (result.energy, result.kinetic, result.moire, result.interaction)
        share = f"{result.effective_fraction:.1%}"
        cells = [
            *(part.number for part in parts),
            f"{result.reweighted_from:g}",
            share,
            f"{result.effective_samples:.0f}",
        ]
        rows.append(
            [f"{result.lam:g}", *cells, remark({**result._asdict(), DOUBTFUL: any(part.doubts for part in parts)})]
        )
    return columns(rows)


def remark(point: Mapping[Any, Any]) -> str:
    """What has to be said beside the numbers at one λ (a row, or a data set); empty if nothing has.

    >>> remark({"doubtful": True, "extrapolating": True})
    'errors doubtful, extrapolating'
    """
    words = {IMPOSSIBLE: "no answer", DOUBTFUL: "errors doubtful"}
    said = [word for flag, word in words.items() if flag in point and bool(point[flag])]
    return ", ".join(filter(None, (*said, outside(point))))


def describe(electrons: tuple[int, int], cells: int) -> str:
    """The system in a few words.

    >>> describe((6, 0), 9), describe((1, 1), 1)
    ('6 electrons on 9 moiré cells', '1 up and 1 down electron on 1 moiré cell')
    """
    up, down = electrons
    count = f"{up} electron{'s' * (up != 1)}" if not down else f"{up} up and {down} down electron{'s' * (down != 1)}"
    return f"{count} on {cells} moiré cell{'s' * (cells != 1)}"


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells, aligned to the right; a last column aligned to the left."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """A time for people.

    >>> duration(8.2), duration(75), duration(7260), duration(400000)
    ('8 s', '1 min 15 s', '2 h 01 min', '4 d 15 h')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 172_800:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def size(count: float) -> str:
    """A number of bytes for people.

    >>> size(512), size(1.5e6), size(2.34e10)
    ('512 B', '1.5 MB', '23 GB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
