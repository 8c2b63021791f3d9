"""Reports: self-contained, complete, and nothing in them that a browser would fetch."""

from __future__ import annotations

import base64
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import test_transition as transition
from figure_data import dataset
from qernel.cli import main
from qernel.estimators.quantity import parenthesis
from qernel.plots.convergence import settling
from qernel.storage import save
from qernel.text import typeset

METRICS = """\
iteration,group,lam,energy,error,order_parameter,acceptance,bad_walkers
10,0,0.4,-13.2,0.05,0.03,0.5,0
10,1,1.2,-19.1,0.05,0.05,0.5,0
20,0,0.4,-14.05,0.02,0.04,0.51,0
20,1,1.2,-19.41,0.02,0.12,0.49,3
"""

VOID = {"meta", "img", "link", "br", "hr", "input"}


class Page(HTMLParser):
    """Elements, attributes and text of a page; fails where a tag is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def letters(page: Page) -> str:
    """Everything that is read, without the spaces that elements are apart by."""
    return "".join("".join(page.texts).split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("report") / "run"
    run.mkdir()
    (run / "metrics.csv").write_text(METRICS)
    (run / "config.toml").write_text("name = '<b>mine</b> & more'\n")
    data = dataset().assign_attrs(config="[system]\n", model="<script>alert(1)</script>", seed=7)
    data["energy_rhat"] = ("lam", [1.001, 1.2, 1.01])
    save(data, run / "scan" / "energies.nc")
    assert main(["report", str(run)]) == 0
    return run


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_nothing_is_fetched(folder: Path, page: Page) -> None:
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "link", "iframe", "object", "embed", "base", "form"})
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            if name in ("src", "href", "srcset", "poster", "data", "action", "background"):
                assert value is not None and value.startswith("#" if tag == "a" else "data:image/png;base64,")
            assert not name.startswith("on")
    text = (folder / "report.html").read_text(encoding="utf-8")
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style and "@import" not in style
    policy = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_links_inside_lead_somewhere(page: Page) -> None:
    targets = {f"#{attributes['id']}" for _, attributes in page.elements if "id" in attributes}
    assert {anchor["href"] for anchor in page.all("a")} == targets and len(targets) == 3


def test_figures_are_embedded(page: Page) -> None:
    images = page.all("img")
    # Training; phase diagram; 4 maps for each of 3 λ; S(q), g(r), n(k) of two spins; routing; projection against the
    # time step, and gains; the four numbers that the phase diagram does not have.
    assert len(images) == 1 + 1 + 12 + 4 + 1 + 2 + 4
    for image in images:
        assert image["alt"]
        assert base64.b64decode(str(image["src"]).partition(",")[2], validate=True).startswith(b"\x89PNG")


def test_numbers_and_warnings(page: Page) -> None:
    data = dataset()
    for index in range(3):
        assert parenthesis(float(data["energy"][index]), float(data["energy_error"][index])) in page.texts
    minus = "\N{MINUS SIGN}"
    assert f"{minus}19.410(20)" in page.texts and f"{minus}19.100(50)" not in page.texts  # the last iteration alone
    assert sum(cell.get("class") == "warning" for cell in page.all("td")) == 2  # R̂ = 1.2, and 3 walkers lost
    assert "1.200" in page.texts and "3" in page.texts


def test_the_verdict_comes_first_and_nothing_is_nan(folder: Path, page: Page) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    body = text[text.index("<body>") :]
    assert body.index('class="verdict"') < body.index("<nav>") and not re.search(r">\s*!?nan\s*<", body)
    assert "<sub>0</sub>)</th>" in body and "E0)</th>" not in body  # units are printed
    rows = [row for row in re.findall(r"<tr>(.*?)</tr>", body) if row.startswith("<td>0.4</td>")]
    assert len(rows) == 1 and rows[0].count("<td") > 4  # one row for each λ, with every number in it
    said = (
        "run has 20 iterations, burn-in counted; too few of them are recorded to tell whether its energy has settled."
    )
    assert said in page.texts


def test_a_scan_that_nobody_has_analysed_is(tmp_path: Path) -> None:
    made_up = transition.dataset(transition.made_up("jump"))
    save(made_up.assign_attrs({**dataset().attrs, **made_up.attrs, "model": "mine"}), tmp_path / "energies.nc")
    assert main(["report", str(tmp_path)]) == 0
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    (verdict,) = [
        text for text in page.texts if text.startswith("mine: The interaction energy per electron has a jump")
    ]
    assert "Made by qernel" not in "".join(page.texts[: page.texts.index(verdict)])
    assert "Interaction energy with the fitted curves" in str(page.all("img"))
    heads = [text for text in page.texts if text.startswith(("Transition, from", "Results in", "Origin of"))]
    assert [head.split()[0] for head in heads] == ["Transition,", "Results", "Origin"] * 2  # links, then sections


def metrics(last: float) -> dict[str, list[float]]:
    """Forty recorded iterations of five λ, whose energy falls by ``last`` at three quarters of them."""
    rng = np.random.default_rng(3)
    rows = [(step, lam) for step in range(40) for lam in (0.4, 0.6, 0.8, 1.0, 1.2)]
    fallen = [-17.0 - 4.0 * lam + 0.01 * rng.normal() - last * (step >= 30) for step, lam in rows]
    return {
        "iteration": [row[0] for row in rows],
        "lam": [row[1] for row in rows],
        "energy": fallen,
        "error": [0.01] * 200,
    }


@pytest.mark.parametrize("fall", [0.0, 0.05])
def test_a_training_that_still_falls_is_told_from_one_that_does_not(fall: float) -> None:
    found = settling(metrics(fall))
    assert found is not None
    change, error = found
    assert abs(change + fall) < 3 * error and 0.0005 < error < 0.003
    assert settling({name: column[:20] for name, column in metrics(fall).items()}) is None


def test_text_stays_text(page: Page) -> None:
    assert "<script>alert(1)</script>" in page.texts and "name = '<b>mine</b> & more'" in page.texts
    assert "7" in page.texts  # the seed


def test_other_sources(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "one.nc", tmp_path / "new" / "one.html"
    save(dataset()[["energy", "energy_error"]].isel(lam=0), file)
    assert main(["report", str(file), "--out", str(out)]) == 0
    assert len(Page(out.read_text(encoding="utf-8")).all("section")) == 2
    capsys.readouterr()
    before = (folder / "report.html").read_bytes()
    save(dataset().drop_attrs(), tmp_path / "foreign.nc")
    (tmp_path / "empty").mkdir()
    for line, words in (
        ([str(folder)], "report.html already exists"),
        ([str(tmp_path / "none")], "does not exist"),
        ([str(tmp_path / "foreign.nc")], "it is no file of results of Qernel"),
        ([str(tmp_path / "empty")], "holds nothing to report"),
    ):
        assert main(["report", *line]) == 2
        err = capsys.readouterr().err
        assert words in err and err.count("\n") == 1
    assert (folder / "report.html").read_bytes() == before and not list((tmp_path / "empty").iterdir())


def test_records_of_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What ``qernel transition`` and ``qernel hf`` leave, beside the scan and in folders of their own."""
    scan = tmp_path / "run" / "scan"
    made_up = transition.dataset(transition.made_up("jump"))
    save(made_up.assign_attrs({**dataset().attrs, **made_up.attrs}), scan / "energies.nc")
    assert main(["transition", str(scan), "--out", str(scan / "transition"), "--resamples", "100"]) == 0
    evidence = json.loads((scan / "transition" / "transition.json").read_text())["evidence"]
    hf = tmp_path / "run" / "hf"
    hf.mkdir()
    shutil.copy(Path(__file__).parents[1] / "studies" / "hartree_fock" / "n6.json", hf / "hartree_fock.json")
    (hf / "density-crystal.png").write_bytes((scan / "transition" / "transition.png").read_bytes())
    assert main(["report", str(tmp_path / "run")]) == 0
    page = Page((tmp_path / "run" / "report.html").read_text(encoding="utf-8"))
    titles = [text for text in page.texts if text.startswith(("Transition", "Hartree"))]
    assert {"Transition, from energies.nc", "Hartree–Fock"} <= set(titles)
    assert all(letters(Page(f"<p>{typeset(sentence)}</p>")) in letters(page) for sentence in evidence)
    opening = letters(Page(f"<p>{typeset(evidence[0])}</p>"))
    assert letters(page).index(opening) < letters(page).index("Madebyqernel")
    assert "\N{MINUS SIGN}17.44289" in page.texts  # λ = 1
    captions = [image["alt"] for image in page.all("img")]
    for caption in ("Interaction energy with the fitted curves", "Branches against λ", "Density of the crystal"):
        assert captions.count(caption) == 1
    assert main(["report", str(hf / "hartree_fock.json"), "--out", str(tmp_path / "hf.html")]) == 0
    capsys.readouterr()
    for content in ("{", "[]", '{"results": []}'):
        (hf / "hartree_fock.json").write_text(content)
        assert main(["report", str(hf)]) == 2
        err = capsys.readouterr().err
        assert "hartree_fock.json is damaged" in err and err.count("\n") == 1
