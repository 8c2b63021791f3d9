"""What README and docs say: their commands can be typed, and print the numbers beside them (`documents.toml`)."""

from __future__ import annotations

import os
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from qernel.cli import main
from qernel.cli.parser import COMMANDS, build_parser
from qernel.measure import load
from qernel.provenance import weights_digest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "studies").rglob("README.md")]
DOCUMENTS.sort()
TABLE = tomllib.loads((Path(__file__).parent / "documents.toml").read_text("utf-8"))
CLAIMS, FIGURES = TABLE["claim"], TABLE["figure"]
GUIDES = [
    str(path.relative_to(ROOT)) for path in DOCUMENTS if "studies" not in path.parts and "results" not in path.parts
]
GUIDES = [name for name in GUIDES if name not in ("docs/architecture.md", "docs/benchmarks.md")]
"""What is no record of a study, with its own commands and dates."""
STUDIED = {"1.085(3)"}
"""Of another code's study, with its commands and records: studies/exact."""
NUMBER = re.compile(r"[-−]?\d+\.\d+(?:\((\d+)\))?(?:·10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?")
_SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


class Number(NamedTuple):
    """A decimal in a text: its value and error, and a unit of its last digit."""

    value: float
    error: float
    digit: float


def numbers(text: str) -> list[Number]:
    """All decimals in a text, such as 1.5, −13.4394(18) and 7.92(23)·10⁻³."""
    found = []
    for match in NUMBER.finditer(text):
        mantissa, _, power = match[0].replace("−", "-").partition("·10")
        value = mantissa.partition("(")[0]
        scale = 10.0 ** int(power.translate(_SUPERSCRIPTS) or 0)
        digit = scale * 10.0 ** -len(value.partition(".")[2])
        found.append(Number(scale * float(value), int(match[1] or 0) * digit, digit))
    return found


def agree(stated: Number, printed: Number, within: float | None) -> bool:
    """Whether two numbers are the same within their errors and digits; signs aside, for prose says "0.12 below".

    Other machines round otherwise, and then chains part: what they print is another draw of the same number.
    """
    slack = 0.51 * (stated.digit + printed.digit) if within is None else within
    tolerance = 4 * (stated.error**2 + printed.error**2) ** 0.5 + slack
    return abs(abs(stated.value) - abs(printed.value)) <= tolerance


def commands(text: str) -> tuple[list[str], list[str]]:
    """The lines that begin with ``qernel`` in blocks of commands; and such commands in running text."""
    blocks = re.findall(r"^ *```(?:bash|text|sh)?\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
    inline = [" ".join(code.split()) for code in re.findall(r"`(qernel [^`]*)`", prose)]
    return [line for line in lines if line.startswith("qernel ")], inline


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_can_be_typed(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, parts = commands(document.read_text("utf-8"))
    for line in [*whole, *parts]:
        if any(mark in line for mark in ("…", "...", "[")):  # shortened, or a summary of options
            continue
        words = shlex.split(line.partition("||")[0], comments=True)[1:]
        assert words[0] in COMMANDS or words[0].startswith("--"), line
        try:
            build_parser().parse_args(words)
        except SystemExit as stop:
            error = capsys.readouterr().err
            unsaid = line in parts and "the following arguments are required" in error
            assert unsaid or stop.code in (None, 0), f"{document.name}: {line}: {error}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]*)(?:#[^)]*)?\)", document.read_text("utf-8")):
        assert target == "" or "://" in target or (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_are_named_exist(document: Path) -> None:
    """Paths from the repository root and modules of the package, in code."""
    for name in re.findall(r"`((?:studies|tests|docs|scripts)/[\w./-]+\w)`", document.read_text("utf-8")):
        assert (ROOT / name).exists(), name


def test_modules_that_are_named_exist() -> None:
    """`training/step.py: make_step` in the architecture is a module of the package with that word in it."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    for name, word in re.findall(r"`([\w/]+\.py)(?:: ([\w.]+))?`", text):
        path = next((path for path in (ROOT / "src" / "qernel" / name, ROOT / name) if path.exists()), None)
        assert path is not None, f"{name} does not exist"
        assert all(part in path.read_text("utf-8") for part in word.split(".")), f"{name} has no {word}"
    folders = re.findall(r"`(\w+)/`", text)
    assert all((ROOT / "src" / "qernel" / name).is_dir() for name in folders if name != "models")


def test_numbers_are_read_as_written() -> None:
    text = "−13.4394(18), 0.2 and 7.92(23)·10⁻³; 24 electrons"
    assert numbers(text) == [
        Number(-13.4394, pytest.approx(0.0018), 1e-4),
        Number(0.2, 0.0, 0.1),
        Number(pytest.approx(7.92e-3), pytest.approx(0.23e-3), pytest.approx(1e-5)),
    ]
    one, other = numbers("1.075(22) 1.62(3)")
    assert agree(one, numbers("1.10(2)")[0], None) and not agree(other, numbers("2.478(68)")[0], None)
    assert agree(numbers("0.12")[0], numbers("-0.1197(38)")[0], None) and not agree(numbers("0.12")[0], one, None)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{claim['document']}: {claim['command'].strip()[:60]}")
def test_the_numbers_stand_in_the_document(claim: dict[str, Any]) -> None:
    text = (ROOT / claim["document"]).read_text("utf-8")
    missing = [number for number in claim["numbers"] if number not in text]
    assert not missing
    for line in claim["command"].strip().splitlines():
        options = [word for word in shlex.split(line) if word not in ("--out", "OUT") and not word.startswith("OUT/")]
        assert all(word in text for word in options), f"{line} is not what the document says"


@pytest.mark.parametrize("document", GUIDES)
def test_every_number_with_an_error_is_printed_by_a_command(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    stated = {match[0] for match in NUMBER.finditer(text) if match[1]}
    claimed = {number for claim in CLAIMS if claim["document"] == document for number in claim["numbers"]}
    assert stated <= claimed | STUDIED


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").split()) <= 600


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure["file"])
def test_figures_show_the_models_that_ship(figure: dict[str, Any]) -> None:
    assert (ROOT / figure["file"]).exists()
    assert {name: weights_digest(load(name).wavefunction) for name in figure["weights"]} == figure["weights"]


def _runs() -> list[Any]:
    """The commands, those of several documents once."""
    merged: dict[str, dict[str, Any]] = {}
    for claim in CLAIMS:
        entry = merged.setdefault(claim["command"].strip(), {"numbers": [], **claim, "stated": []})
        entry["stated"] += [(number, claim.get("within")) for number in claim["numbers"]]
    return [
        pytest.param(command, entry["stated"], marks=[pytest.mark.slow] if entry.get("slow") else [], id=command[:60])
        for command, entry in merged.items()
    ]


@pytest.mark.parametrize(("command", "stated"), _runs())
def test_the_command_prints_the_numbers(
    command: str,
    stated: list[tuple[str, float | None]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    output = ""
    for line in command.splitlines():
        words = [word.replace("OUT", str(tmp_path)) if word.startswith("OUT") else word for word in shlex.split(line)]
        assert main(words[1:]) == 0, capsys.readouterr().err
        output += capsys.readouterr().out
    printed = numbers(output)
    wrong = [text for text, within in stated if not any(agree(numbers(text)[0], n, within) for n in printed)]
    assert not wrong, f"{command} does not print {', '.join(wrong)} but\n{output}"
