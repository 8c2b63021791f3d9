"""``qernel explore`` in a headless browser: beside a live training run, with two users, by keyboard alone.

A screenshot is kept in the folder QERNEL_TEST_ARTEFACTS if that is set.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import qernel
from browser import CHROMIUM, DRIVER, Browser
from qernel.config import load_config
from qernel.explore.catalogue import catalogue
from qernel.explore.serve import HOST
from runs import TINY
from test_explore import Server, await_true

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver (Debian: chromium-driver)"),
]

PATIENCE = 600.0
"""Seconds until something is taken never to happen: on a busy machine compilation alone takes minutes."""

TAB, ENTER, END, RIGHT = "\ue004", "\ue007", "\ue010", "\ue014"

SETTINGS = {
    **TINY,
    "model": {"ansatz": "slater"},
    "train": {**TINY["train"], "iterations": 1_000_000, "checkpoint_every": 20},
    # Samplings end when nobody reads them, and not by themselves.
    "sample": {**TINY["sample"], "samples": 1_000_000},
}

STATE = "return document.getElementById('training-state').textContent"
ITERATION = f"{STATE}.match(/iteration (\\d+)/)?.[1]"
CAPTION = """const part = (name) => document.querySelector(`[data-is=${name}]`).textContent;
    return `${part("table-caption")}, ${part("source")}`"""


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A training that goes on until it is told to stop, and its folder."""
    folder = tmp_path_factory.mktemp("live")
    (folder / "tiny.toml").write_text(load_config(SETTINGS).to_toml())
    run = folder / "run"
    line = [sys.executable, "-m", "qernel.cli", "train", str(folder / "tiny.toml"), "--out", str(run)]
    environment = {**os.environ, "QERNEL_DEVICES": "1"}
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        await_true(lambda: process.poll() is not None or len(list(run.glob("checkpoint-*"))) > 1, PATIENCE)
        assert process.poll() is None, process.communicate()
        yield process, run
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def server(training: tuple[subprocess.Popen[str], Path]) -> Iterator[Server]:
    server = Server(catalogue([str(training[1])]))
    yield server
    server.stop()


def iteration(browser: Browser) -> int:
    """The iteration that the page shows."""
    return int(browser.until(ITERATION, PATIENCE))


def kept(browser: Browser, name: str, tmp_path: Path) -> None:
    """Keep a screenshot as an artefact."""
    artefacts = Path(os.environ.get("QERNEL_TEST_ARTEFACTS") or tmp_path)
    artefacts.mkdir(parents=True, exist_ok=True)
    browser.screenshot(artefacts / name)
    assert (artefacts / name).stat().st_size > 20_000


def focuses(browser: Browser, most: int = 80) -> list[tuple[str, str]]:
    """What the tabulator key goes through from the top of the page, until it leaves the page."""
    browser.run("document.activeElement.blur(); scrollTo(0, 0)")
    found = []
    for _ in range(most):
        browser.press(TAB)
        if browser.run("return document.activeElement === document.body"):
            return found
        ring = browser.run("return getComputedStyle(document.activeElement).outlineStyle")
        assert ring == "solid", f"{browser.focused()} does not show that it has the focus"
        found.append(browser.focused())
    raise AssertionError(f"the focus is caught: {found[-5:]}")


def test_beside_a_training_run_with_two_users(
    training: tuple[subprocess.Popen[str], Path], server: Server, tmp_path: Path
) -> None:
    process, _ = training
    address = f"http://{HOST}:{server.port}/"
    with Browser(tmp_path / "one") as one:
        with Browser(tmp_path / "two") as two:
            for browser in (one, two):
                browser.open(address)
                browser.until("return document.querySelectorAll('.panel').length === 2", PATIENCE)
                assert browser.run("return document.querySelector('[data-is=model]').value") == "run"
            # The curves of both groups, and they go on.
            seen = iteration(one)
            assert one.run("return document.querySelectorAll('#training-chart polyline').length") == 2
            one.until(f"{ITERATION} > {seen}", PATIENCE)
            assert iteration(two) >= seen
            # Each user has a λ, and gets densities at it.
            one.type(".panel input[type=range]", END)
            for browser, lam in ((one, 1.25), (two, 0.63)):
                browser.until(f"{CAPTION}.startsWith('λ = {lam:g}, live')", PATIENCE)
            assert len(server.explorer.samplings) == 4  # two panels each
            kept(one, "explore-training.png", tmp_path)
            assert one.complaints() == [] and two.complaints() == []
        # The second browser is closed in the middle of its samplings: they end, the others go on.
        await_true(lambda: len(server.explorer.samplings) == 2, PATIENCE)
        assert {sampling.state.lam for sampling in server.explorer.samplings} == {1.25, 0.88}
        most = max(sampling.count for sampling in server.explorer.samplings)
        await_true(lambda: all(sampling.count > most for sampling in server.explorer.samplings), PATIENCE)
        # Training has not noticed. Stopped, it says so, and the page that nothing is new.
        assert process.poll() is None
        seen = iteration(one)
        one.until(f"{ITERATION} > {seen}", PATIENCE)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 130
        one.until(f"{STATE}.includes('nothing new for')", PATIENCE)
        assert one.complaints() == []
    await_true(lambda: not server.explorer.samplings, PATIENCE)


def test_everything_is_reached_and_named_by_keyboard(server: Server, tmp_path: Path) -> None:
    with Browser(tmp_path / "profile") as browser:
        browser.open(f"http://{HOST}:{server.port}/")
        browser.until("return document.querySelectorAll('.panel').length === 2", PATIENCE)
        browser.until("return !document.querySelector('[data-is=downloads]').hidden", PATIENCE)
        found = focuses(browser)
        # A group of radio buttons is one stop, by the arrows one goes on.
        wanted = browser.run("""const all = "a[href], button, input, select, summary";
            const seen = [...document.querySelectorAll(all)].filter((e) => !e.disabled && e.checkVisibility());
            return seen.filter((e) => e.type !== "radio" || e.checked).length""")
        assert len(found) == wanted
        assert all(name.strip() for _, name in found), found
        names = [name for _, name in found]
        for name in ("Model", "Map", "Electrons", "λ, exact value", "Run", "Add a panel to compare", "NetCDF", "PDF"):
            assert name in names
        # Add a panel and remove it again: the focus goes to the new panel, and back to the button.
        browser.run("document.getElementById('add').focus()")
        browser.press(ENTER)
        browser.until("return document.querySelectorAll('.panel').length === 3", PATIENCE)
        assert browser.focused() == ("select", "Model")
        for _ in range(3):
            browser.press(TAB)
        assert browser.focused() == ("button", "Remove this panel")
        browser.press(ENTER)
        browser.until("return document.querySelectorAll('.panel').length === 2", PATIENCE)
        assert browser.focused() == ("button", "Add a panel to compare")
        # An exact value; one out of bounds is put back.
        field = ".panel input[type=number]"
        for typed, shown in (("0.8", 0.8), ("99", 0.8)):
            browser.run(f"document.querySelector('{field}').focus(); document.querySelector('{field}').select()")
            browser.press(typed + ENTER)
            assert float(browser.run(f"return document.querySelector('{field}').value")) == shown
            assert float(browser.run("return document.querySelector('.panel input[type=range]').value")) == shown
        assert browser.complaints() == []


def test_a_slider_for_each_parameter(tmp_path: Path) -> None:
    """λ and U of a trained model: both within reach, each moved by keyboard alone, and both in what is drawn."""
    settings = {**SETTINGS, "family": {"lam": [0.5, 1.0], "U": [8.0, 12.0]}, "train": TINY["train"]}
    qernel.train(settings, out=tmp_path / "run")
    server = Server(catalogue([str(tmp_path / "run")]))
    try:
        with Browser(tmp_path / "profile") as browser:
            browser.open(f"http://{HOST}:{server.port}/")
            browser.until("return document.querySelectorAll('.panel').length === 2", PATIENCE)
            ranges = "[...document.querySelector('.panel').querySelectorAll('input[type=range]')]"
            assert browser.run(f"return {ranges}.map((e) => [+e.min, +e.max])") == [[0.25, 1.25], [6, 14]]
            label = "document.querySelector(`label[for='${e.id}']`).textContent"
            assert [text[0] for text in browser.run(f"return {ranges}.map((e) => {label})")] == ["λ", "U"]
            browser.until(f"{CAPTION}.startsWith('λ = 0.63, U = 10, live')", PATIENCE)
            browser.run(f"{ranges}[1].focus()")
            browser.press(END)
            browser.until(f"{CAPTION}.startsWith('λ = 0.63, U = 14, live')", PATIENCE)
            assert "U = 14" in browser.run(f"return {ranges}[1].getAttribute('aria-valuetext')")
            browser.run(f"{ranges}[0].focus()")
            browser.press(END)
            browser.until(f"{CAPTION}.startsWith('λ = 1.25, U = 14, live')", PATIENCE)
            points = {tuple(sampling.state.point.tolist()) for sampling in server.explorer.samplings}
            assert points == {(1.25, 14.0), (0.88, 10.0)}
            assert browser.complaints() == []
    finally:
        server.stop()


def test_the_picture_of_the_readme(tmp_path: Path) -> None:
    """Stored results of a shipped model at two λ while live sampling goes on (`documents.toml` says how to keep it)."""
    server = Server(catalogue(["n6"]))
    try:
        with Browser(tmp_path / "profile", size=(1340, 1090)) as browser:
            browser.open(f"http://{HOST}:{server.port}/")
            browser.until("return document.querySelectorAll('.panel').length === 2", PATIENCE)
            browser.run(
                """document.querySelectorAll('.panel').forEach((panel, index) => {
                    const value = panel.querySelector('input[type=number]');
                    value.value = [0.6, 1.4][index];
                    value.dispatchEvent(new Event('change'));
                    panel.querySelector('input[value=stored]').click();
                })"""
            )
            captions = "return [...document.querySelectorAll('caption')]"
            shown = "`λ = ${[0.6, 1.4][i]}stored`"
            browser.until(f"{captions}.every((e, i) => e.textContent.startsWith({shown}))", PATIENCE)
            browser.until("return document.body.textContent.match(/independent samples/g)?.length >= 2", PATIENCE)
            kept(browser, "explore.png", tmp_path)
            assert browser.complaints() == []
    finally:
        server.stop()
