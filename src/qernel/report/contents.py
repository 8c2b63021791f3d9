"""What a report shows: sections of tables and figures, collected from the files of a folder."""

from __future__ import annotations

from pathlib import Path

from qernel.errors import RunError
from qernel.plots.training import METRICS_FILE
from qernel.report.parts import Section
from qernel.report.records import RECORDS, record
from qernel.report.results import results
from qernel.report.training import training
from qernel.storage import SUFFIX

_TRANSITION = "transition.json"


def sections(source: Path) -> list[Section]:
    """Everything there is to report of a run folder, a folder of results or one file or record of results.

    What follows from the numbers comes first, then the numbers, how their model was trained, and their origin.

    Raises:
        RunError: if there is nothing to report.
    """
    if source.is_file():
        return record(source) if source.name in RECORDS else _sorted([*results(source)])
    if not source.is_dir():
        raise RunError(f"{source} does not exist: name a run folder, a folder of results or a {SUFFIX} file")
    found: list[Section] = []
    for folder in (source, *sorted(path for path in source.glob("*") if path.is_dir())):
        found += training(folder)
    for file in sorted([*source.glob(f"*{SUFFIX}"), *source.glob(f"*/*{SUFFIX}")]):
        analysed = [*file.parent.glob(_TRANSITION), *file.parent.glob(f"*/{_TRANSITION}")]
        found += results(file, transition=not analysed)
    for name in RECORDS:
        # RUN/scan/transition is the deepest of them.
        for path in sorted(path for depth in ("", "*/", "*/*/") for path in source.glob(depth + name)):
            found += record(path)
    if not found:
        known = ", ".join([METRICS_FILE, f"a {SUFFIX} file", *RECORDS])
        raise RunError(f"{source} holds nothing to report: none of {known}")
    return _sorted(found)


def _sorted(found: list[Section]) -> list[Section]:
    return sorted(found, key=lambda section: section.rank)


def verdict(found: list[Section]) -> str:
    """The sentence that a report opens with: the first verdict of its sections; empty where none has any."""
    return next((section.verdict for section in found if section.verdict), "")
