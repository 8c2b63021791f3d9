"""What is said about the package beside its code: one version, one licence, a citation that tools can read."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_one_version_everywhere() -> None:
    newest = re.search(r"^## \[(.+?)\] - (\S+)$", CHANGELOG, re.MULTILINE)
    assert newest is not None and str(CITATION["version"]) == newest[1] == PROJECT["version"]
    assert newest[2] == "Unreleased" or date.fromisoformat(newest[2])


def test_changes_are_of_the_kinds_that_keep_a_changelog_has() -> None:
    kinds = set(re.findall(r"^### (.+)$", CHANGELOG, re.MULTILINE))
    assert kinds and kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_citation_has_what_its_format_demands() -> None:
    """Version 1.2.0 of the Citation File Format: these keys, no empty list, authors with a name."""
    assert CITATION["cff-version"] == "1.2.0" and CITATION["message"] and CITATION["title"]
    assert CITATION["license"] == PROJECT["license"] and CITATION["type"] == "software"
    assert [author["name"] for author in CITATION["authors"]] == [author["name"] for author in PROJECT["authors"]]
    assert all(entry["type"] in ("doi", "url", "swh", "other") and entry["value"] for entry in CITATION["identifiers"])
    assert "arXiv:2604.26018" in {entry["value"] for entry in CITATION["identifiers"]}


def test_the_licence_is_the_one_that_is_declared() -> None:
    assert PROJECT["license-files"] == ["LICENSE"] and PROJECT["license"] == "Apache-2.0"
    assert "Apache License\n                           Version 2.0" in (ROOT / "LICENSE").read_text("utf-8")
    assert (ROOT / "src" / "qernel" / "py.typed").exists()


def test_classifiers_exist_and_agree_with_the_versions_of_python() -> None:
    from trove_classifiers import classifiers

    assert set(PROJECT["classifiers"]) <= classifiers
    pythons = [name.rpartition(" ")[2] for name in PROJECT["classifiers"] if ":: 3." in name]
    assert PROJECT["requires-python"] == f">={pythons[0]}"
    package = (ROOT / "scripts" / "package.sh").read_text("utf-8")
    assert f"for version in {' '.join(pythons)}; do" in package
