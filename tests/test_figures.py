"""Figures from stored data: what they show of it, and the command that draws them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from figure_data import CELL, dataset
from qernel.cli import main
from qernel.errors import QernelError
from qernel.plots.curves import draw_curves
from qernel.plots.kinds import KINDS, draw
from qernel.sampling.moves import MOVES
from qernel.storage import save
from qernel.training.metrics import MetricsFile
from qernel.training.step import StepInfo

DATA = dataset()


# Comparisons have files of their own: `test_compare_cli` and `test_interpolation` draw them.
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("accuracy", "interpolation")])
def test_every_kind_is_drawn_from_its_file(kind: str) -> None:
    figures = draw(kind, DATA)
    expected = {"": 1, "lam0.4": 1, "lam1": 1, "lam1.4": 1, "gain": 1, "up": 1, "down": 1}
    assert figures and set(figures) <= set(expected)
    for figure in figures.values():
        figure.draw_without_rendering()
    # One λ without an axis, as `state.observe` gives it, makes one figure (for n(k), one for each spin).
    single = draw(kind, DATA.isel(lam=1))
    assert set(single) == ({"up", "down"} if kind == "momentum_distribution" else {""})


def test_curves_hold_the_numbers_sorted() -> None:
    figure = draw("momentum_distribution", DATA)["down"]
    axes = figure.axes[0]
    assert len(axes.containers) == 3
    for index, bars in enumerate(axes.containers):
        line = bars.lines[0]
        np.testing.assert_allclose(line.get_xdata(), np.arange(6))
        np.testing.assert_allclose(line.get_ydata(), DATA["momentum_distribution"].values[index, 1, ::-1])
        heights = [segment[:, 1] for segment in bars.lines[2][0].get_segments()]
        half = 0.5 * np.ptp(heights, axis=1)
        np.testing.assert_allclose(half, DATA["momentum_distribution_error"].values[index, 1, ::-1])
    assert "lambda" in figure.axes[1].get_ylabel()
    with pytest.raises(ValueError, match="expected"):
        draw_curves(axes, np.arange(3), [1.0], np.zeros(4), np.zeros(4), xlabel="", ylabel="")


def test_maps_sit_where_the_grid_says() -> None:
    """A density that peaks in one part of the grid is drawn with its peak in the middle of that part."""
    peak = np.zeros((8, 8))
    peak[3, 5] = 1.0
    for name, kind, origin in (("density", "density", 0.0), ("pair_correlation_map", "pair_correlation_map", -0.5)):
        axes = draw(kind, DATA.isel(lam=0).assign({name: (DATA[name].dims[1:], peak)}))[""].axes[0]
        (image,) = axes.images
        values = np.asarray(image.get_array())
        left, right, bottom, top = image.get_extent()
        row, column = np.unravel_index(np.argmax(values), values.shape)
        x = left + (column + 0.5) / values.shape[1] * (right - left)
        y = bottom + (row + 0.5) / values.shape[0] * (top - bottom)
        fractions = np.array([x, y]) @ np.linalg.inv(CELL.vectors) - (origin + (np.array([3, 5]) + 0.5) / 8)
        np.testing.assert_allclose(fractions, np.round(fractions), atol=0.01)


def test_structure_factor_map_fills_the_plane() -> None:
    axes = draw("structure_factor_map", DATA)["lam1"].axes[0]
    tiles, zones = axes.collections
    q = np.stack([DATA["qx"].values, DATA["qy"].values], axis=-1)
    assert len(tiles.get_paths()) == 2 * len(q)
    # The last vertex closes the polygon, twice: once ours, once Matplotlib's.
    centres = np.array([np.unique(np.round(path.vertices, 9), axis=0).mean(0) for path in tiles.get_paths()])
    np.testing.assert_allclose(centres, np.concatenate([q, -q]), atol=1e-6)
    np.testing.assert_allclose(tiles.get_array(), np.tile(DATA["structure_factor"].values[1], 2))
    x, y = zones.get_segments()[0].T
    area = 0.5 * abs(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))
    assert area == pytest.approx((2 * np.pi) ** 2 / (CELL.area / 9))


def test_phase_diagram_from_a_file() -> None:
    upper, lower = draw("phase_diagram", DATA)[""].axes
    np.testing.assert_allclose(upper.lines[0].get_ydata(), DATA["energy"].values)
    assert upper.get_title() == "6 electrons on 9 moiré cells"
    assert "meV" in lower.child_axes[0].get_ylabel()
    assert [bars.lines[0].get_markerfacecolor() for bars in lower.containers][1] == "white"  # 1.4 is extrapolated


def test_files_along_another_parameter() -> None:
    """Axes, titles, names of figures, trained range and what is extrapolated are those of U; the λ is in the title."""
    data = DATA.rename(lam="U").assign_coords(lam=1.0).assign_attrs(trained_U=[0.3, 1.2], trained_gaps=[0.5, 0.7])
    upper, lower = draw("phase_diagram", data)[""].axes
    assert lower.get_xlabel() == "interaction strength  $U$  ($E_0$ $a_M$)"
    assert upper.get_title() == "6 electrons on 9 moiré cells, $\\lambda = 1$"
    np.testing.assert_allclose(upper.lines[0].get_xdata(), DATA["lam"].values)
    assert [len(bars.lines[0].get_xdata()) for bars in lower.containers] == [2, 1]  # 1.4 is extrapolated
    assert len([patch for patch in lower.patches if patch.get_alpha() is None]) == 1  # gaps are of λ
    assert draw("versus_lam", data, "order_parameter")[""].axes[0].get_xlabel() == lower.get_xlabel()
    maps = draw("density", data.isel(U=[0, 2]))
    assert set(maps) == {"U0.4", "U1.4"} and maps["U1.4"].axes[0].get_title() == "$U = 1.4$, $\\lambda = 1$"
    assert draw("structure_factor", data)[""].axes[1].get_ylabel() == lower.get_xlabel()
    assert draw("routing", data)[""].axes[-1].get_xlabel() == lower.get_xlabel()


def test_a_single_number_against_lam() -> None:
    axes = draw("versus_lam", DATA, "order_parameter")[""].axes[0]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), DATA["order_parameter"].values)
    assert axes.get_ylabel() == "order parameter  $\\langle|\\rho_K|^2\\rangle$"
    with pytest.raises(QernelError, match="single numbers in the file are energy, interaction, order_parameter"):
        draw("versus_lam", DATA, "density")
    with pytest.raises(QernelError, match="needs --variable"):
        draw("versus_lam", DATA)
    with pytest.raises(QernelError, match="density needs density, and the file has energy"):
        draw("density", DATA[["energy"]])


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = save(DATA.isel(lam=[0, 2]), tmp_path / "observables.nc")
    assert main(["plot", "density", str(file)]) == 0
    assert (tmp_path / "density-lam1.4.png").read_bytes().startswith(b"\x89PNG")
    line = ["plot", "versus_lam", str(file), "--variable", "energy", "--out", str(tmp_path / "figures")]
    assert main(line) == 0
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"energy.png", "energy.pdf"}
    assert main([*line, "--format", "svg"]) == 0
    assert (tmp_path / "figures" / "energy.svg").exists()
    capsys.readouterr()
    for line, words in (
        (["density", str(file)], "density-lam0.4.png already exists"),
        (["density", str(file), "--variable", "energy"], "--variable is for versus_lam"),
        (["density", str(tmp_path / "none.nc")], "does not exist"),
        (["convergence", str(tmp_path)], "metrics.csv does not exist"),
        (["convergence", str(file)], "is no table of numbers"),
    ):
        assert main(["plot", *line]) == 2
        err = capsys.readouterr().err
        assert words in err and err.count("\n") == 1


def test_convergence_of_what_training_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    metrics = MetricsFile(tmp_path / "metrics.csv", ("lam",), 0)
    column = np.linspace(1.0, 2.0, 3)
    columns = dict.fromkeys(StepInfo._fields, column)
    columns["other_acceptance"] = {kind.name: column for kind in MOVES}  # type: ignore[assignment]
    for iteration in (10, 20, 30):
        info = StepInfo(**(columns | {"point": np.array([[0.4], [0.8], [1.2]])}))  # type: ignore[arg-type]
        metrics.append(iteration, info)
    metrics.close()
    with (tmp_path / "metrics.csv").open("a") as handle:
        handle.write("40,0,0.4")  # a run that was killed while writing
    assert main(["plot", "convergence", str(tmp_path)]) == 0
    assert (tmp_path / "convergence.pdf").exists()
