"""Damaged and edited files of results: the same numbers, or one sentence and exit code 2; never other numbers."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray

import figure_data
import qernel
import test_transition as transition
from qernel import outputs as command_outputs
from qernel.cli import main
from qernel.errors import DamagedFile, RunError
from qernel.integrity import CHECKSUM, content_digest
from qernel.records import read_json, to_record
from qernel.storage import save
from test_report import METRICS

LAM = np.linspace(0.5, 1.5, 7)
ROOT = Path(__file__).parents[1]


def scanned() -> xarray.Dataset:
    """A small scan: energies that add up, text, a number without axes, an array."""
    rng = np.random.default_rng(0)
    parts = {name: size + rng.normal(size=7) for name, size in (("kinetic", 6), ("moire", -7), ("interaction", -16))}
    data: dict[str, Any] = {}
    for name, values in {"energy": sum(parts.values()), **parts, "energy_variance": np.full(7, 0.3)}.items():
        data[name] = ("lam", values, {"units": "E0"})
        data[f"{name}_error"] = ("lam", np.full(7, 0.01), {"units": "E0"})
    data["density"] = (("lam", "a1", "a2"), rng.uniform(0.5, 1.5, (7, 4, 4)))
    about = figure_data.dataset().attrs | {"V0": 4.44, "U": 10.6, "phase_deg": 45.0, "request": "{}", "model": "n6"}
    grid = np.arange(4) / 4
    labels = {"lam": LAM, "a1": grid, "a2": grid, "gate_distance": 1.0, "spin": ("s", ["up", "down"])}
    return xarray.Dataset(data, labels, about)


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(scanned(), tmp_path_factory.mktemp("scan") / "energies.nc")


def plain(dataset: xarray.Dataset, path: Path) -> Path:
    """The same as a file of earlier versions: without checksums."""
    attributes = {name: value for name, value in dataset.attrs.items() if name != CHECKSUM}
    dataset.drop_attrs(deep=False).assign_attrs(attributes).to_netcdf(path, engine="h5netcdf")
    return path


def harmed(content: bytes, chance: random.Random) -> bytes:
    """One bit, a block of zeros, random bytes, or the end missing."""
    place = chance.randrange(len(content))
    block = chance.choice((1, 8, 512, 4096))
    match chance.choice("bbbbzrt"):
        case "b":
            return content[:place] + bytes([content[place] ^ (1 << chance.randrange(8))]) + content[place + 1 :]
        case "z":
            return content[:place] + bytes(min(block, len(content) - place)) + content[place + block :]
        case "r":
            return content[:place] + chance.randbytes(min(block, len(content) - place)) + content[place + block :]
        case _:
            return content[:place]


def check_damage(number: int, seed: int, whole: Path, folder: Path) -> Counter[str]:
    """Damage a file in many places and read it."""
    chance, content, reference = random.Random(seed), whole.read_bytes(), qernel.open(whole)
    path, outcomes = folder / "damaged.nc", Counter[str]()
    for index in range(number):
        path.write_bytes(harmed(content, chance))
        try:
            assert qernel.open(path).identical(reference), f"number {index} gives other numbers"
            outcomes["same"] += 1
        except RunError as error:
            assert str(path) in str(error) and "\n" not in str(error) and len(str(error)) < 600
            outcomes["refused"] += 1
    return outcomes


def test_no_damage_changes_a_number(scan: Path, tmp_path: Path) -> None:
    outcomes = check_damage(40, 1, scan, tmp_path)
    assert outcomes["refused"] > 8 and outcomes.total() == 40


@pytest.mark.slow
def test_two_thousand_damaged_files(scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = check_damage(2000, 2, scan, tmp_path)
    with capsys.disabled():
        print(f"outcomes {dict(outcomes)}")
    assert outcomes.total() == 2000


def test_every_stored_number_is_guarded(scan: Path, tmp_path: Path) -> None:
    """The bytes of each array, scalar and attribute, changed where they lie: also where HDF5 has no checksum."""
    content = scan.read_bytes()
    places = {}
    with h5py.File(scan) as file:
        for name, item in file.items():
            if name not in scanned().variables:
                continue  # an axis without labels
            if item.dtype.kind == "f" and item.shape != ():
                assert item.fletcher32, name
                places[name] = item.id.get_chunk_info(0).byte_offset
            elif name == "gate_distance":
                places[name] = item.id.get_offset()
    places["attribute"] = content.index(np.float64(4.44).tobytes())
    assert {"lam", "energy", "density", "gate_distance", "attribute"} <= set(places)
    for name, place in places.items():
        damaged = bytearray(content)
        damaged[place] ^= 1  # the last digit
        (tmp_path / "one.nc").write_bytes(damaged)
        with pytest.raises(DamagedFile, match=r"one\.nc"):
            qernel.open(tmp_path / "one.nc")
        assert name  # shown if the above fails


def test_xarray_reads_what_is_written_and_edits_are_noticed(scan: Path, tmp_path: Path) -> None:
    with xarray.open_dataset(scan) as opened:
        whole = opened.load()
    assert whole.identical(qernel.open(scan)) and whole.attrs[CHECKSUM] == content_digest(whole)
    edited = whole.assign(density=whole["density"] * 1.0000001)
    edited.to_netcdf(tmp_path / "edited.nc", engine="h5netcdf")
    with pytest.raises(DamagedFile, match=f"edited it on purpose, remove {CHECKSUM} from its attributes"):
        qernel.open(tmp_path / "edited.nc")
    assert qernel.open(plain(edited, tmp_path / "stripped.nc")).attrs.keys() == whole.attrs.keys() - {CHECKSUM}
    # The same contents in another layout have the same checksum; what Qernel itself writes has a new one.
    whole.to_netcdf(tmp_path / "rewritten.nc", engine="h5netcdf")
    assert qernel.open(tmp_path / "rewritten.nc").identical(whole)
    assert qernel.open(save(edited, tmp_path / "ours.nc")).attrs[CHECKSUM] != whole.attrs[CHECKSUM]
    part = qernel.open(save(whole.isel(lam=[2]), tmp_path / "compact.nc", compact=True))
    np.testing.assert_allclose(part["density"], whole["density"][[2]], rtol=1e-7)
    assert part["energy"].item() == whole["energy"][2].item()


CHECKED = ("studies/every_size/phases", "studies/projection", "studies/uninformed")
"""Studies whose files were written with a checksum; all others are of earlier versions."""


@pytest.mark.parametrize("path", sorted(ROOT.glob("studies/**/*.nc")), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_of_earlier_versions_are_read(path: Path) -> None:
    later = any(path.is_relative_to(ROOT / folder) for folder in CHECKED)
    assert (CHECKSUM in qernel.open(path).attrs) == later


@pytest.mark.parametrize("suffix", ["", "_up", "_reweighted"])
def test_energies_have_to_be_the_sum_of_their_parts(suffix: str, tmp_path: Path) -> None:
    data = scanned()
    for name in ("energy", "kinetic", "moire", "interaction"):
        data[f"{name}{suffix}"] = data[name].copy()
    qernel.open(plain(data, tmp_path / "whole.nc"))
    data[f"energy{suffix}"][3] += 0.001
    with pytest.raises(DamagedFile, match=f"energy{suffix} = .* is not kinetic{suffix} "):
        qernel.open(plain(data, tmp_path / "off.nc"))


def edits() -> Iterator[tuple[str, xarray.Dataset]]:
    """A file as people, scripts and converters change it; all of these are wrong for some reader."""
    data = scanned()
    text = ("lam", ["one"] * 7)
    yield from ((f"without {name}", data.drop_vars(name)) for name in data.variables)
    yield from (
        (f"without {name}", data.assign_attrs({k: v for k, v in data.attrs.items() if k != name}))
        for name in data.attrs
    )
    yield from ((f"{name} as text", data.assign({name: text})) for name in ("energy", "energy_error", "moire", "lam"))
    yield from ((f"attribute {name} as text", data.assign_attrs({name: "three"})) for name in data.attrs)
    yield "no attributes", data.drop_attrs()
    yield "empty", data.isel(lam=slice(0, 0))
    yield "one", data.isel(lam=0)
    yield "no lam axis", data.isel(lam=[0]).squeeze().drop_vars("lam")
    yield "twice", xarray.concat([data, data], "lam")
    yield "unsorted", data.isel(lam=[3, 1, 2, 0, 6, 5, 4])
    for value in (np.nan, np.inf, 1e308, -1e308):
        yield f"lam {value}", data.assign_coords(lam=np.where(LAM[3] == LAM, value, LAM))
        for name in ("energy", "energy_error", "interaction", "interaction_error", "density"):
            yield f"{name} {value}", data.assign({name: data[name].copy(data=np.full(data[name].shape, value))})
    yield "negative errors", data.assign(energy_error=-data["energy_error"])
    yield "transposed", data.transpose()
    yield "renamed axis", data.rename_dims(lam="depth")
    yield "other axis", data.assign(energy=("x", np.zeros(3)), energy_error=("x", np.ones(3)))
    yield "more axes", data.assign(energy=data["density"], energy_error=data["density"])
    yield "flat", data.assign(density=("lam", LAM))
    yield "complex", data.assign(density=data["density"].astype(bool))
    yield "no area", data.assign_attrs(supercell_vectors=[1.0, 0.0, 2.0, 0.0])
    yield "short", data.assign_attrs(moire_vectors=[1.0], trained_lam=[0.5], trained_gaps=[0.7])
    yield "nothing", xarray.Dataset()


def readers(folder: Path) -> list[list[str]]:
    """Every command that reads a file of results."""
    file, other = str(folder / "energies.nc"), str(folder / "other.nc")
    return [
        *(
            ["plot", kind, file, "--format", "svg", "--out", str(folder / "out")]
            for kind in ("phase_diagram", "density")
        ),
        ["plot", "versus_lam", file, "--variable", "energy", "--format", "svg", "--out", str(folder / "out")],
        ["export", file, "--format", "csv", "--out", str(folder / "out")],
        ["export", file, "--format", "json", "--out", str(folder / "out" / "all.json")],
        ["report", file, "--out", str(folder / "out" / "report.html")],
        ["transition", file, "--resamples", "100", "--density", file],
        ["extrapolate", file, other, "--resamples", "100"],
    ]


def check_readers(
    contents: list[tuple[str, Callable[[Path], object]]], scan: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> Counter[str]:
    """Give each file to a reader, in turn, and see that it succeeds or says one sentence."""
    outcomes: Counter[str] = Counter()
    for index, (label, write) in enumerate(contents):
        here = folder / str(index)
        here.mkdir()
        shutil.copy(scan, here / "other.nc")
        write(here / "energies.nc")
        commands = readers(here)
        command = commands[index % len(commands)]
        code = main(command)
        err = capsys.readouterr().err
        outcomes[f"{code}"] += 1
        assert code in (0, 2), f"{label}, {command[:2]}: {err}"
        if code == 2:
            assert err.startswith("qernel: error: ") and err.count("\n") == 1 and len(err) < 800, f"{label}: {err}"
            assert ".nc" in err, f"{label}: {err} does not name the file"
        shutil.rmtree(here)
    return outcomes


def edited_files(chance: random.Random) -> list[tuple[str, Callable[[Path], object]]]:
    """All `edits` in random order, so that another seed gives them to other readers."""
    found = list(edits())
    chance.shuffle(found)
    return [(label, lambda path, data=data: plain(data, path)) for label, data in found]


def test_edited_files_are_one_sentence_for_every_reader(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = check_readers(edited_files(random.Random(3))[:10], scan, tmp_path, capsys)
    assert outcomes.total() == 10 and outcomes["2"] > 0


@pytest.mark.slow
def test_all_edited_and_damaged_files_for_every_reader(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each edit for each reader, and files of earlier versions, whose damage has no checksum to show it."""
    chance = random.Random(5)
    old = plain(scanned(), tmp_path / "old.nc").read_bytes()
    for round_ in range(8):
        contents = edited_files(random.Random(round_))
        contents += [("damaged", lambda path: path.write_bytes(harmed(old, chance))) for _ in range(60)]
        (tmp_path / f"round-{round_}").mkdir()
        check_readers(contents, scan, tmp_path / f"round-{round_}", capsys)


def test_what_is_no_file_or_says_it_is_huge(scan: Path, tmp_path: Path) -> None:
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.nc")
        with pytest.raises(RunError, match="no file but a device or a pipe"):
            qernel.open(tmp_path / "pipe.nc")
    with h5py.File(tmp_path / "huge.nc", "w") as file:
        file.create_dataset("energy", shape=(10**13,), dtype="f8", chunks=(1000,))
    with pytest.raises(DamagedFile, match=r"energy is said to hold 1e\+13 numbers"):
        qernel.open(tmp_path / "huge.nc")
    data = scanned().isel(lam=slice(0, 0))
    with pytest.raises(RunError, match="its axis lam is empty"):
        qernel.open(plain(data, tmp_path / "empty.nc"))


# JSON records and metrics


def test_records_have_a_checksum(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(to_record({"value": 0.1, "rows": [1, float("nan"), {"λ": "ψ"}]}, indent=1))
    content = read_json(path)
    assert content["rows"][1] is None
    path.write_text(json.dumps(dict(reversed(content.items()))))  # layout and order do not count
    assert read_json(path) == content
    for before, after in (("0.1", "0.3"), ("ψ", "φ"), ('"rows"', '"rowz"')):
        path.write_text(json.dumps(content, ensure_ascii=False).replace(before, after))
        with pytest.raises(DamagedFile, match="its contents do not match their checksum"):
            read_json(path)
    del content[CHECKSUM]
    path.write_text(json.dumps(content).replace("0.1", "0.3"))
    assert read_json(path)["value"] == 0.3


@pytest.mark.parametrize("name", ["transition.json", "hartree_fock.json", "comparison.json"])
def test_broken_records_are_one_sentence(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deep = 100_000
    for content in (
        b"",
        b"\xff\xfe",
        b"[" * deep,
        b'{"a":' * deep,
        b"[" * deep + b"]" * deep,
        b'{"candidates": [1]}',
        b'{"candidates": [], "source": 5, "evidence": null}',
        b'{"results": [{"lam": 1e400}], "branches": {}}',
        b'{"models": [{"mean_excess": []}]}',
        b"9" * 10_000,
        b"null",
    ):
        (tmp_path / name).write_bytes(content)
        assert main(["report", str(tmp_path)]) == 2, content[:40]
        err = capsys.readouterr().err
        assert err.startswith("qernel: error: ") and name in err and err.count("\n") == 1 and len(err) < 600, err


def test_a_hartree_fock_record_that_does_not_add_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads((ROOT / "studies" / "hartree_fock" / "n6.json").read_text())
    content["results"][0]["energy"] += 0.01
    (tmp_path / "hartree_fock.json").write_text(json.dumps(content))
    assert main(["report", str(tmp_path)]) == 2
    assert "is not kinetic + moire + interaction" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("-14.05", "low"), "'low' under energy in line 4"),
        (lambda text: text.replace(",energy,", ",E,"), "lacks the columns energy"),
        (lambda text: text.replace("20,0,0.4,", "20,0,"), "7 cells in line 4 under 8 columns"),
        (lambda text: text.replace("acceptance", "energy"), "two columns 'energy'"),
        (lambda text: text.replace("20,0,0.4", "20,0,"), "without a number under lam"),
        (lambda text: text.replace(",", ";"), "lacks the columns"),
        (lambda text: text.replace("-14.05", "\0"), "metrics.csv"),
        (lambda text: text.replace("-14.05", '"' + "1" * 200_000), "metrics.csv"),
    ],
)
def test_edited_metrics(
    change: Callable[[str], str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "metrics.csv").write_text(change(METRICS))
    for command in (["report", str(tmp_path)], ["plot", "convergence", str(tmp_path), "--out", str(tmp_path / "out")]):
        code, err = main(command), capsys.readouterr().err
        if code == 2:
            assert words in err and err.count("\n") == 1, err
        else:  # a figure needs fewer columns than the table
            assert code == 0 and "energy" not in words
    assert code == 2 or "acceptance" in change(METRICS)


def test_metrics_that_are_unusual_but_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty cell is what was not attempted, a diverged energy is not drawn, half a line is of a killed run."""
    changed = METRICS.replace("-14.05", "1e308").replace("-19.1,", "inf,").replace("0.5,0\n", ",0\n")
    (tmp_path / "metrics.csv").write_text(changed + "30,0,0.4,-14")
    assert main(["report", str(tmp_path)]) == 0
    assert "Iteration 20" in (tmp_path / "report.html").read_text(encoding="utf-8")
    (tmp_path / "report.html").unlink()
    (tmp_path / "metrics.csv").write_text(METRICS.splitlines()[0] + "\n")
    assert main(["plot", "convergence", str(tmp_path)]) == 2
    assert "no lines of numbers yet" in capsys.readouterr().err


def test_a_report_embeds_only_images_of_its_folder(tmp_path: Path) -> None:
    found = transition.analyse(transition.made_up("jump", lam=transition.LAM[5:16]), resamples=100)
    secret = tmp_path / "secret.txt"
    secret.write_text("the password")
    image = tmp_path / "elsewhere.png"
    image.write_bytes(b"\x89PNG\r\n\x1a\n" + b"image elsewhere")
    run = tmp_path / "run"
    run.mkdir()
    command_outputs.write_text(run / "transition.json", to_record(found.as_dict()))

    def report() -> str:
        assert main(["report", str(run), "--out", str(tmp_path / "report.html")]) == 0
        text = (tmp_path / "report.html").read_text(encoding="utf-8")
        (tmp_path / "report.html").unlink()
        return text

    figure = run / "transition.png"
    for make in (
        lambda: figure.symlink_to(secret),
        lambda: figure.symlink_to(image),
        lambda: figure.symlink_to(figure),
        lambda: figure.write_text("the password"),
        lambda: os.mkfifo(figure),
        figure.mkdir,
    ):
        make()
        text = report()
        assert text.count("transition.png is left out") == 1 and "data:image/png" not in text and "password" not in text
        figure.rmdir() if figure.is_dir() else figure.unlink()
    (run / "drawn").mkdir()
    (run / "drawn" / "one.png").write_bytes(image.read_bytes())
    figure.symlink_to(run / "drawn" / "one.png")  # a link that stays inside
    text = report()
    assert "transition.png is left out" not in text and text.count("data:image/png") == 1
    (run / "metrics.csv").write_text(METRICS)
    (run / "config.toml").symlink_to(secret)
    text = report()
    assert "password" not in text and "config.toml is left out" in text and text.count("data:image/png") == 2
