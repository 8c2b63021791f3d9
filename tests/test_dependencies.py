"""What is installed beside Qernel is pinned by hash and audited, and nothing that is read can run code."""

from __future__ import annotations

import ast
import json
import re
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts import script

ROOT = Path(__file__).parents[1]
LOCKS = ["lock.txt", "lock-dev.txt", "lock-build.txt"]
SOURCES = sorted((ROOT / "src").rglob("*.py"))


def entries(text: str) -> list[tuple[str, list[str]]]:
    """Requirements and their hashes; every other line that is no comment is an error."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        stripped = line.strip().removesuffix("\\").strip()
        if stripped.startswith("--hash="):
            found[-1][1].append(stripped.removeprefix("--hash="))
        elif stripped and not stripped.startswith("#"):
            found.append((stripped, []))
    return found


def faults(text: str) -> list[str]:
    """Everything in a lock file that is not one exact version of a package from an index, with SHA-256."""
    wrong = []
    for line, hashes in entries(text):
        try:
            requirement = Requirement(line)
        except ValueError:
            wrong.append(f"{line}: not a requirement")
            continue
        pins = list(requirement.specifier)
        if requirement.url or len(pins) != 1 or pins[0].operator != "==" or "*" in pins[0].version:
            wrong.append(f"{line}: not pinned")
        if not hashes or any(not re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in hashes):
            wrong.append(f"{line}: without SHA-256")
    return wrong


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_requirement_is_pinned_by_hash(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text("utf-8")
    assert len(entries(text)) > (5 if lock == "lock-build.txt" else 30) and faults(text) == []
    assert "://" not in text, "neither an index nor a package by address"


GOOD = "a==1.0 ; python_full_version < '3.12' \\\n    --hash=sha256:" + "0" * 64 + "\n    # via b\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a==1.0 ", "a>=1.0 "),
        ("a==1.0 ", "a==1.* "),
        ("a==1.0 ", "a "),
        ("a==1.0 ", "a @ https://example.org/a.zip "),
        ("a==1.0 ", "-e ../a "),
        ("a==1.0 ", "--index-url https://example.org\na==1.0 "),
        ("sha256:", "md5:"),
        ("    --hash=sha256:" + "0" * 64, ""),
    ],
)
def test_faults_of_lock_files_are_found(old: str, new: str) -> None:
    assert faults(GOOD) == [] and faults(GOOD.replace(old, new)) != []


def test_locks_hold_what_is_declared() -> None:
    content = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    project, extras = content["project"], content["project"]["optional-dependencies"]
    # Of these the builder imports the second for an editable install.
    declared = {"lock-build.txt": [*content["build-system"]["requires"], "editables"]}
    declared["lock.txt"] = project["dependencies"]
    declared["lock-dev.txt"] = [*project["dependencies"], *extras["dev"], *extras["cluster"], *extras["docs"]]
    versions: dict[str, dict[str, set[str]]] = {}
    for lock in LOCKS:
        versions[lock] = {}
        for line, _ in entries((ROOT / "requirements" / lock).read_text("utf-8")):
            pinned = Requirement(line)
            found = versions[lock].setdefault(canonicalize_name(pinned.name), set())
            found.update(pin.version for pin in pinned.specifier)
        for wanted in map(Requirement, declared[lock]):
            pins = versions[lock][canonicalize_name(wanted.name)]
            assert pins and all(wanted.specifier.contains(pin) for pin in pins), wanted
    assert versions["lock.txt"].keys() <= versions["lock-dev.txt"].keys()
    for name, pins in versions["lock-build.txt"].items():  # installed into one environment, one after the other
        assert versions["lock-dev.txt"].get(name, pins) == pins, name


def test_nothing_is_installed_unlocked() -> None:
    """Every call of pip in the scripts either checks hashes or fetches nothing."""
    lines = [line for path in (ROOT / "scripts").glob("*.sh") for line in path.read_text("utf-8").splitlines()]
    calls = [line for line in lines if re.match(r"\s*(\$pip|pip|.*-m pip.* install) ", line) and "pip=" not in line]
    assert len(calls) == 5
    for call in calls:
        assert "--require-hashes" in call or {"--no-deps", "--no-build-isolation"} <= set(call.split()), call
    assert "requirements/*.txt" in (ROOT / ".ci" / "run").read_text("utf-8")  # the audit reads all lock files


UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml", "torch"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__", "execfile"}


def unsafe(source: str) -> list[str]:
    """What in a module could run code that comes with data: loaders of objects, and evaluation."""
    found = []
    for node in ast.walk(ast.parse(source)):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or "", *(f"{node.module}.{name.name}" for name in node.names)]
        found += [name for name in modules if UNSAFE_MODULES & set(name.split("."))]
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in UNSAFE_CALLS:
            found.append(node.func.id)
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("read_pickle", "to_pickle"):
            found.append(node.func.attr)
        for keyword in node.keywords:
            off = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            if (keyword.arg == "allow_pickle" and not off) or (
                keyword.arg == "shell" and not off and "subprocess" in ast.unparse(node.func)
            ):
                found.append(ast.unparse(keyword))
    return found


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import os, dill as d",
        "from pickle import loads",
        "from joblib.numpy_pickle import load",
        "from sklearn.externals import joblib",
        "import torch\ntorch.load('x')",
        "import yaml",
        "eval(text)",
        "exec(text, {})",
        "numpy.load(path, allow_pickle=True)",
        "numpy.load(path, allow_pickle=flag)",
        "pandas.read_pickle(path)",
        "subprocess.run(line, shell=True)",
    ],
)
def test_unsafe_loaders_are_found(source: str) -> None:
    assert unsafe(source) != []


def test_safe_loaders_are_not() -> None:
    assert unsafe("import json, re\nnumpy.load(path, allow_pickle=False)\nre.compile('x')\nmodel.eval()") == []


def test_nothing_in_the_package_can_run_what_it_reads() -> None:
    assert len(SOURCES) > 100
    found = {str(path.relative_to(ROOT)): names for path in SOURCES if (names := unsafe(path.read_text("utf-8")))}
    assert found == {}


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    return script("scripts/audit.py")


def advisory(name: str, **affected: object) -> dict[str, object]:
    package = {"ecosystem": "PyPI", "name": name}
    return {"id": "PYSEC-1", "aliases": ["CVE-1"], "affected": [{"package": package, **affected}]}


def reach(**ends: str) -> list[dict[str, object]]:
    events = [{"introduced": "0"}, *({kind.partition("_x")[0]: at} for kind, at in ends.items())]
    return [{"type": "ECOSYSTEM", "events": events}]


def commits(fixed: str) -> list[dict[str, object]]:
    return [{"type": "GIT", "repo": "https://example.org/a", "events": [{"introduced": "0"}, {"fixed": fixed}]}]


@pytest.mark.parametrize(
    ("entry", "hit"),
    [
        (advisory("My.Package", versions=["1.2"]), True),
        (advisory("my_package", versions=["1.3"]), False),
        (advisory("my-package", versions=[1.2]), True),  # without quotes
        (advisory("my-package", ranges=reach(fixed="1.3")), True),
        (advisory("my-package", ranges=reach(fixed="1.2")), False),
        (advisory("my-package", ranges=reach(fixed="1.10")), True),  # a version, not a number
        (advisory("my-package", ranges=reach(last_affected="1.2")), True),
        (advisory("my-package", ranges=reach(last_affected="1.1")), False),
        (advisory("my-package", ranges=reach(fixed="1.0", introduced="1.1")), True),
        (advisory("other", versions=["1.2"]), False),
        (advisory("my-package", versions=["1.1"], ranges=commits("1")), False),  # 1 is a commit, not a version
        (advisory("my-package", versions=["1.2"], ranges=commits("2")), True),
        (advisory("my-package", ranges=[*commits("1"), *reach(fixed="1.2")]), False),
        (advisory("my-package", ranges=[*reach(fixed="1.3"), *commits("f00")]), True),
        ({"id": "A", "affected": [{"ranges": commits("1")}]}, False),  # of no package
        ({**advisory("my-package", versions=["1.2"]), "withdrawn": "2024-01-01"}, False),
    ],
)
@pytest.mark.parametrize("form", ["folder", "zip"])
def test_audit_finds_vulnerable_versions(
    entry: dict[str, object],
    hit: bool,
    form: str,
    audit: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(GOOD.replace("a==1.0", "my-package==1.2"))
    database = tmp_path / "advisories"
    files = {"a.json": json.dumps(entry), "b.json": json.dumps(advisory("unrelated", versions=["1"]))}
    if form == "folder":
        database.mkdir()
        for name, text in files.items():
            (database / name).with_suffix(".yaml").write_text(text)  # JSON is YAML
    else:
        with zipfile.ZipFile(database, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
    monkeypatch.setenv(audit.VARIABLE, str(database))
    assert audit.main([str(lock)]) == int(hit)
    assert ("my-package 1.2: PYSEC-1, CVE-1" in capsys.readouterr().out) == hit


def test_audit_names_what_it_cannot_decide(
    audit: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lock.txt").write_text(GOOD)
    (tmp_path / "advisories").mkdir()
    (tmp_path / "advisories" / "a.json").write_text(json.dumps(advisory("a", ranges=commits("1234567"))))
    monkeypatch.setenv(audit.VARIABLE, str(tmp_path / "advisories"))
    assert audit.main([str(tmp_path / "lock.txt")]) == 1
    assert "a 1.0: PYSEC-1, CVE-1 says no versions" in capsys.readouterr().out


BROKEN = [
    b"",
    b"{",
    b"\xff\xfe{}",
    b"[" * 100_000,
    *(
        json.dumps(entry).encode()
        for entry in [
            {"affected": 3},
            {"affected": "text"},
            {"affected": [3]},
            {"id": "A", "affected": [{"package": "a"}]},
            {"id": "A", "affected": [{"package": {"ecosystem": "PyPI", "name": ["a"]}}]},
            {"affected": [{"package": {"ecosystem": "PyPI", "name": "a"}, "versions": ["1.0"]}]},
            advisory("a", versions="11.0"),
            advisory("a", ranges="text"),
            advisory("a", ranges=["text"]),
            advisory("a", ranges=[{"events": []}]),
            advisory("a", ranges=[{"type": "ECOSYSTEM", "events": [3]}]),
        ]
    ),
]


@pytest.mark.parametrize("form", ["json", "yaml", "zip"])
@pytest.mark.parametrize("content", BROKEN, ids=lambda content: content[:60].decode("latin-1"))
def test_audit_says_which_advisory_is_broken(
    content: bytes,
    form: str,
    audit: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "lock.txt").write_text(GOOD)
    database = tmp_path / "advisories"
    if form == "zip":
        with zipfile.ZipFile(database, "w") as archive:
            archive.writestr("bad.json", content)
    else:
        database.mkdir()
        (database / f"bad.{form}").write_bytes(content)
    monkeypatch.setenv(audit.VARIABLE, str(database))
    assert audit.main([str(tmp_path / "lock.txt")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("audit: ") and err.count("\n") == 1
    assert "bad." in err or (content == b"" and form == "yaml")  # an empty YAML file is an empty document


def test_audit_says_which_file_is_broken(
    audit: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad, lock = tmp_path / "good.zip", tmp_path / "bad.zip", tmp_path / "lock.txt"
    with zipfile.ZipFile(good, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", json.dumps(advisory("b", versions=["1.0"] * 99)))
    lock.write_text(GOOD)
    content = bytearray(good.read_bytes())
    content[60] ^= 255
    for database, text, name in [
        (good, None, "nowhere.txt"),
        (good, "a=1\n", "lock.txt"),
        (good, "a==x\n", "lock.txt"),
        (bad, GOOD, "bad.zip"),
        (lock, GOOD, "lock.txt"),
    ]:
        bad.write_bytes(content)
        lock.write_text(text or GOOD)
        monkeypatch.setenv(audit.VARIABLE, str(database))
        assert audit.main([str(lock if text else tmp_path / "nowhere.txt")]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.startswith("audit: ") and err.count("\n") == 1 and name in err


def test_audit_says_when_it_is_skipped(
    audit: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(audit.VARIABLE, raising=False)
    assert audit.main(["lock.txt"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("audit: skipped") and out.count("\n") == 1
    for place in (tmp_path / "nowhere", tmp_path):  # not there; no advisories in it
        monkeypatch.setenv(audit.VARIABLE, str(place))
        (tmp_path / "lock.txt").write_text(GOOD)
        assert audit.main([str(tmp_path / "lock.txt")]) == 2
