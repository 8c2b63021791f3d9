"""What the figures contain; that they are reproducible and leave global state alone."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qernel import plots
from qernel.lattice import Supercell
from qernel.plots.comparison import accuracy_curves
from qernel.plots.of_models import in_words

LAM = np.array([1.0, 0.4, 0.2, 1.6, 1.8, 0.7])


def diagram(**options: Any) -> Any:
    energy, interaction = -17.0 - 2.0 * LAM, 11.0 - LAM
    return plots.phase_diagram(LAM, energy, 0.01 + 0 * LAM, interaction, 0.02 + 0 * LAM, **options)


def points(axes: Any) -> list[tuple[Any, int]]:
    """(face colour, number of points) of each set of error bars."""
    return [(bars.lines[0].get_markerfacecolor(), len(bars.lines[0].get_xdata())) for bars in axes.containers]


def metrics(depths: np.ndarray) -> dict[str, np.ndarray]:
    step, lam = (grid.ravel() for grid in np.meshgrid(np.arange(0, 100, 10), depths, indexing="ij"))
    energy = -17.0 - 2.0 * lam + 50.0 * np.exp(-step / 5.0)
    return {
        "step": step,
        "lam": lam,
        "energy": energy,
        "error": np.full(step.shape, 0.02),
        "deviation": np.full(step.shape, 0.3),
        "order_parameter": 0.1 * lam,
    }


def test_phase_diagram_content() -> None:
    fig = diagram(trained_range=(0.3, 1.6), energy_unit_meV=3.375559, title="nine")
    upper, lower = fig.axes
    assert upper.get_title() == "nine"
    assert "energy per electron" in upper.get_ylabel() and "E_0" in upper.get_ylabel()
    assert "interaction" in lower.get_ylabel() and "E_0" in lower.get_ylabel()
    assert "lambda" in lower.get_xlabel() and "V_0" in lower.get_xlabel()
    for axes in (upper, lower):
        (full, trained), (open_, extrapolated) = points(axes)
        assert (trained, extrapolated) == (4, 2)  # 1.6 itself belongs to the range
        assert open_ == "white" != full
        (right,) = axes.child_axes
        assert "meV" in right.get_ylabel()
        spans = [p for p in axes.patches if p.get_facecolor()[:3] == pytest.approx((0.925,) * 3, abs=0.01)]
        assert len(spans) == 2
    fig.draw_without_rendering()
    low, high = upper.get_ylim()
    assert upper.child_axes[0].get_ylim() == pytest.approx((low * 3.375559, high * 3.375559))
    # The curve is sorted by λ, with its energies along.
    line = upper.lines[0]
    np.testing.assert_allclose(line.get_xdata(), np.sort(LAM))
    np.testing.assert_allclose(line.get_ydata(), -17.0 - 2.0 * np.sort(LAM))


def test_phase_diagram_without_options() -> None:
    upper, lower = diagram().axes
    assert [n for _, n in points(upper)] == [6]
    assert not upper.child_axes and not upper.patches and lower.get_legend() is None
    # A range that holds every point shades nothing.
    assert not diagram(trained_range=(0.2, 1.8)).axes[0].patches


def test_phase_diagram_errors() -> None:
    with pytest.raises(ValueError, match="shape"):
        plots.phase_diagram(LAM, LAM[:3], LAM, LAM, LAM)
    with pytest.raises(ValueError, match="lowest"):
        diagram(trained_range=(1.6, 0.3))


def test_training_curves_on_a_grid() -> None:
    """What is left of the energies is 50 exp(−step/5) less what its mean still is at the end, whatever λ is."""
    fig = plots.training_curves(metrics(np.linspace(0.4, 1.6, 4)), electrons=6, title="mine")
    energy, variance, order, bar = fig.axes
    *lines, mean, zero = energy.lines
    assert len(lines) == len(order.lines) - 1 == 4 and energy.get_title() == "mine"
    left = 50.0 * np.exp(-np.arange(0, 100, 10) / 5.0)
    for line in (*lines, mean):
        np.testing.assert_allclose(line.get_ydata(), left, atol=1e-4)
    assert len({tuple(line.get_color()) for line in lines}) == 4 and list(zero.get_ydata()) == [0.0, 0.0]  # type: ignore[arg-type]
    np.testing.assert_allclose(variance.lines[0].get_ydata(), 6 * 0.3**2)  # type: ignore[arg-type]
    assert variance.get_yscale() == "log" and "N$" in variance.get_ylabel() and "E_0^2" in variance.get_ylabel()
    assert "bar{E}" in energy.get_ylabel() and "E_0" in energy.get_ylabel()
    assert "order parameter" in order.get_ylabel() and "step" in order.get_xlabel()
    assert "lambda" in bar.get_ylabel()
    assert energy.get_ylim()[1] < 1.0  # the last three quarters, not the start at +50


def test_training_curves_of_random_depths() -> None:
    table = metrics(np.random.default_rng(0).uniform(0.3, 1.6, 30))
    del table["order_parameter"], table["deviation"]
    energy, _ = plots.training_curves(table).axes
    assert len(energy.lines) == 2  # the mean, and zero
    offsets = np.asarray(energy.collections[0].get_offsets())
    assert len(offsets) == 300 and np.abs(offsets[offsets[:, 0] >= 70, 1]).max() < 1e-3


def test_training_curves_of_two_parameters() -> None:
    """Ē knows of every parameter of the family, and a curved E(λ, U) leaves nothing."""
    rng = np.random.default_rng(1)
    lam, U = rng.uniform(0.3, 1.6, 400), rng.uniform(6.0, 10.0, 400)
    table = {"step": np.repeat(np.arange(40), 10), "lam": lam, "U": U, "error": np.full(400, 0.01)}
    energy = plots.training_curves(table | {"energy": -2.0 * lam - U + 0.3 * lam * U - lam**2}).axes[0]
    assert np.abs(np.asarray(energy.collections[0].get_offsets())[:, 1]).max() < 1e-9


def test_training_curves_accept_a_data_frame_and_one_row() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(metrics(np.array([1.0])))
    assert len(plots.training_curves(frame).axes[0].lines) == 3
    plots.training_curves(frame.head(1)).draw_without_rendering()
    with pytest.raises(ValueError, match="lacks the columns lam, error"):
        plots.training_curves(frame[["step", "energy"]])


def test_series_of_models_are_named_in_words() -> None:
    assert in_words("qernel") == "qernel"
    assert in_words("psiformer (film = false, kv_heads = 2, orbitals = bloch)") == (
        "psiformer with 2 heads of keys and values, Bloch orbitals, without FiLM layers"
    )


@pytest.mark.parametrize(
    "cell",
    [
        Supercell(((1, 1), (-1, 2))),
        Supercell(((3, 0), (0, 3))),
        Supercell(((2, 0), (0, 3)), "square"),
        Supercell(((2, 0), (0, 1)), ((1.2, 0.0), (1.2, 0.8))),
    ],
)
def test_density_map_content(cell: Supercell) -> None:
    """A wave along B_1 is drawn at the right place, whatever the shape of the cell."""
    n = 32
    grid = np.stack(np.meshgrid(np.arange(n) / n, np.arange(n) / n, indexing="ij"), axis=-1)
    wave = cell.reciprocal[0] + 2 * cell.reciprocal[1]
    fig = plots.density_map(1.0 + 0.5 * np.cos(grid @ cell.vectors @ wave), cell.vectors, cell.primitive)
    (axes,) = fig.axes
    (bar,) = axes.child_axes
    (image,) = axes.images
    left, right, bottom, top = image.get_extent()
    values = np.asarray(image.get_array())
    rows, columns = values.shape
    x = left + (right - left) * (np.arange(columns) + 0.5) / columns
    y = bottom + (top - bottom) * (np.arange(rows) + 0.5) / rows
    expected = 1.0 + 0.5 * np.cos(np.stack(np.meshgrid(x, y), axis=-1) @ wave)
    # Linear interpolation: an eighth of the step squared times the curvature, in both directions.
    assert np.abs(values - expected).max() < 0.5 * (2 * np.pi / n) ** 2 * (1 + 2) ** 2 / 8
    assert image.get_clim()[0] == 0.0
    assert axes.get_xlabel() == "$x$  ($a_M$)" and axes.get_ylabel() == "$y$  ($a_M$)"
    assert bar.get_ylabel() == "density  (electrons per $a_M^2$)"
    # The outline has the area of the supercell, and each moiré cell that of a moiré cell.
    assert area(axes.patches[-1].get_xy()) == pytest.approx(cell.area)
    cells = axes.collections[0].get_segments()
    assert len(cells) >= cell.cells
    assert all(area(outline) == pytest.approx(cell.area / cell.cells) for outline in cells)


def area(outline: np.ndarray) -> float:
    """Area of a closed polygon whose last point repeats the first."""
    x, y = np.asarray(outline).T
    return 0.5 * abs(float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])))


def test_density_map_errors() -> None:
    with pytest.raises(ValueError, match=r"\[nx, ny\]"):
        plots.density_map(np.zeros(4), np.eye(2), np.eye(2))
    with pytest.raises(ValueError, match="primitive has shape"):
        plots.density_map(np.zeros((4, 4)), np.eye(2), np.eye(3))


def test_saved_files_are_reproducible(tmp_path: Path) -> None:
    assert len(plots.save(diagram(), tmp_path / "default")) == 2
    formats = ("png", "pdf", "svg")
    first = plots.save(diagram(trained_range=(0.3, 1.6)), tmp_path / "new" / "lam-1.05", formats)
    second = plots.save(diagram(trained_range=(0.3, 1.6)), str(tmp_path / "again"), formats)
    assert [path.name for path in first] == ["lam-1.05.png", "lam-1.05.pdf", "lam-1.05.svg"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert first[0].read_bytes().startswith(b"\x89PNG") and b"Software" not in first[0].read_bytes()
    assert first[1].read_bytes().startswith(b"%PDF") and b"CreationDate" not in first[1].read_bytes()
    vector = first[2].read_text(encoding="utf-8")
    assert "<svg" in vector and "interaction energy" in vector and "dc:date" not in vector  # text stays text


def test_figures_show_themselves_in_notebooks() -> None:
    assert diagram()._repr_png_().startswith(b"\x89PNG")


def test_style_is_ours_and_global_state_is_not_touched() -> None:
    code = """
import sys
from qernel import plots
from qernel.plots.of_models import in_words
assert "matplotlib" not in sys.modules, "importing must be cheap"
import matplotlib
matplotlib.rcParams["font.size"] = 20.0
settings = [key for key in matplotlib.rcParams if key != "backend"]  # reading that one imports pyplot
before = [matplotlib.rcParams[key] for key in settings]
fig = plots.phase_diagram([0.5, 1.0], [1, 2], [0.1, 0.1], [3, 4], [0.1, 0.1])
assert fig.axes[0].yaxis.label.get_fontsize() == 9.0
assert [matplotlib.rcParams[key] for key in settings] == before
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_one_model_has_an_axis_around_it() -> None:
    figure = accuracy_curves([("a", [16799.0], [0.037], [0.015])], xlabel="parameters", ylabel="energy")
    low, high = figure.axes[0].get_xlim()
    assert low < 0.9 * 16799 < 1.1 * 16799 < high
