"""Boundaries over two parameters in maps made up from known energies, and scans along U."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
from matplotlib.collections import QuadMesh

from qernel.along import LAM, named
from qernel.cli import main
from qernel.errors import QernelError, RunError
from qernel.plots.over_two import phase_map
from qernel.plots.transition import transition_figure
from qernel.records import to_record
from qernel.storage import save
from qernel.text import typeset
from qernel.transition import Curve, PhaseMap, analyse, assembled, boundary, compare_phases, from_dataset
from qernel.transition.boundary import clausius_clapeyron
from qernel.transition.consistency import against_integral, concavity, hellmann_feynman

LAM_GRID = np.linspace(0.5, 1.5, 21)
U_GRID = np.array([8.0, 9.0, 10.0, 11.0, 12.0])
ENERGY, MOIRE, INTERACTION = 0.001, 0.008, 0.006
SLANT = 0.8
"""By how much dE/dλ drops at the transition."""


def place(U: Any) -> Any:
    """The boundary λ_c(U) and, by its inverse at fixed λ, U_c(λ)."""
    return 1.0 - 0.05 * (U - 10.0)


def energies(lam: Any, U: Any, crystal: Any) -> dict[str, Any]:
    """Energies of a liquid or a crystal with E, λ∂E/∂λ and U∂E/∂U; the two phases cross at `place`."""
    both = -12.0 - 6.0 * lam - 2.0 * lam**2 + 0.6 * U - 0.004 * U**2 - 0.02 * lam * U
    slopes = -6.0 - 4.0 * lam - 0.02 * U, 0.6 - 0.008 * U - 0.02 * lam
    gain = -SLANT * (lam - place(U)) * crystal
    return {
        "energy": both + gain,
        "moire": lam * (slopes[0] - SLANT * crystal),
        "interaction": U * (slopes[1] - SLANT * 0.05 * crystal),
        "order_parameter": 0.03 + 0.1 * crystal + 0.0 * lam * U,
    }


SIZES = {"energy": ENERGY, "moire": MOIRE, "interaction": INTERACTION, "order_parameter": 0.003}


def scan(along: str, points: np.ndarray, other: float, seed: int, phase: float | None = None) -> xarray.Dataset:
    """A scan as a file has it: of the lower phase, or of one phase everywhere."""
    lam, U = (points, other) if along == "lam" else (other, points)
    crystal = (lam > place(U)).astype(float) if phase is None else np.full(len(points), phase)
    rng = np.random.default_rng([seed, int(1000 * other)])
    data: dict[str, Any] = {}
    for name, values in energies(lam, U, crystal).items():
        error = SIZES[name]
        data[name] = (along, values + error * rng.normal(size=len(points)), {"units": "E0"})
        data[f"{name}_error"] = (along, np.full(len(points), error), {"units": "E0"})
    rest = {"U": other} if along == "lam" else {"lam": other}
    return xarray.Dataset(data, {along: points, **rest}, {"trained_lam": [0.5, 1.5], "trained_U": [8.0, 12.0]})


def made_up(seed: int = 0, phase: float | None = None) -> PhaseMap:
    """λ_c(U) = 1 − 0.05 (U − 10), five values of U."""
    return assembled([scan("lam", LAM_GRID, U, seed, phase) for U in U_GRID], "U")


# Along U


def test_a_scan_along_U() -> None:
    """The same energies along U: its place, the slopes that Hellmann–Feynman knows, and words that say U."""
    U = np.linspace(8.0, 12.0, 21)
    found = analyse(from_dataset(scan("U", U, 1.02, 0)), resamples=100)
    assert found.scan.axis == named("U") and found.scan.others == {"lam": 1.02}
    true = 10.0 - 0.02 / 0.05
    assert found.place is not None and abs(found.place.value - true) < 3 * found.place.error < 0.6
    jump = found.slope_jump
    assert jump is not None and abs(jump.jump + SLANT * 0.05) < 4 * jump.error
    heat, bent = found.hellmann_feynman, concavity(found.scan)
    assert heat is not None and heat.p_value > 0.01 and bent is not None and bent.violations == 0
    assert found.crossing is not None and abs(found.crossing.value - true) < 4 * found.crossing.error
    assert "at U_c = " in found.evidence[0] and "λ" not in " ".join(found.evidence)
    data = found.as_dict()
    assert (data["along"], data["at"], data["U_c"]) == ("U", {"lam": 1.02}, found.place.as_dict())
    assert data["interaction_jump"]["value"] == jump.jump and data["units"]["U"] == "E0 a_M" and "lambda_c" not in data
    with pytest.raises(AttributeError, match="along U, not λ"):
        _ = found.lambda_c
    axes = transition_figure(found).axes
    assert "U_c = " in axes[0].get_title() and "interaction strength" in axes[-1].get_xlabel()


def test_wrong_derivatives_along_U_are_seen() -> None:
    one = from_dataset(scan("U", np.linspace(8.0, 12.0, 21), 1.02, 0))
    off = replace(one, interaction=Curve(1.02 * one.interaction.values, one.interaction.errors))
    found = hellmann_feynman(off, 9.6)
    assert found is not None and found.p_value < 1e-4


def test_a_scan_beside_a_term_that_does_not_read_the_parameter() -> None:
    """Nothing is said of its derivatives, and its place is still one of λ."""
    data = scan("lam", LAM_GRID, 10.0, 0).assign_attrs(no_factor="lam")
    found = analyse(from_dataset(data), resamples=100)
    assert found.hellmann_feynman is None and found.slope_jump is None and concavity(found.scan) is None
    assert found.lambda_c == found.place and found.as_dict()["units"]["lam"] == "V0 (factor on the moiré depth)"


def test_no_term_is_linear_in_the_phase() -> None:
    """Along φ nothing is said of slopes, and energies need not be concave."""
    one = from_dataset(scan("U", np.linspace(8.0, 12.0, 21), 1.02, 0))
    found = analyse(replace(one, axis=named("phase_deg")), resamples=100)
    assert found.place is not None and found.slope_jump is None and found.hellmann_feynman is None
    assert concavity(found.scan) is None and found.as_dict()["concavity"] is None
    assert "φ_c = " in found.evidence[0] and any(
        "No energy is proportional to φ" in sentence for sentence in found.evidence
    )
    assert not any("concave within" in sentence for sentence in found.evidence)


def test_two_phases_along_U() -> None:
    U = np.linspace(8.0, 12.0, 11)
    liquid, crystal = (from_dataset(scan("U", U, 1.02, 3, phase)) for phase in (0.0, 1.0))
    found = compare_phases(liquid, crystal)
    assert found.place is not None and abs(found.place.value - 9.6) < 4 * found.place.error < 1.0
    assert "dE/dU" in found.jumps and "U_c" in found.as_dict() and "energies cross at U_c" in found.evidence[0]
    with pytest.raises(RunError, match="along λ: scan alike"):
        compare_phases(replace(liquid, source="U.nc"), replace(crystal, axis=LAM, source="lam.nc"))


# The boundary


def test_the_boundary_of_first_order() -> None:
    """Places, curve, slopes and their identity, of energies whose boundary is known."""
    line = boundary(made_up(), resamples=100)
    assert len(line.found) == 5 and all(point.reason == "" for point in line.points)
    for point in line.found:
        assert point.place is not None and point.slope is not None
        assert abs(point.place.value - place(point.value)) < 3 * point.place.error < 0.1
        assert abs(point.slope.value + 0.05) < 4 * point.slope.error < 0.08
    assert line.curve is not None and line.reason == ""
    for U in U_GRID:
        assert abs(line.curve.at(U).value - place(U)) < 3 * line.curve.at(U).error
    check = line.clausius_clapeyron
    assert check is not None and check.dof == 4 and check.p_value > 0.01
    text = " ".join(line.evidence)
    assert "5 of 5 scans show a transition" in text and "Clausius–Clapeyron: the boundary agrees" in text


def test_clausius_clapeyron_is_calibrated() -> None:
    """Two-branch maps are cheap: the pulls of the slopes are standard normal, and the check holds at its nominal rate.

    60 pulls have a mean within 3/√60 of 0; of 12 checks none may have p < 0.001.
    """
    pulls = []
    for seed in range(12):
        line = boundary(made_up(seed, 0.0), made_up(seed + 100, 1.0), resamples=100)
        assert len(line.found) == 5 and line.clausius_clapeyron is not None
        assert line.clausius_clapeyron.p_value > 0.001
        pulls += [(p.slope.value + 0.05) / p.slope.error for p in line.found if p.slope is not None]
    assert len(pulls) == 60 and abs(np.mean(pulls)) < 3 / np.sqrt(60) and 0.5 < np.std(pulls) < 1.4


def test_a_boundary_that_breaks_the_identity_is_seen() -> None:
    """Jumps of the interaction energy that are three times too large for the boundary there is."""
    liquid, crystal = made_up(1, 0.0), made_up(2, 1.0)
    wrong = [
        data.assign(interaction=data["interaction"] - 2 * 0.05 * SLANT * value)
        for value, data in zip(crystal.values, crystal.datasets, strict=True)
    ]
    line = boundary(liquid, assembled(wrong, "U"), resamples=100)
    assert line.clausius_clapeyron is not None and line.clausius_clapeyron.p_value < 1e-4
    assert any("boundary does not agree" in sentence for sentence in line.evidence)


def test_the_integral_of_a_slope_is_the_curve() -> None:
    """Splines are exact for cubics: differences of x³ are the integrals of 3x², whatever the errors."""
    x = np.array([0.0, 0.7, 1.0, 2.0, 2.5])
    ones = np.ones(5)
    right = against_integral([(x, Curve(x**3, ones), Curve(3 * x**2, ones))])
    assert right is not None and right.dof == 4 and right.chi2 < 1e-12
    assert against_integral([]) is None


def test_smooth_maps_have_no_boundary() -> None:
    """One phase everywhere: of 20 scans at a nominal rate of 1% each, two would be a chance of 2%."""
    lines = [boundary(made_up(seed, 0.0), resamples=100) for seed in range(4)]
    assert sum(len(line.found) for line in lines) <= 1
    empty = next(line for line in lines if not line.found)
    assert empty.curve is None and empty.clausius_clapeyron is None
    assert empty.evidence[0] == "None of 5 scans shows a transition: no λ_c(U)."
    assert sum(sentence.startswith("No λ_c at U = ") for sentence in empty.evidence) == 5


def test_a_curve_needs_points_that_it_describes() -> None:
    """Three points have no curve; a step in the boundary is no polynomial."""
    line = boundary(made_up(0, 0.0), made_up(1, 1.0), resamples=100)
    few = boundary(replace_map(made_up(0, 0.0), slice(0, 3)), made_up(1, 1.0), resamples=100)
    assert line.curve is not None and few.curve is None and "3 points of it are known, 4 are needed" in few.reason
    kinked = [
        data.assign(energy=data["energy"] + SLANT * (0.2 if value == 10.0 else 0.0))
        for value, data in zip(U_GRID, made_up(1, 1.0).datasets, strict=True)
    ]
    broken = boundary(made_up(0, 0.0), assembled(kinked, "U"), resamples=100)
    assert len(broken.found) == 5 and broken.curve is None and "no polynomial up to degree 2" in broken.reason
    assert any("No curve is drawn through λ_c(U)" in sentence for sentence in broken.evidence)


def replace_map(scans: PhaseMap, part: slice) -> PhaseMap:
    return replace(scans, values=scans.values[part], datasets=scans.datasets[part], sources=scans.sources[part])


def test_slopes_that_the_jumps_do_not_give() -> None:
    liquid, crystal = (from_dataset(made_up(0, phase).datasets[2]) for phase in (0.0, 1.0))
    found = compare_phases(liquid, crystal)
    assert clausius_clapeyron(found, LAM, named("U"), 10.0) is not None
    assert clausius_clapeyron(found, LAM, named("phase_deg"), 10.0) is None
    assert clausius_clapeyron(found, LAM, named("U"), 0.0) is None


# Files


def write(folder: Path, scans: PhaseMap, config: str = "") -> Path:
    """The folder that ``qernel scan --over U`` writes."""
    names = [f"{scans.over.name}={value:.12g}" for value in scans.values]
    for name, data in zip(names, scans.datasets, strict=True):
        save(data.assign_attrs(config=config) if config else data, folder / name / "energies.nc")
    index = {"along": scans.along.name, "over": scans.over.name, "values": [*scans.values], "folders": names}
    (folder / "map.json").write_text(to_record(index))
    return folder


MATERIAL = "[system]\nelectrons = 6\nsupercell = [[3, 0], [0, 3]]\n[family]\nlam = [0.5, 1.5]\nU = [8.0, 12.0]\n"


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "map", replace_map(made_up(), slice(1, 5)), MATERIAL)
    line = ["transition", str(folder), "--resamples", "100"]
    assert main([*line, "--json", "--out", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    data = json.loads(out)
    assert err == "" and data == json.loads((tmp_path / "out" / "phase_map.json").read_text())
    assert (data["along"], data["over"]) == ("lam", "U") and [row["U"] for row in data["boundary"]] == [*U_GRID[1:]]
    row = data["boundary"][1]
    assert abs(row["lambda_c"]["value"] - 1.0) < 3 * row["lambda_c"]["error"]
    assert row["laboratory"]["U"] == "ε = 5.31" and row["laboratory"]["lambda_c"]["unit"] == "meV"
    assert row["laboratory"]["lambda_c"]["value"] == pytest.approx(15.0 * row["lambda_c"]["value"])
    assert data["curve"]["degree"] in (1, 2) and data["clausius_clapeyron"]["dof"] == 3
    assert (tmp_path / "out" / "phase_map.png").read_bytes().startswith(b"\x89PNG")
    # Scans with too few λ for a fit are drawn none the less.
    few = tuple(data.isel(lam=slice(8, 13)) for data in made_up().datasets[:2])
    small = write(tmp_path / "small", assembled(few, "U"))
    assert main(["plot", "phase_map", str(small), "--out", str(tmp_path / "figures"), "--format", "svg"]) == 0
    assert "order parameter" in (tmp_path / "figures" / "phase_map.svg").read_text("utf-8")
    for source, words in ((tmp_path / "out", data["evidence"][0]), (small / "map.json", "Map in small")):
        assert main(["report", str(source), "--out", str(tmp_path / "report.html")]) == 0
        assert typeset(words) in (tmp_path / "report.html").read_text(encoding="utf-8")
        (tmp_path / "report.html").unlink()


def test_two_branches_and_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = {phase: replace_map(made_up(7 + int(phase), phase), slice(0, 2)) for phase in (0.0, 1.0)}
    liquid, crystal = (write(tmp_path / str(phase), part, MATERIAL) for phase, part in parts.items())
    assert main(["transition", str(liquid), "--against", str(crystal), "--resamples", "100"]) == 0
    text = capsys.readouterr().out
    assert "\n".join(boundary(parts[0.0], parts[1.0], resamples=100).evidence[-3:]) in text  # the same numbers
    head, first, second = (line.split() for line in text.splitlines()[-3:])
    assert head[:5] == ["U", "ε", "λ_c", "depth", "(meV)"]
    assert (first[:2], second[:2]) == (["8", "6.64"], ["9", "5.9"]) and "2 of 2 scans show a transition" in text
    assert (
        "2 points of it are known, 4 are needed" in text and "In the laboratory, U = 8 is ε = 6.64: depth 16." in text
    )
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "map.json").write_text(to_record({"over": "U", "folders": ["../0.0"]}))
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "map.json").write_text(to_record({"over": "U", "folders": ["U=8"]}))
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "map.json").write_text("{}")
    for words, line in (
        ("is no folder beside it", [str(tmp_path / "bad")]),
        ("holds no energies.nc", [str(tmp_path / "gone")]),
        ("is no index of a map", [str(tmp_path / "none")]),
        ("compare a map with a map", [str(liquid), "--against", str(crystal / "U=8")]),
        ("compare a map with a map", [str(liquid / "U=8"), "--against", str(crystal)]),
        ("leave out --density", [str(liquid), "--density", str(liquid)]),
        ("the lower λ comes first", [str(liquid), "--between", "1", "0.5"]),
    ):
        assert main(["transition", *line]) == 2, words
        out, err = capsys.readouterr()
        assert out == "" and words in err and err.count("\n") == 1, err
    assert main(["plot", "phase_map", str(liquid), "--variable", "rain", "--out", str(tmp_path)]) == 2
    assert "has no rain: name another --variable" in capsys.readouterr().err


def test_one_scan_that_cannot_be_fitted_is_a_point_without_a_place() -> None:
    scans = made_up(0, 0.0)
    short = [*scans.datasets[:4], scans.datasets[4].isel(lam=slice(0, 5))]
    line = boundary(assembled(short, "U"), made_up(1, 1.0), resamples=100)
    assert len(line.found) == 4 and "has 5 values of λ to fit" in line.points[4].reason


def test_maps_that_are_none() -> None:
    with pytest.raises(RunError, match="two scans at the same U"):
        assembled([made_up().datasets[0]] * 2, "U")
    with pytest.raises(RunError, match="holds no scan"):
        assembled([], "U")
    with pytest.raises(RunError, match="at which phase_deg it was measured"):
        assembled([made_up().datasets[0]], "phase_deg")
    with pytest.raises(RunError, match="scans along U and lam"):
        assembled([made_up().datasets[0], scan("U", U_GRID, 1.0, 0)], "U")


def test_the_figure_shows_the_numbers() -> None:
    scans = made_up()
    line = boundary(scans, resamples=100)
    figure = phase_map(scans, line)
    axes = figure.axes[0]
    rows = [mesh for mesh in axes.collections if isinstance(mesh, QuadMesh)]
    shown = np.array([np.ravel(mesh.get_array()) for mesh in rows], float)  # type: ignore[arg-type]
    np.testing.assert_allclose(shown, [data["order_parameter"].values for data in scans.datasets])
    drawn = axes.containers[0].lines[0]
    places = [point.place.value for point in line.found if point.place is not None]
    np.testing.assert_allclose(np.asarray(drawn.get_xdata(), float), places)
    np.testing.assert_allclose(np.asarray(drawn.get_ydata(), float), U_GRID)
    assert "lambda" in axes.get_xlabel() and "$U$" in axes.get_ylabel()
    # Of two maps the difference of their energies, where both have one.
    other = made_up(1, 1.0)
    shorter = assembled([data.isel(lam=slice(1, None)) for data in other.datasets[1:]], "U")
    both = phase_map(scans, boundary(scans, shorter, resamples=100))
    meshes = [mesh for mesh in both.axes[0].collections if isinstance(mesh, QuadMesh)]
    found = np.array([np.ravel(np.ma.filled(mesh.get_array(), np.nan)) for mesh in meshes], float)  # type: ignore[arg-type]
    expected = [b["energy"].values - a["energy"].values for a, b in zip(scans.datasets, other.datasets, strict=True)]
    np.testing.assert_allclose(found[1:, 1:], np.array(expected)[1:, 1:])
    assert np.isnan(found[0]).all() and np.isnan(found[1:, 0]).all() and "second $-$ first" in both.axes[1].get_ylabel()
    figure.draw_without_rendering()
    assert phase_map(scans, variable="interaction").axes[1].get_ylabel().startswith("interaction")
    with pytest.raises(QernelError, match="name another --variable"):
        phase_map(scans, variable="density")
