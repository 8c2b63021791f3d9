"""What the site adds to the pages, and what the README has a newcomer type. `scripts/site.sh` builds it, in CI."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import qernel
from qernel.config.sections import SECTIONS

ROOT = Path(__file__).parents[1]


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a module of ``docs`` or ``scripts``."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "docs"), str(ROOT / "scripts"), *sys.path])
    return importlib.import_module


@pytest.mark.parametrize("name", ["_site.links", "newcomer"])
def test_examples(name: str, imported: Any) -> None:
    found = doctest.testmod(imported(name))
    assert found.attempted > 0 and found.failed == 0


def test_every_key_of_the_configuration_is_in_its_reference(imported: Any) -> None:
    text = imported("_site.configuration").markdown()
    for name, section in SECTIONS.items():
        table = text.partition(f"## [{name}]\n")[2].partition("\n## ")[0]
        assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == set(section.model_fields)


def test_every_public_name_is_in_the_reference(imported: Any) -> None:
    from sphinx.ext.napoleon import Config

    text = imported("_site.interface").markdown(Config())
    found = re.findall(r"^\.\. auto(?:function|class):: qernel\.(\w+)$", text, re.MULTILINE)
    assert sorted(found) == sorted(name for name in qernel.__all__ if name != "__version__")
    assert re.search(r"^\.\. py:method:: State\.structure_factor\(\*, cutoff: float", text, re.MULTILINE)


@pytest.mark.parametrize("name", ["ask", "hartree_fock", "transition"])
def test_packages_that_are_called_have_the_signature_of_their_verb(name: str) -> None:
    package = getattr(qernel, name)
    verb = inspect.unwrap(package)
    assert isinstance(package, ModuleType) and verb.__name__ == name
    assert inspect.signature(package) == inspect.signature(verb) != inspect.signature(lambda *args, **options: None)


def test_newcomers_type_what_the_readme_says(imported: Any) -> None:
    newcomer = imported("newcomer")
    text = (ROOT / "README.md").read_text("utf-8")
    cloned, alone = ([pair[0] for block in way for pair in newcomer.typed(block)] for way in newcomer.journeys(text))
    asked = [command for command in alone if command.startswith("qernel ")]
    assert asked == [command for command in cloned if command.startswith("qernel ")] != []
    assert cloned[0] == "bash scripts/demo.sh" and ". .venv/bin/activate" in cloned
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert alone[0].startswith("python3 -m venv") and f"pip install qernel-{version}-py3-none-any.whl" in alone
    assert set(newcomer.QUICK) <= set(cloned)


def test_terminals_remember_their_variables(imported: Any, tmp_path: Path) -> None:
    shell = imported("newcomer").Shell(tmp_path, tmp_path)
    assert shell.type("export HERE=1").wall < 60
    shell.type('test "$HERE" = 1')
    with pytest.raises(RuntimeError, match="exit 3 ended with 3"):
        shell.type("exit 3")
