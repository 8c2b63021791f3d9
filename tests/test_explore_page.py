"""What a person finds on the page of ``qernel explore``, in a headless browser: words, room, keys, links, darkness.

With QERNEL_AXE, the path of ``axe.min.js`` (``npm pack axe-core``), axe looks at the page as well.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from browser import CHROMIUM, DRIVER, Browser
from qernel.measure.shelf import models_folder
from qernel.storage import open as open_results
from test_explore import assert_silent, explored

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver (Debian: chromium-driver)"),
]

PATIENCE = 300.0
SCREENS = [(1440, 900), (1920, 1080)]
"""Sizes of windows, of which the browser takes some."""

AXE = os.environ.get("QERNEL_AXE")

FIRST = "document.querySelector('.panel')"
CAPTION = f"return {FIRST}.querySelector('[data-is=table-caption]').textContent"
WORDS = f"return {FIRST}.querySelector('[data-is=words]').textContent"
STATE = f"return {FIRST}.querySelector('[data-is=state]').textContent"
PHASE = f"return {FIRST}.querySelector('.phase').hidden ? '' : {FIRST}.querySelector('.phase').textContent"
SHOWN = f"return {FIRST}?.querySelector('[data-is=caption]').textContent"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page of the shipped models, and of a run of one's own with a name."""
    own = tmp_path_factory.mktemp("runs") / "tuesday, deep"
    shutil.copytree(models_folder() / "n6", own)
    server, address = explored("lem", str(own))
    yield address
    server.send_signal(signal.SIGINT)
    out, err = server.communicate(timeout=120)
    assert_silent(server, out, err)


@pytest.fixture(scope="module")
def browser(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser
        assert browser.complaints() == []


def opened(browser: Browser, address: str, *, dark: bool = False) -> None:
    """Show the page anew, with what is stored or the word that nothing is."""
    browser.open("about:blank")  # another fragment of the same page is no new page
    browser.prefer("dark" if dark else "light")
    browser.open(address)
    browser.until(SHOWN, PATIENCE)


@pytest.mark.parametrize("size", SCREENS)
@pytest.mark.parametrize("link", ["#model=n6&lam=1&source=stored", "#model=lem&lam=1&source=stored", ""])
def test_nothing_is_below_the_edge(browser: Browser, address: str, size: tuple[int, int], link: str) -> None:
    """One panel, and the two that the page opens with, of a model with two sliders."""
    browser.resize(size)
    opened(browser, address + link)
    browser.until(f"{PHASE}", PATIENCE)
    assert browser.run("return document.querySelectorAll('.panel').length") == (1 if link else 2)
    page = "document.documentElement"
    assert browser.run(f"return [{page}.scrollHeight <= innerHeight, {page}.scrollWidth <= innerWidth]") == [True, True]
    width, height = browser.run("const c = document.querySelector('canvas'); return [c.clientWidth, c.clientHeight]")
    assert min(width, height) > 180  # and the map has not paid for it
    # Nothing covers anything else, and no caption runs into its neighbour.
    parts = "document.querySelectorAll('.panel .row, .slider, .plot, .captions, .numbers, figcaption')"
    boxes = browser.run(f"""return [...{parts}].map((e) => {{
        const box = e.getBoundingClientRect();
        return [box.x, box.y, box.right, box.bottom, e.scrollWidth <= e.clientWidth + 1] }})""")
    for index, one in enumerate(boxes):
        assert one[4], one
        for other in boxes[index + 1 :]:
            across, down = (min(one[k + 2], other[k + 2]) - max(one[k], other[k]) for k in (0, 1))
            assert min(across, down) <= 1.0, (one, other)


@pytest.mark.parametrize("model", ["n6", "lem"])
def test_targets_are_large(browser: Browser, address: str, model: str) -> None:
    browser.resize(SCREENS[0])
    opened(browser, address + f"#model={model}&lam=1&model={model}&lam=1.2")
    browser.until("return document.querySelector('[data-is=downloads]').checkVisibility()", PATIENCE)
    browser.run("document.querySelectorAll('summary').forEach((e) => e.click())")
    found = browser.run("""const all = [...document.querySelectorAll("a[href], button, input, select, summary")];
        return all.filter((e) => e.checkVisibility()).map((e) => {
            const box = e.getBoundingClientRect();
            return [e.outerHTML.slice(0, 80), box.width, box.height] })""")
    assert len(found) > 25
    assert [one for one in found if min(one[1:]) < 24] == []


@pytest.mark.skipif(not AXE, reason="needs axe-core: QERNEL_AXE is the path of its axe.min.js")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("link", ["", "#model=n6&lam=1", "#model=n6&lam=2.2", "#model=lem&lam=1&U=12&model=n24&lam=1"])
def test_axe_finds_nothing(browser: Browser, address: str, link: str, dark: bool) -> None:
    opened(browser, address + link, dark=dark)
    browser.run("document.querySelectorAll('summary').forEach((e) => e.click())")
    browser.run(Path(str(AXE)).read_text() + "; window.axe = axe")
    found = browser.wait_for("axe.run().then(({violations}) => violations.map(({id, nodes}) => [id, nodes[0].html]))")
    assert found == []


def test_own_runs_have_names(browser: Browser, address: str) -> None:
    opened(browser, address)
    groups = browser.run(
        f"return [...{FIRST}.querySelectorAll('optgroup')].map((g) => [g.label, [...g.children].map((o) => o.text)])"
    )
    (own, (run,)), (_, shipped) = groups
    assert (own, run) == ("Own runs", "tuesday, deep: 6 electrons, filling 2/3")
    assert shipped[0] == "lem: 24 electrons, filling 2/3" and len(shipped) == 4


def test_words(browser: Browser, address: str) -> None:
    opened(browser, address + "#model=lem&lam=1.4&source=stored")
    assert browser.until(f"{PHASE}", PATIENCE) == "crystal"
    words = browser.run(WORDS)
    for part in (
        "λ = 1.4",
        "U = 10.6235",
        "depth 21 meV",
        "ε = 5",
        "filling 2/3",
        "N = 24",
        "m* = 0.35 me",
        "model lem",
    ):
        assert part in words.split(" · ") or part in words.replace(", ", " · ").split(" · ")
    assert "folded into the moiré cell" in browser.run(f"return {FIRST}.querySelector('[data-is=caption]').textContent")
    assert "The 36 moiré cells differ by" in browser.run(f"return {FIRST}.querySelector('[data-is=note]').textContent")


def test_a_link_holds_the_state(browser: Browser, address: str) -> None:
    first = "model=lem&lam=0.8&U=9.5&map=density&electrons=still&unit=meV&source=live"
    second = "model=tuesday%2C+deep&lam=1.25&map=conditional_density&electrons=hidden&unit=text&source=stored"
    opened(browser, address + f"#{first}&{second}")
    browser.until(f"return location.hash === '#{first}&{second}'", PATIENCE)
    # Where a value is out of reach it is left out, and so is a model that is not here.
    opened(browser, address + "#model=lem&lam=7&U=9.5&model=n7&lam=1")
    browser.until("return location.hash.startsWith('#model=lem&lam=1&U=9.5&map=density_moire')", PATIENCE)
    assert browser.run("return document.querySelectorAll('.panel').length") == 1
    # What is changed is in the link.
    browser.run("const exact = document.querySelector('.panel input[type=number]'); exact.focus(); exact.select()")
    browser.press("1.2\ue007")
    browser.until("return location.hash.startsWith('#model=lem&lam=1.2&U=9.5')", PATIENCE)


def test_lambda_is_played_through(browser: Browser, address: str) -> None:
    """Every stored point once, with its phase, where the results are stored; then sampling begins there."""
    opened(browser, address + "#model=lem&lam=0.5&U=12")
    browser.run(f"""window.seen = [];
        new MutationObserver(() => window.seen.push({FIRST}.querySelector('[data-is=table-caption]').textContent))
            .observe({FIRST}.querySelector('[data-is=table-caption]'), {{ childList: true, characterData: true }});
        {FIRST}.querySelector('[data-is=play]').click()""")
    button = f"{FIRST}.querySelector('[data-is=play]')"
    assert browser.run(f"return [{button}.textContent, {button}.ariaPressed]") == ["Stop at this λ", "true"]
    browser.until(f"return {button}.textContent === 'Play through λ'", PATIENCE)
    stored = open_results(models_folder() / "lem" / "observables.nc")["lam"].values
    points = [f"λ = {lam:g}, U = 10.6235" for lam in stored if lam > 0.5]
    assert list(dict.fromkeys(text for text in browser.run("return window.seen") if "10.6235" in text)) == points
    browser.until(f"{STATE} !== ''", PATIENCE)  # it samples
    # It begins again with the first point, and can be stopped on the way.
    press = f"{button}.click()"
    browser.wait_for(f"new Promise((done) => {{ {press}; setTimeout(() => {{ {press}; done() }}, 1000) }})")
    stopped = browser.run(WORDS)
    assert browser.run(f"return {button}.ariaPressed") == "false"
    time.sleep(2.0)
    assert browser.run(WORDS) == stopped and not stopped.startswith(points[-1])


def test_nothing_stored_is_said(browser: Browser, address: str) -> None:
    """The stored results of lem are at one U: elsewhere numbers of another point would mislead."""
    opened(browser, address + "#model=lem&lam=1.2")
    browser.until(f"{PHASE}", PATIENCE)
    browser.run("document.querySelectorAll('.panel input[type=range]')[1].focus()")
    browser.press("\ue014\ue014")
    browser.until(
        f"return {FIRST}.querySelector('[data-is=note]').textContent.includes('those at U = 10.6235')", PATIENCE
    )
    assert browser.run(PHASE) == "" and browser.run(CAPTION) == "λ = 1.2, U = 10.8"
    numbers = browser.run(f"return [...{FIRST}.querySelectorAll('[data-is=energies] td')].map((e) => e.textContent)")
    assert set(numbers) == {"…"}
    # And the slider finds the way back to them.
    browser.press("\ue012\ue012")
    browser.until(f"{PHASE} === 'crystal'", PATIENCE)
    assert browser.run("return document.querySelectorAll('.panel input[type=number]')[1].value") == "10.623473"


def test_darkness(browser: Browser, address: str) -> None:
    """Page and map turn dark with the system, at once."""
    middle = """const c = document.querySelector('canvas');
        const copy = new OffscreenCanvas(c.width, c.height).getContext('2d', { willReadFrequently: true });
        copy.drawImage(c, 0, 0);
        const d = copy.getImageData(0, 0, c.width, c.height).data;
        let sum = 0; for (let i = 0; i < d.length; i += 4) sum += d[i] + d[i + 1] + d[i + 2];
        return [sum / d.length / 0.75, getComputedStyle(document.body).backgroundColor]"""
    opened(browser, address + "#model=n6&lam=1&source=stored")
    browser.until(PHASE, PATIENCE)
    light, paper = browser.run(middle)
    browser.prefer("dark")
    time.sleep(1.0)
    dark, board = browser.run(middle)
    assert light > 160 > 110 > dark and (paper, board) == ("rgb(243, 245, 247)", "rgb(17, 21, 26)")


def test_the_live_point_waits_for_its_chains(browser: Browser, address: str) -> None:
    """The stored result comes back as a live one with a smaller error, of chains that agree or do not yet."""
    live = "return [...document.querySelectorAll('svg.lines title')].filter((e) => e.textContent === 'live').length"
    for agree, points, shown in (("false", 0, "stored"), ("true", 2, "live")):
        opened(browser, address + "#model=n6&lam=1&source=stored")
        browser.until(PHASE, PATIENCE)
        browser.run(f"""const real = window.fetch;
            window.fetch = async (url, options) => {{
                if (!url.includes("/api/live")) return real(url, options);
                const answer = await (await real(url.replace("live", "stored"), options)).json();
                Object.assign(answer.result, {{ agree: {agree}, rhat: 1.3, doubts: ["rhat above 1.05"] }});
                answer.result.energies[0].error *= 0.5;
                return new Response(JSON.stringify({{ kind: "result", ...answer, finished: true }}) + "\\n");
            }};
            {FIRST}.querySelector("input[value=best]").click();
            const exact = {FIRST}.querySelector("input[type=number]");
            exact.dispatchEvent(new Event("change"))""")
        browser.until(f"{STATE}.startsWith('Done')", PATIENCE)
        assert "Errors may be too small: R̂ = 1.30 above 1.05." in browser.run(STATE)
        assert browser.run(live) == points
        assert browser.run(f"return {FIRST}.querySelector('[data-is=source]').textContent").startswith(shown)


def test_forty_moves_in_a_browser_and_a_closed_tab(tmp_path: Path) -> None:
    """Sliders are pulled while they sample, a panel is closed, then the tab, then the server ends: in silence."""
    server, address = explored("n6")
    waits = np.random.default_rng(26).choice([0.0, 0.1, 0.4, 0.8], 40)
    try:
        with Browser(tmp_path / "profile") as browser:
            browser.open(address)
            browser.until("return document.querySelectorAll('.panel').length === 2", PATIENCE)
            for index, wait in enumerate(waits):
                panel = f".panel:nth-child({1 + index % 2}) " if index < 30 else ".panel "
                browser.type(f"{panel}input[type=range]", "\ue014" if index % 3 else "\ue012\ue012")
                if index == 30:
                    browser.run("document.querySelectorAll('[data-is=close]')[1].click()")
                if index == 20:
                    browser.run("location.reload()")
                    browser.until("return document.querySelectorAll('.panel').length === 2", PATIENCE)
                time.sleep(wait)
            assert browser.complaints() == []
    finally:
        server.send_signal(signal.SIGINT)
        out, err = server.communicate(timeout=120)
    assert_silent(server, out, err)
