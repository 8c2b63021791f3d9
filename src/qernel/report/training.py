"""What a report says of a training: whether it is over and its energy settled, its last numbers, its curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from qernel.estimators.quantity import Quantity, parenthesis
from qernel.files import read_text
from qernel.plots.convergence import settling
from qernel.plots.training import METRICS_FILE, curves_of_run, read_metrics
from qernel.report.parts import TRAINING, Section, Table, drawn, own
from qernel.soundness import resting_on
from qernel.training.folder import MODEL_FILE
from qernel.training.progress import progress_of

_RECORDED = ("iteration", "lam", "energy", "error", "order_parameter", "acceptance")
"""Columns of the metrics that a report needs."""


def training(folder: Path) -> Iterator[Section]:
    """Training of a run folder, if it is one."""
    metrics = folder / METRICS_FILE
    if not metrics.exists():
        return
    columns = read_metrics(metrics, _RECORDED)
    if not columns.get("iteration"):
        return
    config = folder / "config.toml"
    text, sentences = "", []
    if config.exists():
        if own(config, folder):
            text = read_text(config, "replace")
        else:
            sentences = [f"{config.name} is left out: it is no file of this folder."]
    with resting_on(metrics):
        caption = "Energy above that of the end of the training, its variance, and the order parameter, by λ"
        image = drawn(caption, curves_of_run(metrics, columns, told=bool(text)))
        table = _last_records(columns)
        said = _verdict(folder, columns)
    yield Section(f"Training of {folder.resolve().name}", [table], [image], text, [said, *sentences], said, TRAINING)


def _verdict(folder: Path, columns: Mapping[str, list[float]]) -> str:
    """How far the training came, and whether the energy still changes."""
    name, model = folder.resolve().name, folder / MODEL_FILE
    progress = progress_of(model) if model.exists() and own(model, folder) else None
    if progress is None:
        come = f"has {max(columns['iteration']):.0f} iterations, burn-in counted"
    elif progress.complete:
        come = f"is trained: {progress.updates} of {progress.iterations} training iterations"
    else:
        come = progress.sentence
    change = settling(columns)
    if progress is not None:
        come += f", after {min(progress.iteration, progress.burn_in)} of burn-in"
    if change is None:
        return f"{name} {come}; too few of them are recorded to tell whether its energy has settled."
    number = Quantity(*change, "E0")
    if abs(number.value) < 2 * number.error:
        return f"{name} {come}; in the last quarter its energy per electron has not changed within errors: {number!r}."
    falls = "still falls" if number.value < 0 else "rises"
    return f"{name} {come}; its energy per electron {falls}: by {number!r} from the third quarter to the last."


def _last_records(columns: Mapping[str, list[float]]) -> Table:
    """The last recorded iteration: a row for each group of walkers."""
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
    caption = f"Iteration {last:.0f}, burn-in counted: one row for each group of walkers; errors are of the group alone"
    systems = ["system"] if "system" in columns else []
    caption += "; system 0 is [system], others are the entries of [[family.systems]]" if systems else ""
    head = [*systems, "λ", "energy per electron (E0)", "|ρ_K|²", "acceptance", "walkers lost"]
    return Table(caption, head, sorted(rows, key=lambda row: [float(cell) for cell in row[: 1 + len(systems)]]))
