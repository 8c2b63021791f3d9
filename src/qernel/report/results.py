"""What a report says of a file of results: its phases, its transition, its numbers and figures, its origin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qernel.along import Axis, axis, named, others
from qernel.errors import QernelError, RunError
from qernel.estimators.doubts import RHAT_LIMIT
from qernel.estimators.phases import stored_phases
from qernel.estimators.quantity import parenthesis
from qernel.measure.tables import remark
from qernel.plots.kinds import KINDS, VERSUS_LAM, draw
from qernel.plots.of_points import system
from qernel.report.parts import FINDING, NUMBERS, ORIGIN, Image, Section, Table, drawn
from qernel.report.transitions import curves_table
from qernel.soundness import resting_on
from qernel.storage import measured
from qernel.storage import open as open_results
from qernel.structure import LIQUID, SOLID
from qernel.transition.scan import FEWEST, NEEDED

if TYPE_CHECKING:
    import xarray

_IN_PHASE_DIAGRAM = ("energy", "interaction")


def results(path: Path, *, transition: bool = True) -> Iterator[Section]:
    """A file of results: the transition, the single numbers, the figures, where it comes from.

    Args:
        path: of the file.
        transition: whether a scan in it is looked at for a transition; not where that has been done.

    Raises:
        RunError: if the file is none of Qernel.
    """
    data = open_results(path)
    # Measurements say which range their model was trained on, comparisons what was asked for.
    if "request" not in data.attrs and not any(str(name).startswith("trained_") for name in data.attrs):
        raise RunError(f"{path} does not say where its numbers are from: it is no file of results of Qernel")
    with resting_on(path):
        along = axis(data)
        points = data if along.name in data.dims else data.expand_dims(along.name)
        verdict = _phases(points, along)
        tables, figures = _numbers(points, along), _figures(points, along)
        if transition:
            yield from _transition(points, path.name)
    sentences = [verdict] if verdict else []
    yield Section(f"Results in {path.parent.name}/{path.name}", tables, figures, "", sentences, verdict, NUMBERS)
    facts = [[name.replace("_", " "), _shown(value)] for name, value in data.attrs.items() if name not in _FOLDED]
    provenance = Table("Provenance", ["what", "value"], facts)
    yield Section(f"Origin of {path.name}", [provenance], text=str(data.attrs.get("config", "")), rank=ORIGIN)


_FOLDED = ("config", "request")


def _phases(data: xarray.Dataset, along: Axis) -> str:
    """Where the state is liquid, where a crystal, or why that is not known; empty where no electrons are named."""
    if "electrons_up" not in data.attrs:
        return ""
    found = stored_phases(data, along.name)
    places: dict[str, list[float]] = {}
    for value, one in zip(data[along.name].values, found, strict=True):
        places.setdefault(one.word, []).append(float(value))
    fixed = "".join(f", {named(name).at(value)}" for name, value in others(data, along.name).items())
    said = [f"{word} at {along.symbol} = {_listed(values)}" for word, values in places.items()]
    why = "" if places.keys() & {LIQUID, SOLID} else f": {found[0].why}"
    return f"{data.attrs.get('model', 'The model')} ({system(data)}{fixed}) is {', '.join(said)}{why}."


def _listed(values: list[float]) -> str:
    """Values, or the ends of many of them."""
    if len(values) > 3:
        return f"{min(values):g} to {max(values):g}"
    return ", ".join(f"{value:g}" for value in sorted(values))


def _transition(data: xarray.Dataset, name: str) -> Iterator[Section]:
    """What a scan says about a transition, if it is one."""
    from qernel.plots.transition import transition_figure
    from qernel.transition.analysis import analyse
    from qernel.transition.maps import maps_in
    from qernel.transition.reading import from_dataset

    along = axis(data)
    if any(data.get(part) is None for want in NEEDED for part in (want, f"{want}_error")):
        return
    if data.sizes[along.name] < FEWEST:
        return
    try:
        found = analyse(from_dataset(data, name))
    except QernelError as error:
        yield Section(f"Transition, from {name}", sentences=[f"No transition was looked for: {error}."], rank=FINDING)
        return
    model = f"{found.scan.model}: " if found.scan.model else ""
    figure = drawn("Interaction energy with the fitted curves", transition_figure(found, maps_in(data)))
    tables = [curves_table(found.as_dict())]
    yield Section(
        f"Transition, from {name}", tables, [figure], "", found.evidence, f"{model}{found.evidence[0]}", FINDING
    )


def _numbers(data: xarray.Dataset, along: Axis) -> list[Table]:
    """A row for each point: every single number, the phase, and how well its chains agree."""
    single = _single(data, along)
    if not single:
        return []
    rhats = [name for name in single if f"{name}_rhat" in data]
    counted = [name for name in single if f"{name}_effective_samples" in data]
    phases = stored_phases(data, along.name)
    known = any(found.word in (LIQUID, SOLID) for found in phases)
    rows = []
    for index, point in enumerate(data[along.name].values):
        one = data.isel({along.name: index})
        row = [f"{point:g}", *(_number(one, name) for name in single), *([phases[index].word] if known else [])]
        row += [_worst(one, rhats)] if rhats else []
        row += [f"{min(float(one[f'{name}_effective_samples']) for name in counted):.0f}"] if counted else []
        note = remark(one)
        rows.append([*row, f"!{note}" if note else ""])
    heads = [_head(name, str(data[name].attrs.get("units", "1"))) for name in single]
    head = [along.symbol, *heads, *["phase"] * known, *["R̂"] * bool(rhats), *["samples"] * bool(counted), ""]
    caption = (
        f"In brackets one standard error of the last digits, autocorrelation included; R̂: the largest, marked above "
        f"{RHAT_LIMIT}; samples: independent ones, the fewest"
    )
    return [Table(caption, head, rows)]


def _head(name: str, unit: str) -> str:
    shown = {"order_parameter": "|ρ_K|²", "moire": "moiré"}.get(name, name.replace("_", " "))
    return shown if unit == "1" else f"{shown} ({unit})"


def _number(point: xarray.Dataset, name: str) -> str:
    value, error = float(point[name]), float(point[f"{name}_error"])
    return "" if value != value else parenthesis(value, error)


def _worst(point: xarray.Dataset, names: list[str]) -> str:
    """The largest R̂ of several numbers; empty where none is known."""
    found = [float(point[f"{name}_rhat"]) for name in names]
    known = [rhat for rhat in found if rhat == rhat]
    if not known:
        return "!unknown"
    return f"{max(known):.3f}" if max(known) <= RHAT_LIMIT and len(known) == len(found) else f"!{max(known):.3f}"


def _figures(data: xarray.Dataset, along: Axis) -> list[Image]:
    """Every figure that can be drawn of the file."""
    images, kinds = [], [kind for kind, about in KINDS.items() if all(name in data for name in about.needs)]
    for kind in kinds:
        summary = KINDS[kind].summary.replace("λ", along.symbol)
        for key, figure in draw(kind, data).items():
            point = key.removeprefix(along.name)
            where = f"{along.symbol} = {point}" if point != key else key
            images.append(drawn(f"{summary.partition(', ')[0]}, {where}" if key else summary, figure))
    if data.sizes[along.name] > 2:
        for name in _single(data, along):
            if not ("phase_diagram" in kinds and name in _IN_PHASE_DIAGRAM):
                figure = draw(VERSUS_LAM, data, name)[""]
                images.append(drawn(str(data[name].attrs.get("long_name", name)), figure))
    return images


def _single(data: xarray.Dataset, along: Axis) -> list[str]:
    """The single numbers with an error."""
    return [name for name in measured(data) if data[name].dims == (along.name,) and f"{name}_error" in data]


def _shown(value: Any) -> str:
    """An attribute as text."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return ", ".join(f"{item:.9g}" for item in value) if isinstance(value, list) else str(value)
