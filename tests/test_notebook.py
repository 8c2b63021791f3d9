"""What a notebook sees: observables with signatures, chains as a tree, short representations that hold the numbers."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from html.parser import HTMLParser
from typing import Any, ClassVar

import numpy as np
import pytest

import qernel
from qernel.estimators.statistics import summarise
from qernel.measure import Model, State
from qernel.observables import Observable, register, registry
from qernel.observables.base import Samples, Variable
from qernel.text import html_facts, html_table, typeset
from qernel.training.run import initial_wavefunction
from runs import TINY

FEW: dict[str, Any] = {"samples": 6, "walkers": 8, "seed": 3}


@pytest.fixture(scope="module")
def model() -> Model:
    """Two electrons whose wavefunction is a determinant: nothing is trained, and little compiled."""
    config = qernel.load_config(TINY | {"model": {"ansatz": "slater"}})
    return Model("tiny", config, initial_wavefunction(config))


@pytest.fixture(scope="module")
def state(model: Model) -> State:
    return model.at(0.7)


@pytest.mark.parametrize("name", [name for name in registry.names() if name != "energy"])
def test_observables_have_signatures_and_documentation(name: str, state: State) -> None:
    asked, kind = getattr(state, name), registry.find(name)
    signature = inspect.signature(asked)
    assert asked.__name__ == name and name in dir(state)
    own = {field.name: field.default for field in fields(kind)}  # type: ignore[arg-type]
    given = {key: parameter.default for key, parameter in signature.parameters.items()}
    assert given == own | {"samples": None, "walkers": None, "seed": None, "progress": None}
    text = inspect.getdoc(asked)
    assert text is not None and text.startswith((inspect.getdoc(kind) or kind.summary).splitlines()[0])
    arguments = text.partition("Args:")[2]
    assert all(f"{key}:" in arguments for key in given) and "Attributes:" not in text and "Returns:" in text


def test_help_shows_the_options(state: State, capsys: pytest.CaptureFixture[str]) -> None:
    help(state.structure_factor)
    shown = capsys.readouterr().out
    assert "structure_factor(*, cutoff" in shown.replace("\n    ", "") and "longest |q|" in shown


def test_registered_observables_are_methods_too(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})

    @register
    @dataclass(frozen=True)
    class Middle(Observable):
        """Where the electrons are on average."""

        shift: float = 0.5
        name: ClassVar[str] = "middle"
        summary: ClassVar[str] = "mean"

        def measure(self, samples: Samples) -> list[Variable]:
            raise NotImplementedError

    assert str(inspect.signature(state.middle)).startswith("(*, shift: 'float' = 0.5, samples")
    assert "middle" in dir(state) and "on average" in (state.middle.__doc__ or "")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = state.nothing


def test_a_density_is_a_data_set_like_every_observable(state: State) -> None:
    data = state.density(grid=8, **FEW)
    area = abs(np.linalg.det(state.model.hamiltonian.supercell.vectors))
    assert float(data["density"].mean()) * area == pytest.approx(2.0, abs=1e-12)
    assert data["density"].dims == ("a1", "a2") and data["density_error"].shape == (8, 8)
    assert data["density"].attrs["units"] == "1/a_M^2" and {"ax", "ay"} <= set(data.coords)
    same = state.observe("density", **FEW)["density"]
    assert same.shape == (48, 48) and float(same.mean()) == pytest.approx(float(data["density"].mean()))


def test_chains_are_those_of_the_energies(state: State) -> None:
    tree, energies = state.chains(**FEW), state.energy(**FEW)
    assert set(tree.children) == {"posterior", "sample_stats"}
    drawn = tree["posterior"].to_dataset()
    assert dict(drawn.sizes) == {"chain": 8, "draw": 6} and drawn["chain"].dtype.kind == "i"
    for name in ("energy", "kinetic", "moire", "interaction", "order_parameter"):
        one, quantity = summarise(drawn[name].values), getattr(energies, name)
        assert one.mean == pytest.approx(quantity.value, rel=1e-12) and one.error == pytest.approx(quantity.error)
    np.testing.assert_allclose(drawn["energy"], drawn["kinetic"] + drawn["moire"] + drawn["interaction"])
    accepted = tree["sample_stats"]["acceptance_rate"]
    assert accepted.dims == ("chain", "draw") and float(accepted.mean()) == pytest.approx(energies.acceptance)
    assert drawn.attrs["lam"] == 0.7 and drawn.attrs["seed"] == 3 and drawn.attrs["model"] == "tiny"


def test_the_statistics_of_arviz_read_the_tree(state: State) -> None:
    """Their R̂ of the energies is the one that Qernel prints."""
    from arviz_stats.base import array_stats

    found = array_stats.rhat(state.chains(**FEW)["posterior"]["energy"].values, chain_axis=0, draw_axis=1)
    assert float(found) == pytest.approx(state.energy(**FEW).rhat)


class Well(HTMLParser):
    """Every element that is opened is closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


SHOWN: dict[str, tuple[Callable[[Model], Any], str]] = {
    "config": (lambda model: model.config, "2 electrons on 3 moiré cells"),
    "model": (lambda model: model, "trained on"),
    "state": (lambda model: model.at(0.7), "λ = 0.7"),
    "energies": (lambda model: model.at(0.7).energy(**FEW), "kinetic"),
    "scan": (lambda model: model.scan([0.6, 0.8], **FEW), "<td>0.6</td>"),
    "hartree_fock": (lambda model: qernel.hartree_fock(model, [0.6, 0.8], cutoff=30.0), "<td>0.6</td>"),
    "quantity": (lambda model: model.at(0.7).energy(**FEW).energy, "<sub>0</sub>"),
    "diagnoses": (lambda model: model.diagnose(0.7, groups=["pair"], **FEW), "R²"),
}


@pytest.mark.filterwarnings("ignore::qernel.errors.QernelWarning")  # of doubtful error bars
@pytest.mark.parametrize("name", SHOWN)
def test_representations_are_short_and_html(name: str, model: Model) -> None:
    make, words = SHOWN[name]
    shown = make(model)
    assert len(repr(shown)) < 300 and "\n" not in repr(shown) and "object at" not in repr(shown)
    text = shown._repr_html_()
    Well(text)
    assert words in text and not re.search(r"\bnan\b", text)


def test_findings_show_their_verdict() -> None:
    found: Any = qernel.transition("studies/n6/demo", resamples=100)
    assert repr(found).startswith("Transition('The interaction energy per electron has a ") and len(repr(found)) < 300
    text = found._repr_html_()
    Well(text)
    assert re.match(r"<p><b>The interaction energy .* at λ<sub>c</sub> = 1\.\d+\(\d+\)", text)
    assert text.count("<li>") == len(found.evidence) - 1


def test_units_and_signs_are_printed() -> None:
    minus = "\N{MINUS SIGN}"
    energy = f"{minus}17.6(3) <i>E</i><sub>0</sub> = {minus}59 meV, 1/<i>a</i><sub>M</sub><sup>2</sup>"
    assert typeset("-17.6(3) E0 = -59 meV, 1/a_M^2") == energy
    symbols = "<i>V</i><sub>0</sub>, U0.5, E01, a-1, |ρ<sub>K</sub>|², λ<sub>c</sub>"
    assert typeset("V0, U0.5, E01, a-1, |ρ_K|², λ_c") == symbols
    assert typeset("3.2e-05 2.1(3)e+06 <b>") == f"3.2·10<sup>{minus}5</sup> 2.1(3)·10<sup>6</sup> &lt;b&gt;"
    Well(html_table([["a<b", "x"], ["1", "-2"]], "c&d"))
    assert html_facts("", [("k", "<")]) == "<table><tbody><tr><th>k</th><td>&lt;</td></tr></tbody></table>"
