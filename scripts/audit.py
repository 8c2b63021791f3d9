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
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

VARIABLE = "QERNEL_ADVISORIES"

Locked = dict[str, set[str]]


class Broken(Exception):
    """A file that is not what it should be; the message names it."""


def locked(paths: Sequence[str]) -> Locked:
    """The versions that lock files name, by canonical name.

    Raises:
        Broken: if a line is no requirement.
    """
    found: Locked = {}
    for path in paths:
        for line in _text(path, Path(path).read_bytes()).splitlines():
            if re.match(r"[A-Za-z0-9]", line):
                try:
                    requirement = Requirement(line.rstrip("\\"))
                    versions = {str(Version(pin.version)) for pin in requirement.specifier}
                except ValueError as error:
                    raise Broken(f"{path}: {line.strip()[:80]!r} is no locked requirement") from error
                found.setdefault(canonicalize_name(requirement.name), set()).update(versions)
    return found


def advisories(source: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every advisory in a folder or zip file, after its name.

    Raises:
        Broken: if one of the files cannot be read.
    """
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.suffix in (".json", ".yaml"):
                yield str(path), _parse(str(path), path.read_bytes())
        return
    try:
        with zipfile.ZipFile(source) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith((".json", ".yaml")):
                    yield f"{source}: {name}", _parse(f"{source}: {name}", archive.read(name))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # the last: encrypted, or packed oddly
        raise Broken(f"{source}: damaged, or no zip file ({error})") from error


def _parse(name: str, content: bytes) -> Mapping[str, Any]:
    text = _text(name, content)
    try:
        # All of it as text, as BaseLoader reads YAML: as a number 1.10 would be 1.1.
        numbers = {"parse_int": str, "parse_float": str}
        parsed = json.loads(text, **numbers) if name.endswith(".json") else yaml.load(text, yaml.BaseLoader)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise Broken(f"{name}: damaged ({' '.join(str(error).split())[:200]})") from error
    return parsed if isinstance(parsed, Mapping) else {}


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Broken(f"{name}: damaged (no UTF-8)") from error


def findings(wanted: Locked, known: Iterator[tuple[str, Mapping[str, Any]]]) -> tuple[list[str], int]:
    """A sentence for each vulnerable version, and the number of advisories that were read.

    Raises:
        Broken: if an advisory is not in the OSV format.
    """
    sentences, count = [], 0
    for file, advisory in known:
        if "withdrawn" in advisory or "affected" not in advisory:
            continue
        count += 1
        try:
            sentences += [
                found for affected in _items(advisory, "affected") for found in _found(wanted, advisory, affected)
            ]
        except (AttributeError, KeyError, TypeError) as error:
            raise Broken(f"{file}: not in the OSV format ({type(error).__name__}: {error})") from error
    return sorted(set(sentences)), count


def _found(wanted: Locked, advisory: Mapping[str, Any], affected: Mapping[str, Any]) -> Iterator[str]:
    package = affected.get("package") or {}  # ranges of commits may come without one
    name = canonicalize_name(package.get("name", ""))
    if package.get("ecosystem") != "PyPI" or name not in wanted:
        return
    names = ", ".join([advisory["id"], *_items(advisory, "aliases")])
    listed = _items(affected, "versions")
    # A range of type GIT holds commits, which have no order and may look like versions: 1234567.
    ranges = [_items(one, "events") for one in _items(affected, "ranges") if one["type"] in ("ECOSYSTEM", "SEMVER")]
    for version in sorted(wanted[name]):
        if not listed and not ranges:
            yield f"{name} {version}: {names} says no versions (commits at most), look it up"
        elif version in listed or any(_inside(Version(version), events) for events in ranges):
            yield f"{name} {version}: {names}"


def _items(entry: Mapping[str, Any], key: str) -> list[Any]:
    """A list in an advisory; it may be absent."""
    items = entry.get(key) or []
    if not isinstance(items, list):
        raise TypeError(f"{key} is no list")
    return items


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
    try:
        wanted = locked(paths)
        sentences, count = findings(wanted, advisories(source))
    except (Broken, OSError) as error:
        print(f"audit: {error}", file=sys.stderr)
        return 2
    if not count:
        print(f"audit: {VARIABLE} = {place} holds no advisories in the OSV format", file=sys.stderr)
        return 2
    for sentence in sentences:
        print(f"audit: {sentence}")
    print(f"audit: {len(wanted)} packages against {count} advisories, {len(sentences)} findings")
    return 1 if sentences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
