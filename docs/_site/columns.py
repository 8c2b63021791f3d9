"""The glossary of columns, made from where tables and files get their columns.

Tables for people print the mappings of `TABLES`. Variables in files carry their meaning, so every observable is
measured once, with a small wavefunction that nobody has trained.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from _site.configuration import table
from qernel.cli.commands import bench, extrapolate, models, transition
from qernel.cli.shared import compare_tables
from qernel.config import load_config
from qernel.errors import QernelWarning
from qernel.measure import Model, diagnosis, files, tables
from qernel.measure.energies import DIAGNOSTICS
from qernel.observables import find, names
from qernel.storage import OUTSIDE, OUTSIDE_WORDS, SYSTEM, UNTRAINED, measured
from qernel.training import metrics
from qernel.training.run import initial_wavefunction

if TYPE_CHECKING:
    import xarray

TABLES: dict[str, Mapping[str, str]] = {
    "qernel query, scan, demo": tables.COLUMNS | tables.SWAPS,
    "qernel scan --reweight": tables.REWEIGHTED,
    "qernel hf": tables.MEAN_FIELD,
    "qernel transition": transition.COLUMNS,
    "qernel extrapolate": extrapolate.COLUMNS,
    "qernel diagnose": diagnosis.COLUMNS,
    "qernel compare": compare_tables.COLUMNS,
    "qernel models": models.COLUMNS,
    "qernel bench": bench.COLUMNS,
    "metrics.csv of a run": metrics.PLACES | metrics.COLUMNS | metrics.SOMETIMES,
    "energies.csv of a scan": files.units(
        {}, [name for name in files.REWEIGHTED if name not in DIAGNOSTICS], about=SYSTEM
    ),
}
"""Where columns are printed or written, and what they are. Parameters of the family have columns of their names."""

_SMALL = {
    "system": {"electrons": [1, 1], "supercell": [[1, 1], [-1, 2]]},
    "family": {"lam": [0.5, 1.0]},
    "model": {"width": 4, "heads": 2, "blocks": 1, "experts": 2, "active_experts": 1, "conditioning_width": 2},
    "sample": {"walkers": 8, "samples": 8, "burn_in": 20, "moves": 2},
}
"""Both spins, so that what is told apart by spin is there."""


def remarks() -> Iterator[tuple[str, str]]:
    """Words that stand at the end of a row, and what they say."""
    yield "stored", "the number is one that was measured before, with these parameters of the model"
    yield "interpolated", "between numbers that were measured before; the error holds that of the interpolation"
    flags = [*tables.REMARKS.values(), *((word, OUTSIDE[flag]) for flag, word in OUTSIDE_WORDS.items())]
    yield from ((word, meaning.removeprefix("1 where ")) for word, meaning in flags)
    yield from ((f"{what} not trained", meaning) for what, meaning in UNTRAINED.items())


def everything() -> xarray.Dataset:
    """Every observable at one point."""
    config = load_config(_SMALL)
    state = Model("small", config, initial_wavefunction(config)).at(1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QernelWarning)  # there are few samples
        return state.observe(*names())


def variables(dataset: xarray.Dataset) -> dict[str, list[tuple[str, str, str]]]:
    """Name, unit and meaning of what was measured, of its axes, and of what is said of a point."""
    own = measured(dataset)
    about = {
        "variables": [name for name in dataset.data_vars if name in own],
        "axes": list(dataset.coords),
        "points": [
            name for name in dataset.data_vars if not any(name == one or name.startswith(f"{one}_") for one in own)
        ],
    }
    kinds = {
        kind: [(f"`{name}`", dataset[name].attrs["units"], dataset[name].attrs["long_name"]) for name in found]
        for kind, found in about.items()
    }
    for suffix in ("error", "autocorrelation", "rhat", "effective_samples"):
        array = dataset[f"energy_{suffix}"]
        meaning = array.attrs["long_name"].removesuffix("energy") + "`X`"
        unit = "of `X`" if suffix == "error" else array.attrs["units"]
        kinds["points"].append((f"`X_{suffix}`", unit, meaning))
    return kinds


def markdown() -> str:
    """The whole glossary."""
    lines = ["## Words at the end of a row", *table(("words", "when"), remarks())]
    for where, columns in TABLES.items():
        code = f"`{where}`" if where.startswith("qernel") else where
        rows = ((f"`{name}`" if name else "(none)", meaning) for name, meaning in columns.items())
        lines += [f"## {code}", *table(("column", "meaning"), rows)]
    kinds = variables(everything())
    lines += ["## Observables", *table(("observable", "what it is"), ((f"`{n}`", find(n).summary) for n in names()))]
    titles = {"variables": "Variables in files", "axes": "Axes and labels", "points": "Errors, diagnostics and flags"}
    for kind, title in titles.items():
        lines += [f"### {title}", *table(("name", "unit", "meaning"), kinds[kind])]
    return "\n".join(lines)


class Columns(SphinxDirective):
    """``{columns}``: the glossary."""

    def run(self) -> list[nodes.Node]:
        """The glossary in the place of the directive."""
        return self.parse_text_to_nodes(markdown(), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("columns", Columns)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
