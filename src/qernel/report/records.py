"""Sections of the JSON records that commands leave: Hartree–Fock, transitions, comparisons, tangent tests, projections.

A new kind of record is a function from its content and path to sections, and a line in `RECORDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from qernel.along import MAP, named
from qernel.errors import QernelError, RunError
from qernel.estimators.doubts import RHAT_LIMIT
from qernel.estimators.quantity import parenthesis
from qernel.integrity import check_row
from qernel.plots.over_two import phase_map
from qernel.records import read_json
from qernel.report.parts import FINDING, Section, Table, drawn, stored
from qernel.report.transitions import curves_table
from qernel.text import describe
from qernel.transition.phase_map import read_map


def record(path: Path) -> list[Section]:
    """The sections of a record.

    Args:
        path: of a file with a name in `RECORDS`.

    Raises:
        RunError: if the file is damaged or of another program.
    """
    content = read_json(path)
    try:
        return [*RECORDS[path.name](content, path)]
    except QernelError:
        raise
    except Exception as error:  # only the content can be at fault
        reason = " ".join(str(error).split())[:200]
        raise RunError(f"{path} is damaged, or no record of qernel: {type(error).__name__}: {reason}") from error


def _transition(data: Mapping[str, Any], path: Path) -> Iterator[Section]:
    figures = {path.with_suffix(".png"): "Interaction energy with the fitted curves"}
    images, left_out = stored(figures, path.parent)
    title = f"Transition, from {Path(data['source']).name}" if data["source"] else "Transition"
    evidence = [*map(str, data["evidence"])]
    yield Section(title, [curves_table(data)], images, "", [*evidence, *left_out], "".join(evidence[:1]), FINDING)


def _phase_map(data: Mapping[str, Any], path: Path) -> Iterator[Section]:
    along, over = named(data["along"]), named(data["over"])
    rows = []
    for one in data["boundary"]:
        place, slope = one[f"{along.stem}_c"], one["clausius_clapeyron_slope"]
        numbers = ["" if pair is None else parenthesis(pair["value"], pair["error"]) for pair in (place, slope)]
        rows.append([f"{one[over.name]:g}", *numbers, one["reason"]])
    head = [over.symbol, f"{along.symbol}_c", f"d{along.symbol}_c/d{over.symbol} by Clausius–Clapeyron", "why none"]
    images, left_out = stored({path.with_suffix(".png"): "The map, with the boundary of the phases"}, path.parent)
    title = f"Phase map, from {Path(data['source']).name}" if data["source"] else "Phase map"
    evidence = [*map(str, data["evidence"])]
    table = Table("The boundary of the two phases", head, rows)
    yield Section(title, [table], images, "", [*evidence, *left_out], "".join(evidence[:1]), FINDING)


def _map(data: Mapping[str, Any], path: Path) -> Iterator[Section]:
    scans = read_map(path.parent)
    figure = drawn(f"Measured over {scans.along.symbol} and {scans.over.symbol}", phase_map(scans))
    rows = [[f"{value:g}", Path(source).parent.name] for value, source in zip(scans.values, scans.sources, strict=True)]
    yield Section(f"Map in {path.parent.name}", [Table("Scans", [scans.over.symbol, "folder"], rows)], [figure])


def _hartree_fock(data: Mapping[str, Any], path: Path) -> Iterator[Section]:
    from qernel.hartree_fock.figure import branch_diagram

    along = named(data.get("along", "lam"))
    head = [along.symbol, "energy", "kinetic", "moiré", "interaction", "|ρ_K|²", "agreed", "lowest found"]
    rows = []
    for row in data["results"]:
        check_row(path, row)
        order = row["order_parameter"]
        numbers = [f"{row[name]:.5f}" for name in ("energy", "kinetic", "moire", "interaction")]
        agreed = f"{row['agreed']} of {row['starts']}" if "agreed" in row else ""  # Not in every record.
        label = row.get("label", row["branch"])
        state = label if row["converged"] else f"!{label}, not converged"
        rows.append([f"{row[along.name]:g}", *numbers, "" if order is None else f"{order:.4f}", agreed, state])
    caption = (
        f"Lowest Slater determinant found at each {along.symbol}, and starts that agreed; per electron in E0, no "
        "statistical error"
    )
    crossing = data["transition"]
    diagram = branch_diagram(data["branches"], along=along, crossing=crossing, title=_titled(data))
    images = [drawn(f"Branches against {along.symbol}", diagram)]
    names = data.get("densities", {})
    kinds = {figure: figure.stem.partition("-")[2] for figure in sorted(path.parent.glob("density-*.png"))}
    captions = {figure: f"Density of the {names.get(kind, kind)}" for figure, kind in kinds.items()}
    more, left_out = stored(captions, path.parent)
    words = []
    if crossing is not None:
        below, above = data.get("transition_between", ("liquid", "crystal"))
        words = [
            f"Hartree–Fock goes from {below} to {above} near {along.symbol} = {crossing:.3f} (energies linear in "
            "between); mean field orders too early."
        ]
    table = Table(caption, head, rows)
    sentences = [*words, *left_out]
    yield Section("Hartree–Fock", [table, _provenance(data)], [*images, *more], "", sentences, "".join(words))


def _titled(data: Mapping[str, Any]) -> str:
    """The title of the figure of a Hartree–Fock record."""
    system = data.get("system", {})
    if not {"electrons", "cells"} <= set(system):
        return "Hartree–Fock"
    electrons = system["electrons"]
    up, down = electrons if isinstance(electrons, list) else (electrons, 0)
    return f"Hartree–Fock, {describe((up, down), system['cells'])}"


def _diagnosis(data: Mapping[str, Any], path: Path) -> Iterator[Section]:
    rows = []
    for one in data["results"]:
        for group in one["groups"]:
            share, left = group["r2"], group["v_score_left"]
            known = share["value"] is not None
            numbers = [parenthesis(pair["value"], pair["error"]) if known else "" for pair in (share, left)]
            kind = "added" if group["added"] else "own"
            rows.append([f"{one['lam']:g}", kind, group["group"], str(group["parameters"]), *numbers])
    caption = "Share R² of the variance of the local energy that parameters explain on chains not fitted to"
    head = ["λ", "", "group", "parameters", "R²", "V-score left"]
    yield Section("Tangent test", [Table(caption, head, rows), _provenance(data)])


def _projection(data: Mapping[str, Any], path: Path) -> Iterator[Section]:
    along = named(next(iter(data["results"][0])))
    rows, steps = [], []
    for one in data["results"]:
        value = f"{one[along.name]:g}"
        pairs = [one[name] for name in ("variational", "projected", "gain", "interaction")]
        numbers = [parenthesis(pair["value"], pair["error"]) for pair in pairs]
        rows.append([value, *numbers, f"{one['fit']['chi2']:.2g}/{one['fit']['dof']}", ", ".join(one["warnings"])])
        for step in one["time_steps"]:
            pairs = [step[name] for name in ("energy", "population_bias")]
            found = [parenthesis(pair["value"], pair["error"]) for pair in pairs]
            steps.append([value, f"{step['tau']:g}", *found, f"{step['acceptance']:.2%}", f"{step['crossings']:.2%}"])
    head = [along.symbol, "variational", "projected", "gain", "interaction", "χ²/dof", "doubts"]
    tables = [Table("Per electron in E0; projected energies are upper bounds with the nodes or phase of ψ", head, rows)]
    head = [along.symbol, "τ (1/E0)", "energy", "population bias", "accepted", "refused at nodes"]
    tables.append(Table("At each time step", head, steps))
    images, left_out = stored({path.with_suffix(".png"): "Energies against the time step"}, path.parent)
    yield Section("Projection", [*tables, _provenance(data)], images, sentences=left_out)


def _comparison(data: Mapping[str, Any], path: Path) -> Iterator[Section]:
    rows = []
    for model in data["models"]:
        excess, rhat = model["mean_excess"], model["rhat"]
        rows.append(
            [
                model["label"],
                model["series"],
                str(model["parameters"]),
                str(model["active_parameters"]),
                f"{model['seconds']:.0f}",
                parenthesis(excess["value"], excess["error"]),
                f"{rhat:.3f}" if rhat <= RHAT_LIMIT else f"!{rhat:.3f}",
            ]
        )
    reference = data["reference"]
    above = "exact energies" if reference["exact"] else "the lowest energies found, which are not exact"
    caption = f"Energy per electron in E0 above {above} ({reference['source']}), mean over {len(data['lam'])} λ"
    head = ["model", "series", "parameters", "active", "training (s)", "mean excess", "R̂"]
    best = min(data["models"], key=lambda model: float(model["mean_excess"]["value"]))
    number = parenthesis(best["mean_excess"]["value"], best["mean_excess"]["error"])
    verdict = f"The lowest energies are those of {best['label']}: {number} E0 per electron above {above}."
    tables = [Table(caption, head, rows), *_ratios(data), _provenance(data)]
    yield Section("Comparison", tables, sentences=[verdict], verdict=verdict, rank=FINDING)


def _ratios(data: Mapping[str, Any]) -> Iterator[Table]:
    rows = []
    for one in data["ratios"]:
        pair = [one["cost"].replace("_", " "), one["of"], one["over"]]
        if one["value"] is None:
            rows.append([*pair, "none", one["reason"], ""])
        else:
            interval = f"{one['low']:.3g} to {one['high']:.3g}"
            rows.append([*pair, f"{one['value']:.3g}", interval, f"{one['accuracy']:.2g} E0"])
    head = ["cost", "of", "over", "ratio", "68 % interval", "at an excess of"]
    if rows:
        yield Table("What one series costs over another at equal accuracy", head, rows)


def _provenance(data: Mapping[str, Any]) -> Table:
    facts = [[name, str(value)] for name, value in data["provenance"].items() if not isinstance(value, dict)]
    return Table("Provenance", ["what", "value"], facts)


RECORDS: dict[str, Callable[[Mapping[str, Any], Path], Iterator[Section]]] = {
    "transition.json": _transition,
    "phase_map.json": _phase_map,
    MAP: _map,
    "hartree_fock.json": _hartree_fock,
    "comparison.json": _comparison,
    "diagnosis.json": _diagnosis,
    "projection.json": _projection,
}
"""Records by file name."""
