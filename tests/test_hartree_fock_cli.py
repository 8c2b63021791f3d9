"""``qernel hf``: what it prints, what it writes, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qernel.cli import main

TINY = """\
[system]
electrons = 2
supercell = [[1, 1], [-1, 2]]
[family]
lam = [0.5, 1.0]
"""


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(TINY)
    return tmp_path


def test_json_and_files_agree(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "hf tiny.toml --lam 1.2 0.4 --cutoff 60 --out results/hf"
    assert main([*line.split(), "--json"]) == 0
    data: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert [row["lam"] for row in data["results"]] == [0.4, 1.2]
    assert data["system"]["electrons"] == 2 and data["system"]["cells"] == 3
    for row in data["results"]:
        assert row["energy"] == pytest.approx(row["kinetic"] + row["moire"] + row["interaction"], abs=1e-12)
        assert row["converged"] is True and row["residual"] < 1e-5 and row["cutoff"] == 60.0
        assert 0 < row["basis_error"] < 1 and row["branch"] in ("liquid", "density wave", "crystal")
    folder = tiny / "results" / "hf"
    record = json.loads((folder / "hartree_fock.json").read_text("utf-8"))
    assert record["results"] == data["results"] and record["provenance"]["command"] == f"qernel {line} --json"
    for row in record["results"]:
        assert row in [other for rows in record["branches"].values() for other in rows]
    assert set(record["results"][0]) >= set(record["units"]) - {"transition"}
    written = sorted(path.name for path in folder.iterdir())
    assert "branches.png" in written and "branches.pdf" in written
    assert [name for name in written if name.startswith("density-") and name.endswith(".png")]

    assert main(line.split()) == 2
    assert "results/hf already exists" in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == written
    # Without --out: the same numbers, in a table.
    assert main(["hf", "tiny.toml", "--lam", "0.4", "--cutoff", "60"]) == 0
    out = capsys.readouterr().out
    assert f"{data['results'][0]['energy']:.5f}" in out and "2 electrons on 3 moiré cells" in out


def test_along_another_parameter(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """U is no parameter of this family; each value is the same system with that constant."""
    assert (
        main(
            ["hf", "tiny.toml", "--along", "U", "9", "6", "--at", "lam=0.8", "--cutoff", "40", "--out", "hf", "--json"]
        )
        == 0
    )
    data = json.loads(capsys.readouterr().out)
    assert data["along"] == "U" and [row["U"] for row in data["results"]] == [6.0, 9.0]
    assert {row["lam"] for row in data["results"]} == {0.8}
    constants = ["system.U=6.0", "system.V0=4.443709082419186"]
    assert main(["hf", "tiny.toml", "--lam", "0.8", "--cutoff", "40", "--json", "--set", *constants]) == 0
    alone = json.loads(capsys.readouterr().out)["results"][0]
    assert data["results"][0]["energy"] == pytest.approx(alone["energy"], abs=1e-8)
    record = json.loads((tiny / "hf" / "hartree_fock.json").read_text("utf-8"))
    assert record["units"]["U"] == "E0 a_M" and record["units"]["transition"].startswith("E0 a_M; ")
    assert main(["hf", "tiny.toml", "--lam", "0.8", "--at", "U=6", "--cutoff", "40"]) == 0
    out = capsys.readouterr().out
    assert f"{alone['energy']:.5f}" in out and "3 moiré cells, U = 6, energies" in out
    for line, words in (
        ("--lam 0.8 --at gate_distance=1", "gate_distance is no parameter of this system, which has lam"),
        ("--along U -3", "U = -3 is out of its bounds: give 0 to"),
        ("--along U 3 --at U=4", "U is given twice"),
    ):
        assert main(["hf", "tiny.toml", *line.split()]) == 2
        assert words in capsys.readouterr().err


def test_overrides_and_refusals(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["hf", "tiny.toml", "--lam", "0.5"]
    assert main([*command, "--cutoff", "60", "--set", "system.electrons=[1, 1]", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["system"]["electrons"] == [1, 1]
    for extra, words in (
        (["--cutoff", "-3"], "'-3' is not a positive number"),
        (["--cutoff", "2"], "--cutoff 2 keeps"),
        (["--set", "system.electrons=7"], "7 electrons"),
        (["--out", "tiny.toml"], "tiny.toml already exists"),
    ):
        assert main([*command, *extra]) == 2
        out, err = capsys.readouterr()
        assert out == "" and words in err and len(err.splitlines()) == 1
    assert (tiny / "tiny.toml").read_text() == TINY


def test_the_model_is_no_concern_of_hartree_fock(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A width below the number of electrons, which a network could not use, and keys that do not exist."""
    command = ["hf", "tiny.toml", "--lam", "0.5", "--cutoff", "60", "--json"]
    assert main(command) == 0
    plain = json.loads(capsys.readouterr().out)["results"]
    (tiny / "tiny.toml").write_text(TINY + "[model]\nwidth = 1\nheads = 3\nnonsense = 1\n[train]\ngroups = -1\n")
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["results"] == plain
    assert main(["validate", "tiny.toml"]) == 2


@pytest.mark.parametrize("stopped_at", [2, 9])
def test_a_search_that_was_stopped_goes_on(
    stopped_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a start, and in a sweep: what was found is not solved again, and numbers are those of an unbroken search."""
    from qernel.hartree_fock import solution

    minimise, calls = solution.minimise, [0]

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] == stopped_at:
            raise KeyboardInterrupt
        return minimise(*args, **kwargs)

    monkeypatch.chdir(tmp_path)
    line = ["hf", "n2", "--lam", "0.9", "1.1", "--cutoff", "30"]
    assert main([*line, "--out", "whole"]) == 0
    monkeypatch.setattr(solution, "minimise", counted)
    assert main([*line, "--out", "parts"]) == 130
    err = capsys.readouterr().err
    assert "everything is saved; to go on: qernel hf n2" in err and Path("parts/unfinished").is_dir()
    assert main([*line[:-1], "40", "--out", "parts"]) == 2, "of another cut-off nothing is mixed in"
    assert "choose another --out" in capsys.readouterr().err
    assert main([*line, "--out", "parts"]) == 0
    whole, parts = (json.loads(Path(folder, "hartree_fock.json").read_text()) for folder in ("whole", "parts"))
    for name in ("provenance", "content_sha256"):  # dates and commands
        assert whole.pop(name) != parts.pop(name)
    assert whole == parts
    assert not Path("parts/unfinished").exists()
    before = calls[0]
    assert main([*line, "--out", "again"]) == 0
    assert calls[0] - before == before - 1, "nothing was solved twice"
