"""What a report shows: sections of tables and figures, collected from the files of a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qernel.along import Axis, axis
from qernel.errors import RunError
from qernel.estimators.doubts import RHAT_LIMIT
from qernel.files import read_text
from qernel.plots.kinds import KINDS, VERSUS_LAM, draw
from qernel.plots.training import METRICS_FILE, read_metrics, training_curves
from qernel.report.parts import Image, Section, Table, drawn, own
from qernel.report.records import RECORDS, record
from qernel.soundness import resting_on
from qernel.storage import SUFFIX, measured, outside
from qernel.storage import open as open_results

if TYPE_CHECKING:
    import xarray


def sections(source: Path) -> list[Section]:
    """Everything there is to report of a run folder, a folder of results or one file or record of results.

    Raises:
        RunError: if there is nothing to report.
    """
    if source.is_file():
        return record(source) if source.name in RECORDS else [*results(source)]
    if not source.is_dir():
        raise RunError(f"{source} does not exist: name a run folder, a folder of results or a {SUFFIX} file")
    found = [*_run(source)]
    for file in sorted([*source.glob(f"*{SUFFIX}"), *source.glob(f"*/*{SUFFIX}")]):
        found += results(file)
    for name in RECORDS:
        # RUN/scan/transition is the deepest of them.
        for path in sorted(path for depth in ("", "*/", "*/*/") for path in source.glob(depth + name)):
            found += record(path)
    if not found:
        known = ", ".join([METRICS_FILE, f"a {SUFFIX} file", *RECORDS])
        raise RunError(f"{source} holds nothing to report: none of {known}")
    return found


def results(path: Path) -> Iterator[Section]:
    """A file of results: the single numbers, the figures, where it comes from."""
    data = open_results(path)
    # Measurements say which range their model was trained on, comparisons what was asked for.
    if "request" not in data.attrs and not any(str(name).startswith("trained_") for name in data.attrs):
        raise RunError(f"{path} does not say where its numbers are from: it is no file of results of Qernel")
    with resting_on(path):
        along = axis(data).name
        points = data if along in data.dims else data.expand_dims(along)
        tables, figures = _numbers(points), _figures(points)
    yield Section(f"Results in {path.parent.name}/{path.name}", tables, figures)
    facts = [[name, _shown(value)] for name, value in data.attrs.items() if name not in ("config", "request")]
    provenance = Table("Provenance", ["what", "value"], facts)
    yield Section(f"Origin of {path.name}", [provenance], text=str(data.attrs.get("config", "")))


_RECORDED = ("iteration", "lam", "energy", "error", "order_parameter", "acceptance")
"""Columns of the metrics that a report needs."""


def _run(folder: Path) -> Iterator[Section]:
    """Training of a run folder, if it is one."""
    if not (folder / METRICS_FILE).exists():
        return
    columns = read_metrics(folder / METRICS_FILE, _RECORDED)
    if not columns.get("iteration"):
        return
    with resting_on(folder / METRICS_FILE):
        image = drawn("Energy per electron and order parameter during training, by λ", training_curves(columns))
        table = _last_records(columns)
    config = folder / "config.toml"
    text, sentences = "", []
    if config.exists():
        if own(config, folder):
            text = read_text(config, "replace")
        else:
            sentences = [f"{config.name} is left out: it is no file of this folder."]
    yield Section("Training", [table], [image], text, sentences)


def _last_records(columns: dict[str, list[float]]) -> Table:
    """The last recorded iteration: a row for each group of walkers."""
    from qernel.estimators.quantity import parenthesis

    last = max(columns["iteration"])
    rows = []
    for index, iteration in enumerate(columns["iteration"]):
        if iteration == last:
            record = {name: column[index] for name, column in columns.items()}
            bad = record.get("bad_walkers", 0.0)
            system = [f"{record['system']:.0f}"] if "system" in record else []
            rows.append(
                [
                    *system,
                    f"{record['lam']:.3f}",
                    parenthesis(record["energy"], record["error"]),
                    f"{record['order_parameter']:.3f}",
                    f"{record['acceptance']:.2f}",
                    f"!{bad:.0f}" if bad else "0",
                ]
            )
    caption = f"Iteration {last:.0f}: one row for each group of walkers; the error is that of the group alone"
    systems = ["system"] if "system" in columns else []
    caption += "; system 0 is [system], others are the entries of [[family.systems]]" if systems else ""
    head = [*systems, "λ", "energy per electron (E0)", "|ρ_K|²", "acceptance", "walkers lost"]
    return Table(caption, head, sorted(rows, key=lambda row: [float(cell) for cell in row[: 1 + len(systems)]]))


def _numbers(data: xarray.Dataset) -> list[Table]:
    """A row for each point and single number, with its error and convergence."""
    from qernel.estimators.quantity import parenthesis

    rows = []
    along = axis(data)
    for name in _single(data, along):
        unit = str(data[name].attrs.get("units", "1"))
        for index, point in enumerate(data[along.name].values):
            one = data.isel({along.name: index})
            known = f"{name}_rhat" in one
            rhat = float(one[f"{name}_rhat"]) if known else float("nan")
            count = float(one[f"{name}_effective_samples"]) if f"{name}_effective_samples" in one else float("nan")
            note = outside(one)
            rows.append(
                [
                    name.replace("_", " "),
                    f"{point:g}",
                    parenthesis(float(one[name]), float(one[f"{name}_error"])),
                    "" if unit == "1" else unit,
                    f"!{rhat:.3f}" if known and not rhat <= RHAT_LIMIT else f"{rhat:.3f}",
                    f"{count:.0f}",
                    f"!{note}" if note else "",
                ]
            )
    caption = f"In brackets one standard error of the last digits, autocorrelation included; R̂ > {RHAT_LIMIT} is marked"
    head = ["quantity", along.symbol, "value", "unit", "R̂", "independent samples", ""]
    return [Table(caption, head, rows)] if rows else []


def _figures(data: xarray.Dataset) -> list[Image]:
    """Every figure that can be drawn of the file."""
    images, along = [], axis(data)
    for kind, about in KINDS.items():
        if all(name in data for name in about.needs):
            summary = about.summary.replace("λ", along.symbol)
            for key, figure in draw(kind, data).items():
                point = key.removeprefix(along.name)
                where = f"{along.symbol} = {point}" if point != key else key
                images.append(drawn(f"{summary}, {where}" if key else summary, figure))
    if data.sizes[along.name] > 2:
        for name in _single(data, along):
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
