"""Files of results: complete, readable by others, exported without loss; the commands that write and read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray

import qernel
from qernel.cli import main
from qernel.config import load_config
from qernel.errors import RunError
from qernel.storage import system_columns, tables
from qernel.training.folder import save_model
from qernel.training.run import initial_wavefunction

OBSERVE = ["--lam", "0.6", "0.9", "--walkers", "8", "--samples", "10", "--observable"]
OBSERVABLES = ["density", "order_parameter", "structure_factor", "pair_correlation", "snapshots"]
SETTINGS = ["--set", "density.grid=6", "density.cell_grid=4", "pair_correlation.grid=5", "pair_correlation.bins=6"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a Slater determinant for three electrons, never trained, and its observables."""
    run = tmp_path_factory.mktemp("results") / "run"
    run.mkdir()
    config = load_config(
        {
            "system": {"electrons": [2, 1], "supercell": [[1, 1], [-1, 2]]},
            "family": {"lam": [0.5, 0.8]},
            "model": {"ansatz": "slater", "bloch_order": 3, "bloch_cutoff": 40.0},
            "sample": {"walkers": 8, "samples": 10, "burn_in": 20, "moves": 4},
        }
    )
    save_model(run / "model.safetensors", config, initial_wavefunction(config))
    assert main(["observe", str(run), *OBSERVE, *OBSERVABLES, *SETTINGS]) == 0
    return run


@pytest.fixture(scope="module")
def results(folder: Path) -> Path:
    return folder / "observe" / "observables.nc"


def failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one sentence with which a command refuses."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("qernel: error: ") and err.count("\n") == 1, err
    return err


def test_the_file_opens_with_xarray_alone(results: Path) -> None:
    with xarray.open_dataset(results) as plain:
        assert plain.identical(qernel.open(results))
    data = qernel.open(results)
    assert data["density"].dims == ("lam", "a1", "a2") and list(data["lam"].values) == [0.6, 0.9]
    area = np.linalg.det(data.attrs["supercell_vectors"].reshape(2, 2))
    np.testing.assert_allclose(data["density"].mean(("a1", "a2")) * area, 3.0)
    # Labels that do not depend on λ are stored once.
    assert data["ax"].dims == ("a1", "a2") and data["qx"].dims == ("q",)
    assert list(data["electron_spin"].values) == ["up", "up", "down"]
    assert list(data["extrapolating"].values) == [0, 1]
    for name, variable in data.data_vars.items():
        assert variable.attrs["units"] and variable.attrs["long_name"], name


def test_the_file_knows_where_it_comes_from(folder: Path, results: Path) -> None:
    attributes = qernel.open(results).attrs
    model = qernel.load(folder)
    assert attributes["config_sha256"] == model.config.fingerprint()
    assert load_config(__import__("tomllib").loads(attributes["config"])) == model.config
    assert attributes["qernel_version"] == qernel.__version__ and attributes["seed"] == model.config.sample.seed
    assert attributes["walkers"] == 8 and attributes["samples"] == 10
    assert attributes["E0_meV"] == pytest.approx(model.config.energy_unit_meV)
    request = json.loads(attributes["request"])
    assert request["weights"] == attributes["model_weights_sha256"] and "Density(grid=6" in request["observables"][0]
    assert attributes["history"].startswith("qernel observe")


def test_repeating_is_allowed_and_overwriting_is_not(
    folder: Path, results: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = results.read_bytes()
    wanted = ["observe", str(folder), *OBSERVE]
    assert "another measurement" in failure(capsys, *wanted, *OBSERVABLES)
    assert "another measurement" in failure(capsys, *wanted, *OBSERVABLES[:2], *SETTINGS[:2])
    assert "there is no observable denstiy" in failure(capsys, *wanted, "denstiy")
    assert "not among --observable" in failure(capsys, *wanted, "order_parameter", "--set", "density.grid=3")
    assert results.read_bytes() == before
    # That the same seed gives the same numbers is tested of the state; here it would be another half minute.
    old = qernel.open(results)
    monkeypatch.setattr("qernel.measure.observations._measure", lambda *_: old)
    assert main([*wanted, *OBSERVABLES, *SETTINGS, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert set(printed["results"][0]) >= {"lam", "order_parameter", "extrapolating"}
    assert printed["results"][0]["order_parameter"]["error"] > 0
    assert printed["arrays"]["density"] == {"lam": 2, "a1": 6, "a2": 6} and printed["units"]["density"] == "1/a_M^2"
    assert qernel.open(results)["density"].identical(old["density"])


def test_export_to_csv(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import pandas

    out = tmp_path / "tables"
    assert main(["export", str(results), "--format", "csv", "--out", str(out)]) == 0
    data = qernel.open(results)
    scalars = pandas.read_csv(out / "scalars.csv", float_precision="round_trip")
    np.testing.assert_array_equal(scalars["order_parameter"], data["order_parameter"])
    np.testing.assert_array_equal(scalars["lam"], [0.6, 0.9])
    density = pandas.read_csv(out / "density.csv", float_precision="round_trip")
    assert len(density) == 2 * 36 and {"lam", "ax", "ay", "density", "density_error"} <= set(density)
    np.testing.assert_array_equal(density["density"], data["density"].values.ravel())
    assert {path.stem for path in out.iterdir()} >= {
        "scalars",
        "density",
        "density_up",
        "structure_factor",
        "snapshots",
    }
    capsys.readouterr()
    assert "already exists" in failure(capsys, "export", str(results), "--format", "csv", "--out", str(out))
    assert main(["export", str(results), "--format", "csv", "--variable", "scalars"]) == 0
    assert capsys.readouterr().out == (out / "scalars.csv").read_text()
    assert "choose from scalars" in failure(capsys, "export", str(results), "--format", "csv", "--variable", "nothing")


def test_export_to_json(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "all.json"
    assert main(["export", str(results), "--format", "json", "--out", str(out)]) == 0
    content: dict[str, Any] = json.loads(out.read_text())
    data = qernel.open(results)
    for name, entry in content["variables"].items():
        stored = data[name]
        assert entry["axes"] == list(stored.dims) and entry["unit"] == stored.attrs["units"]
        np.testing.assert_array_equal(np.array(entry["values"], dtype=stored.dtype), stored.values)
    assert content["attributes"]["config_sha256"] == data.attrs["config_sha256"]


def test_what_is_no_file_of_results(tmp_path: Path, results: Path) -> None:
    with pytest.raises(RunError, match="does not exist"):
        qernel.open(tmp_path / "nothing.nc")
    (tmp_path / "text.nc").write_text("no NetCDF")
    with pytest.raises(RunError, match="damaged or no NetCDF file"):
        qernel.open(tmp_path / "text.nc")
    (tmp_path / "half.nc").write_bytes(results.read_bytes()[:2000])
    with pytest.raises(RunError, match="damaged or no NetCDF file"):
        qernel.open(tmp_path / "half.nc")
    with pytest.raises(RunError, match=r"name a file, for instance .*observables\.nc"):
        qernel.open(results.parent)


def test_tables_name_the_system_of_models_for_every_size() -> None:
    """What the attributes of a file say, in each row; nothing for a model that belongs to one system."""
    about = {"electrons": np.int64(24), "supercell": np.array([6, 0, 0, 6]), "twist": np.array([0.5, 0.0])}
    flags = {"size_trained": np.int64(1), "twist_trained": np.int64(0)}
    expected = {"electrons": "24", "supercell": "6 0 0 6", "twist": "0.5 0", "size_trained": "true"}
    assert system_columns({**about, **flags}) == expected | {"twist_trained": "false"}
    assert system_columns({**about, **flags, "electrons": np.array([3, 3])})["electrons"] == "3 3"
    assert system_columns(about) == {}
    data = xarray.Dataset({"energy": ("lam", [1.0, 2.0])}, {"lam": [0.5, 1.0]}, {**about, **flags})
    assert tables(data)["scalars"]["twist"].tolist() == ["0.5 0", "0.5 0"]
