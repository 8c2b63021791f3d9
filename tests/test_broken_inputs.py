"""Broken configurations, checkpoints and models: one sentence each, exit code 2, and nothing on the disk changes."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qernel.cli import main
from qernel.cli.commands import train as train_command
from qernel.config import SECTIONS, Config, preset_text, presets
from qernel.measure.chains import Measured
from qernel.training.folder import MODEL_FILE
from qernel.training.run import train
from runs import checkpoints, hashes, settings

VALUES = (
    *(
        "nan",
        "inf",
        "-inf",
        "1e400",
        "-1e308",
        "5e-324",
        "0",
        "-1",
        "1" + 400 * "0",
        "9223372036854775808",
        "1e9",
        "0.5",
    ),
    *(
        '""',
        '"text"',
        "[]",
        "{}",
        "[[]]",
        "[1, 2, 3]",
        "[1.0, 0.0]",
        "[nan, 1.0]",
        "true",
        "none",
        "1979-05-27",
        "07:32:00",
    ),
    *(
        '"\\u0000"',
        "'λ'",
        "{ a = { b = 1 } }",
        300 * "[" + 300 * "]",
        5000 * "[",
        "[" + 20000 * "1," + "1]",
        '"' + 5000 * "x" + '"',
    ),
    *(
        "[[1, 1], [1, 1]]",
        "[[1000, 0], [0, 1000]]",
        "[[0, 0], [0, 0]]",
        "[1]",
        "[0, 0]",
        "[-1, 1]",
        "0x_",
        "1__0",
        "=",
        "#",
    ),
)
BYTES = (
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\x80",
    b"\r",
    b"\x1b[31m",
    "λ".encode(),
    b'"""',
    b"'''",
    b"[[",
    b"]",
    b"=",
)


def broken(chance: random.Random) -> bytes:
    """A preset with one to four things wrong with it (now and then nothing is)."""
    lines = preset_text(chance.choice(presets())).splitlines()
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        if not lines:
            break
        place = chance.randrange(len(lines))
        match chance.randrange(8):
            case 0 | 1 | 2:
                entries = [index for index, line in enumerate(lines) if "=" in line]
                if entries:
                    place = chance.choice(entries)
                    lines[place] = lines[place].partition("=")[0] + "= " + chance.choice(VALUES)
            case 3:
                section = chance.choice(list(SECTIONS))
                key = chance.choice([*SECTIONS[section].model_fields, "unknown", "Walkers", "a.b", '"?"'])
                at = next((i for i, line in enumerate(lines) if line.startswith(f"[{section}]")), None)
                new = f"{key} = {chance.choice(VALUES)}"
                if at is None:
                    lines += [f"[{section}]", new]
                else:
                    lines.insert(at + 1, new)
            case 4:
                del lines[place]
            case 5:
                lines.insert(place, chance.choice(lines))
            case 6:
                lines[place] = lines[place][: chance.randint(0, len(lines[place]))]
            case _:
                lines.insert(
                    place, chance.choice(["[nonsense]", "[train.deep.deeper]", "[[system]]", "x", "x = 1", "[]"])
                )
    content = "\n".join(lines).encode()
    for _ in range(chance.choice((0, 0, 0, 1, 2))):
        place = chance.randint(0, len(content))
        content = content[:place] + chance.choice(BYTES) + content[place + chance.choice((0, 1, 30)) :]
    return (
        content if chance.random() < 0.97 else chance.choice((b"", b"\n", b"\x00" * 50, b"#" * 2_000_000, content[:20]))
    )


def one_sentence_each(err: str) -> None:
    """Every line is an error of ours, short and printable."""
    lines = err.splitlines()
    assert lines
    for line in lines:
        assert line.startswith("qernel: error: ") and len(line) < 600 and line.isprintable(), err[:2000]


def check_configurations(
    number: int, seed: int, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Counter[int]:
    """Give so many to ``qernel train``, which stops short of training.

    Returns:
        How often each exit code came.
    """
    chance = random.Random(seed)
    codes: Counter[int] = Counter()

    def no_training(config: Config, out: Path, *, resume: bool, source: str | None = None) -> bool:
        assert config.fingerprint() and config.notes()
        if config.system.cells <= 225:  # larger ones are sound, and slow
            config.hamiltonian()
        return True

    monkeypatch.setattr(train_command, "train_with_progress", no_training)
    path = folder / "broken.toml"
    for index in range(number):
        content = broken(chance)
        path.write_bytes(content)
        before = hashes(folder)
        code = main(["train", str(path), "--out", str(folder / "run")])
        captured = capsys.readouterr()
        codes[code] += 1
        assert code in (0, 2), f"number {index}: {captured.err}\n{content[:3000]!r}"
        if code == 2:
            one_sentence_each(captured.err)
            assert captured.out == ""
        assert hashes(folder) == before and not (folder / "run").exists()
    return codes


def damaged(content: bytes, chance: random.Random) -> bytes:
    """A file that was cut, altered, overwritten or exchanged."""
    size = len(content)
    place = chance.randrange(size)
    header = 8 + int.from_bytes(content[:8], "little")
    match chance.randrange(9):
        case 0:
            return content[:place]
        case 1:
            return content[:place] + bytes([content[place] ^ (1 << chance.randrange(8))]) + content[place + 1 :]
        case 2:
            place = chance.randrange(header)
            return content[:place] + bytes([chance.randrange(32, 127)]) * chance.randint(1, 9) + content[place + 1 :]
        case 3:
            return content[:place] + bytes(chance.randint(1, 4096)) + content[place + 1 :]
        case 4:
            return b""
        case 5:
            return chance.choice((b"PK\x03\x04", b"\x80\x04pickle", b"\x89HDF\r\n", b"[train]\n", b"\x00" * 500, b"{}"))
        case 6:
            return chance.randbytes(size)
        case 7:
            return chance.choice((b"\xff" * 8, (2**40).to_bytes(8, "little"), bytes(8))) + content[8:]
        case _:
            return content + content[: chance.randint(1, 100)]


def check_checkpoints(
    number: int, seed: int, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Counter[str]:
    """Damage all checkpoints and the model of a run; resume it, and query it.

    Returns:
        How often each outcome came.
    """
    chance = random.Random(seed)
    outcomes: Counter[str] = Counter()
    whole = train(settings(checkpoint_every=4), folder / "whole")
    config = folder / "whole" / "config.toml"
    # In this order: a module that is imported while `measured` is another function would keep that one for ever.
    monkeypatch.setattr("qernel.measure.scan.Scan.table", lambda _: "measured")
    monkeypatch.setattr("qernel.measure.chains.measured", lambda *_, **__: Measured({"fresh": []}, None))
    capsys.readouterr()
    for index in range(number):
        run = folder / str(index)
        shutil.copytree(whole, run)
        for path in (*checkpoints(run), run / MODEL_FILE):
            content = path.read_bytes()
            altered = damaged(content, chance)
            while altered == content:
                altered = damaged(content, chance)
            path.write_bytes(altered)
        before = hashes(run)
        for command in (["train", str(config), "--out", str(run), "--resume"], ["query", str(run), "--lam", "0.7"]):
            code = main(command)
            captured = capsys.readouterr()
            outcomes[f"{command[0]} {code}"] += 1
            assert code == 2, f"number {index}: {captured.err}"
            one_sentence_each(captured.err)
            assert captured.err.count("\n") == 1 and captured.out == ""
        assert hashes(run) == before
        shutil.rmtree(run)
    return outcomes


def test_broken_configurations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    assert check_configurations(100, 1, tmp_path, monkeypatch, capsys)[2] > 60


@pytest.mark.slow
def test_two_thousand_broken_configurations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    codes = check_configurations(2000, 2, tmp_path, monkeypatch, capsys)
    with capsys.disabled():
        print(f"exit codes {dict(codes)}")
    assert codes[2] > 1200


def test_damaged_checkpoints(
    fake: Callable[[Any], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    assert check_checkpoints(10, 3, tmp_path, monkeypatch, capsys).total() == 20


@pytest.mark.slow
def test_two_hundred_damaged_checkpoints(
    fake: Callable[[Any], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    outcomes = check_checkpoints(200, 4, tmp_path, monkeypatch, capsys)
    with capsys.disabled():
        print(f"outcomes {dict(outcomes)}")
    assert outcomes == {"train 2": 200, "query 2": 200}
