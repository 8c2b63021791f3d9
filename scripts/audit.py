"""Known vulnerabilities of what the lock files name, without a network.

usage: python scripts/audit.py requirements/*.txt

The advisories are read from where QERNEL_ADVISORIES says: a checkout of github.com/pypa/advisory-database, or the file
PyPI/all.zip of osv.dev (both in the OSV format). Without it the audit is skipped, in one line. pip-audit and its like
ask a service for every package and cannot work offline (pip-audit issue 698).
"""

from __future__ import annotations

import json
import os
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

VARIABLE = "QERNEL_ADVISORIES"

Locked = dict[str, set[str]]


def locked(paths: Sequence[str]) -> Locked:
    """The versions that lock files name, by canonical name."""
    found: Locked = {}
    for path in paths:
        for line in Path(path).read_text("utf-8").splitlines():
            if re.match(r"[A-Za-z0-9]", line):
                requirement = Requirement(line.rstrip("\\"))
                versions = {pin.version for pin in requirement.specifier}
                found.setdefault(canonicalize_name(requirement.name), set()).update(versions)
    return found


def advisories(source: Path) -> Iterator[Mapping[str, Any]]:
    """Every advisory in a folder or zip file."""
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.suffix in (".json", ".yaml"):
                yield _parse(path.name, path.read_bytes())
    else:
        with zipfile.ZipFile(source) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith((".json", ".yaml")):
                    yield _parse(name, archive.read(name))


def _parse(name: str, content: bytes) -> Mapping[str, Any]:
    parsed = json.loads(content) if name.endswith(".json") else yaml.safe_load(content)
    return parsed if isinstance(parsed, Mapping) else {}


def findings(wanted: Locked, known: Iterator[Mapping[str, Any]]) -> tuple[list[str], int]:
    """A sentence for each vulnerable version, and the number of advisories that were read."""
    sentences, count = [], 0
    for advisory in known:
        if "withdrawn" in advisory or "affected" not in advisory:
            continue
        count += 1
        for affected in advisory["affected"]:
            package = affected.get("package", {})
            name = canonicalize_name(package.get("name", ""))
            if package.get("ecosystem") != "PyPI" or name not in wanted:
                continue
            names = ", ".join([advisory["id"], *advisory.get("aliases", ())])
            sentences += [f"{name} {v}: {names}" for v in sorted(wanted[name]) if _hit(v, affected)]
    return sorted(set(sentences)), count


def _hit(version: str, affected: Mapping[str, Any]) -> bool:
    if version in affected.get("versions", ()):
        return True
    return any(
        _inside(Version(version), entry["events"])
        for entry in affected.get("ranges", ())
        if entry.get("type") in ("ECOSYSTEM", "SEMVER")
    )


def _inside(version: Version, events: Sequence[Mapping[str, str]]) -> bool:
    """Whether the last event at or before a version says that it is affected."""
    inside = False
    try:
        ordered = sorted((Version(at), kind) for event in events for kind, at in event.items() if kind != "limit")
    except InvalidVersion:
        return True  # better one alarm too many
    for at, kind in ordered:
        if kind == "introduced" and at <= version:
            inside = True
        if (kind == "fixed" and at <= version) or (kind == "last_affected" and at < version):
            inside = False
    return inside


def main(paths: Sequence[str]) -> int:
    """Print what was found; 1 if there is anything."""
    place = os.environ.get(VARIABLE, "")
    source = Path(place)
    if not place:
        print(f"audit: skipped, no advisory database at hand (set {VARIABLE}; see scripts/audit.py)")
        return 0
    if not paths or not source.exists():
        print(f"audit: {VARIABLE} = {place} does not exist, or no lock file was named", file=sys.stderr)
        return 2
    wanted = locked(paths)
    sentences, count = findings(wanted, advisories(source))
    if not count:
        print(f"audit: {VARIABLE} = {place} holds no advisories in the OSV format", file=sys.stderr)
        return 2
    for sentence in sentences:
        print(f"audit: {sentence}")
    print(f"audit: {len(wanted)} packages against {count} advisories, {len(sentences)} findings")
    return 1 if sentences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
