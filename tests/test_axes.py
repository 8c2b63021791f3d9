"""Results draw themselves into the axes they are given, and say of what model they are and at which λ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import qernel
from figure_data import dataset
from qernel.errors import QernelError
from qernel.plots.kinds import KINDS, plot
from qernel.plots.of_points import Panel

DATA = dataset().assign_attrs(model="n6")
PANELS = [kind for kind, about in KINDS.items() if isinstance(about.draw, Panel)]


def hartree_fock() -> Any:
    return qernel.hartree_fock("n2", [0.6, 0.9], cutoff=60.0)


@pytest.fixture(scope="module")
def solved() -> Any:
    return hartree_fock()


@pytest.fixture(scope="module")
def found() -> Any:
    return qernel.transition("studies/n6/demo", resamples=100)


@pytest.mark.parametrize("kind", PANELS)
def test_a_kind_with_one_panel_is_drawn_into_given_axes(kind: str) -> None:
    ax = Figure().add_subplot()
    data = DATA.isel(lam=[1])
    assert plot(data, kind, ax=ax) is ax
    assert ax.get_title() == "n6: $\\lambda = 1$" and ax.get_xlabel() and ax.get_ylabel()
    own = plot(data, kind)
    assert isinstance(own, Axes) and own.get_title() == ax.get_title()
    assert own._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_what_is_drawn_without_a_name() -> None:
    assert plot(DATA.isel(lam=0)[["density", "density_error"]]).get_title() == "n6: $\\lambda = 0.4$"
    ax = plot(DATA, variable="order_parameter")
    assert ax.get_title() == "n6: 6 electrons on 9 moiré cells"
    np.testing.assert_allclose(ax.lines[0].get_ydata(), DATA["order_parameter"].values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: plot(DATA, "density"), r"shows one λ and there are 3: choose one, for instance data.isel\(lam=0\)"),
        (lambda: plot(DATA, "phase_diagram"), "several panels"),
        (lambda: plot(DATA, "densty"), "there is no figure densty"),
        (lambda: plot(DATA, variable="energi"), "cannot draw energi"),
        (lambda: plot(DATA[["energy"]]), "name a single number"),
        (lambda: plot(DATA[["energy"]], "density"), "density needs density"),
    ],
)
def test_what_cannot_be_drawn(ask: Callable[[], Axes], words: str) -> None:
    with pytest.raises(QernelError, match=words):
        ask()


def test_untrained_values_are_grey() -> None:
    """1.4 lies beyond the training of these data, whose λ end at 1.2."""
    inside, beyond = plot(DATA.isel(lam=[0, 1]), variable="energy"), plot(DATA, variable="energy")
    assert not inside.patches and len(beyond.patches) == 1
    assert beyond.patches[0].get_x() == pytest.approx(1.2)  # type: ignore[attr-defined]


@pytest.mark.parametrize("variable", ["energy", "excess", "order_parameter"])
def test_hartree_fock_branches(variable: str, solved: Any) -> None:
    ax = Figure().add_subplot()
    assert solved.plot(variable, ax=ax) is ax and ax.get_title() == "Hartree–Fock, 2 electrons on 3 moiré cells"
    drawn = {line.get_label(): line.get_ydata() for line in ax.lines}
    values = solved.dataset["energy" if variable == "excess" else variable]
    lowest = values.min("branch").values if variable == "excess" else 0.0
    np.testing.assert_allclose(drawn["moiré symmetry imposed"], values.sel(branch="symmetric").values - lowest)
    with pytest.raises(QernelError, match="choose from energy, excess, order_parameter"):
        solved.plot("kinetic")


def test_a_hartree_fock_density_says_its_lam(solved: Any) -> None:
    data = solved.density(0.9)
    best = solved.solutions[1]
    np.testing.assert_array_equal(data["density"], best.field.density(best.orbitals))
    corner = np.array([data["ax"][0, 1], data["ay"][0, 1]])
    np.testing.assert_allclose(corner, best.field.hamiltonian.supercell.vectors[1] / data.sizes["a2"])
    assert qernel.plot(data).get_title() == f"Hartree–Fock, {best.order.label}: $\\lambda = 0.9$"
    symmetric = solved.density(0.6, branch="symmetric")
    assert float(symmetric["lam"]) == 0.6 and symmetric["density"].shape == data["density"].shape
    for options, words in (
        ({}, "there are 2 values"),
        ({"value": 0.7}, "nothing at"),
        ({"value": 0.6, "branch": "x"}, "no x"),
    ):
        with pytest.raises(QernelError, match=words):
            solved.density(**options)


def test_a_transition_has_chi2_beside_its_fits(found: Any) -> None:
    ax = Figure().add_subplot()
    assert found.plot(ax=ax) is ax
    assert ax.get_title() == f"model: $\\lambda_c = {found.lambda_c!r}$"
    legend = [text.get_text() for text in ax.get_legend().get_texts()]  # type: ignore[union-attr]
    fits = [f"$\\chi^2$/dof = {one.chi2:.1f}/{one.dof}" for one in (found.chosen, found.smooth)]
    assert all(text.endswith(fit) for text, fit in zip(legend, fits, strict=True))
