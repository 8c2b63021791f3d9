"""The table of docs/results/README.md: what was to be reached, what is, the command that shows it, the file it is in.

    python studies/results.py           print the table
    python studies/results.py --write   put it into docs/results/README.md

Numbers come from the cards of the shipped models and from the records and scans beside this file, nowhere else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from qernel.estimators.quantity import Quantity
from qernel.measure.card import Accuracy, Card, read_card
from qernel.records import read_json

ROOT = Path(__file__).parents[1]
STUDIES, PAGE = ROOT / "studies", ROOT / "docs" / "results" / "README.md"
BEGIN, END = "<!-- python studies/results.py --write -->\n", "<!-- end of the table -->\n"

Reached = Callable[[], str]


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        what: is measured.
        goal: what was to be reached; empty where there is none.
        reached: gives what is reached.
        command: that shows it.
        file: that holds it, relative to the repository.
        page: beside the table that says more.
    """

    what: str
    goal: str
    reached: Reached
    command: str
    file: str
    page: str


def number(quantity: Quantity | None) -> str:
    """A quantity without its unit, as the pages write it."""
    return "none" if quantity is None else quantity.number.replace("-", "−")


def card(name: str) -> Card:
    """The card of a shipped model."""
    found = read_card(ROOT / "src" / "qernel" / "models" / name / "card.json")
    assert found is not None
    return found


def worst(name: str) -> str:
    """The largest energy above the reference, and where."""
    entry = max(card(name).accuracy, key=lambda one: one.excess.value)
    return f"{number(entry.excess)} at λ = {entry.lam:g}"


def gain(entry: Accuracy) -> Quantity:
    """How far an energy is below its reference."""
    return Quantity(-entry.excess.value, entry.excess.error)


def least_gain(name: str) -> str:
    """The smallest energy below the reference, and where."""
    entry = min(card(name).accuracy, key=lambda one: -one.excess.value)
    return f"{number(gain(entry))} or more; least at λ = {entry.lam:g}"


def gain_at(name: str, lam: float) -> str:
    """The energy below the reference at one λ."""
    return number(next(gain(entry) for entry in card(name).accuracy if entry.lam == lam))


def step(scan: str) -> str:
    """λ_c of the interaction energy of a scan."""
    from qernel.transition import analyse, read_scan

    return number(analyse(read_scan(STUDIES / scan)).lambda_c)


def crossing(folder: str) -> str:
    """λ at which the energies of two phases cross."""
    from qernel.transition import compare_phases, read_scan

    liquid, crystal = (read_scan(STUDIES / folder / phase) for phase in ("liquid", "crystal"))
    return number(compare_phases(liquid, crystal).lambda_c)


def at_zero_variance(name: str) -> str:
    """λ_c for each limit on the variance."""
    found = read_json(STUDIES / "zero_variance" / f"{name}.json")
    return ", ".join(number(Quantity(**one["lambda_c"])) for one in found)


def hartree_fock(name: str) -> str:
    """The lowest energy at λ = 1."""
    rows = read_json(STUDIES / "hartree_fock" / f"{name}.json")["results"]
    return f"{min(row['energy'] for row in rows if np.isclose(row['lam'], 1.0)):.6f}".replace("-", "−")


def cheaper(cost: str) -> str:
    """How many times less QERNEL costs than the published PsiFormer, at equal accuracy, with its 68 % interval."""
    ratios = read_json(STUDIES / "architecture" / "two-seeds" / "comparison.json")["ratios"]
    published = [r for r in ratios if r["cost"] == cost and r["over"] == "qernel" and "jastrow = false" in r["of"]]
    (one,) = published
    return f"{one['value']:.1f} ({one['low']:.1f} to {one['high']:.1f})"


def shared(model: str) -> str:
    """Energy of one model for all λ above that of single-λ models of the same cost together."""
    path = STUDIES / "interpolation" / "singles-192-walkers" / "interpolation.json"
    found: list[dict[str, Any]] = read_json(path)["summary"]
    one = next(s for s in found if (s["model"], s["against"], s["region"]) == (model, "single", "all"))
    return number(Quantity(one["value"], one["error"]))


def energies() -> Iterator[Row]:
    """Of the shipped models, from their cards."""
    command = "qernel models"
    files = {name: f"src/qernel/models/{name}/card.json" for name in ("n6", "n24", "n54", "lem")}
    what = "energy of 6 electrons above near-exact"
    yield Row(what, "≤ 0.05", partial(worst, "n6"), command, files["n6"], "n6")
    yield Row(f"{what}, the model of every size", "≤ 0.01", partial(worst, "lem"), command, files["lem"], "lem")
    for name in ("n24", "n54"):
        what = f"energy of {name[1:]} electrons below Hartree–Fock, every λ"
        yield Row(what, "> 0", partial(least_gain, name), command, files[name], name)
    what = "energy of 24 electrons below Hartree–Fock, λ = 1"
    yield Row(what, "≥ 0.15", partial(gain_at, "n24", 1.0), command, files["n24"], "n24")


def transitions() -> Iterator[Row]:
    """From scans."""
    boundary = "../../studies/phase_boundary/README"
    for what, goal, scan, page in (
        ("6 electrons, trained for two minutes without a hint", "1.085(3)", "n6/demo", "n6"),
        ("6 electrons, `n6`", "1.085(3)", "n6/scan", "n6"),
        ("6 electrons, ε = 4", "", "phase_boundary/trained/epsilon-4", boundary),
        ("6 electrons, ε = 7", "", "phase_boundary/trained/epsilon-7", boundary),
        ("24 electrons, where a scan changes", "", "n24/scan", "n24"),
        ("54 electrons, where a scan changes", "", "n54/scan", "n54"),
    ):
        command, file = f"qernel transition studies/{scan}", f"studies/{scan}"
        yield Row(f"λ_c of {what}", goal, partial(step, scan), command, file, page)
    for name in ("n24", "n54"):
        count, folder = name[1:], f"studies/{name}/phases"
        command = f"qernel transition {folder}/liquid --against {folder}/crystal"
        what = f"λ_c of {count} electrons, where the energies of the phases cross"
        yield Row(what, "", partial(crossing, f"{name}/phases"), command, folder, name)
        what = f"λ_c of {count} electrons at zero variance, three choices of rows"
        command, file = f"python studies/zero_variance/variance.py {name}", f"studies/zero_variance/{name}.json"
        yield Row(what, "", partial(at_zero_variance, name), command, file, name)
    for count in (24, 54):
        folder = f"studies/projection/phases-{count}"
        command = f"qernel transition {folder}/liquid --against {folder}/crystal"
        what = f"λ_c of {count} electrons, projected energies of both phases"
        yield Row(what, "", partial(crossing, f"projection/phases-{count}"), command, folder, "lem")


def mean_field() -> Iterator[Row]:
    """Hartree–Fock beside values of another code."""
    for name, preset, goal in (("n6", "n6", "−17.442894"), ("n24", "hf24", "−17.371"), ("n54", "n54", "")):
        what = f"Hartree–Fock energy of {name[1:]} electrons, λ = 1"
        command, file = f"qernel hf {preset} --lam 1", f"studies/hartree_fock/{name}.json"
        yield Row(what, goal, partial(hartree_fock, name), command, file, "hartree_fock_and_exact")


def comparisons() -> Iterator[Row]:
    """Of wavefunctions under equal conditions, six electrons."""
    command, file = "qernel compare studies/architecture/*.toml ...", "studies/architecture/two-seeds/comparison.json"
    for cost, word in (("parameters", "parameters"), ("seconds", "training time")):
        what = f"{word} of the published PsiFormer over QERNEL, equal accuracy"
        yield Row(what, "6", partial(cheaper, cost), command, file, "architecture")
    command, file = "qernel interpolate studies/interpolation/n6.toml ...", "studies/interpolation/singles-192-walkers"
    for model, word in (("whole", "one model for all λ"), ("gaps", "one model trained with gaps in λ")):
        what = f"{word}: energy above nine models of one λ, equal cost"
        yield Row(what, "≤ 0.005", partial(shared, model), command, file, "architecture")


def rows() -> Iterator[Row]:
    """All of them."""
    yield from energies()
    yield from transitions()
    yield from mean_field()
    yield from comparisons()


def line(row: Row) -> str:
    """A row in Markdown."""
    file = f"[{row.file}](../../{row.file})"
    return f"| [{row.what}]({row.page}.md) | {row.goal} | {row.reached()} | `{row.command}` | {file} |\n"


def table() -> str:
    """The whole table in Markdown."""
    return "| what | goal | reached | command | file |\n|---|---|---|---|---|\n" + "".join(map(line, rows()))


def main(arguments: list[str]) -> None:
    """Print the table, or write it."""
    text = PAGE.read_text("utf-8")
    before, rest = text.split(BEGIN)
    found = table()
    if arguments == ["--write"]:
        PAGE.write_text(before + BEGIN + found + END + rest.split(END)[1], encoding="utf-8")
    else:
        print(found, end="")


if __name__ == "__main__":
    main(sys.argv[1:])
