"""``qernel explore``: who is answered, what is refused, and that densities arrive and integrate to N."""

from __future__ import annotations

import gc
import io
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import equinox as eqx
import jax
import numpy as np
import pytest
import uvicorn
import xarray

from browser import CHROMIUM, DRIVER, Browser
from figure_data import dataset
from qernel.cli import main
from qernel.config import load_config
from qernel.errors import QernelError
from qernel.explore import view
from qernel.explore.catalogue import Entry, catalogue, requested_state
from qernel.explore.download import disposition
from qernel.explore.serve import HOST, configuration, listen
from qernel.explore.server import STREAMS, Explorer
from qernel.measure import Model, load
from qernel.measure.dataset import joined
from qernel.plots.style import figure, literal, rendered, style
from qernel.storage import open as open_results
from qernel.storage import save
from qernel.training.folder import save_model
from qernel.training.run import initial_wavefunction
from runs import TINY
from test_report import METRICS

SETTINGS = {**TINY, "model": {"ansatz": "slater"}, "family": {"lam": [0.5, 1.0], "U": [8.0, 12.0]}}
POINT = "model=tiny&lam=0.7&U=10"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the smallest model of two parameters, and metrics."""
    folder = tmp_path_factory.mktemp("explore") / "tiny"
    folder.mkdir()
    config = load_config(SETTINGS)
    save_model(folder / "model.safetensors", config, initial_wavefunction(config))
    (folder / "metrics.csv").write_text(METRICS)
    return folder


@pytest.fixture(scope="module")
def model(run: Path) -> Model:
    return load(run)


class Server:
    """The application on a thread."""

    def __init__(self, entries: dict[str, Entry]) -> None:
        self.socket = listen(None)
        self.port = self.socket.getsockname()[1]
        self.explorer = Explorer(entries, stopping=lambda: self.server.should_exit)
        self.server = uvicorn.Server(configuration(self.explorer, self.port))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]})
        self.thread.start()

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(60)
        self.socket.close()
        assert not self.thread.is_alive()

    @contextmanager
    def ask(self, path: str, **headers: str) -> Iterator[HTTPResponse]:
        with closing(HTTPConnection(HOST, self.port, timeout=120)) as connection:
            connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            with connection.getresponse() as response:
                yield response

    def json(self, path: str) -> Any:
        with self.ask(path) as response:
            assert response.status == 200, response.read()
            return json.load(response)


@pytest.fixture(scope="module")
def server(run: Path) -> Iterator[Server]:
    server = Server(catalogue([str(run)]))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def lines(server: Server) -> list[dict[str, Any]]:
    """A whole live sampling."""
    with server.ask(f"/api/live?{POINT}") as response:
        assert response.status == 200
        return [json.loads(line) for line in response]


def test_only_this_machine_is_answered(server: Server) -> None:
    assert server.socket.getsockname()[0] == "127.0.0.1"
    # Another address of the loopback interface stands for any other address of this machine.
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.2", server.port), timeout=5).close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://127.0.0.1:{port}", "Sec_Fetch_Site": "same-origin"}, 200),
        ({"Host": "localhost:{port}"}, 200),
        ({"Host": "evil.example:{port}"}, 403),
        ({"Host": "127.0.0.1"}, 403),
        ({"Host": ""}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
    ],
)
def test_foreign_names_and_pages_are_refused(server: Server, headers: dict[str, str], status: int) -> None:
    for path in ("/", "/api/models", "/static/app.js"):
        sent = {name: value.format(port=server.port) for name, value in headers.items()}
        with server.ask(path, **sent) as response:
            assert response.status == status
            policy = response.headers["content-security-policy"]
            assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("model=tiny", 400, "lam is missing: give a number from 0.25 to 1.25"),
        ("model=tiny&lam=1.26", 400, "out of bounds"),
        ("model=tiny&lam=nan", 400, "out of bounds"),
        ("model=tiny&lam=inf", 400, "out of bounds"),
        ("model=tiny&lam=one", 400, "'one' is out of bounds"),
        ("model=tiny&lam=0.7&U=99", 400, "U = '99' is out of bounds: give a number from 6 to 14"),
        ("model=tiny&lam=0.7&phase_deg=1", 400, "'phase_deg' is no parameter of tiny: use lam, U"),
        ("lam=0.7", 404, "there is no model ''"),
        ("model=n7&lam=0.7", 404, "choose from tiny, n6"),
        ("model=..%2Ftiny&lam=0.7", 404, "there is no model '../tiny' here"),
    ],
)
def test_bad_questions_get_one_sentence(server: Server, query: str, status: int, words: str) -> None:
    for path in ("live", "stored"):
        with server.ask(f"/api/{path}?{query}") as response:
            assert response.status == status
            assert words in json.load(response)["error"]


@pytest.mark.parametrize("path", ["/static/../server.py", "/static/%2e%2e/server.py", "/api/result/none/netcdf", "/x"])
def test_nothing_else_is_served(server: Server, path: str) -> None:
    with server.ask(path) as response:
        assert response.status == 404


def test_models_are_described(server: Server) -> None:
    tiny, n6, *larger = server.json("/api/models")["models"]
    assert (tiny["name"], n6["name"]) == ("tiny", "n6") and [model["name"] for model in larger] == ["lem", "n24", "n54"]
    assert [parameter["name"] for parameter in tiny["parameters"]] == ["lam", "U"]
    assert tiny["parameters"][1]["trained"] == [8, 12] and tiny["parameters"][1]["bounds"] == [6, 14]
    assert tiny["parameters"][0]["laboratory"] == {"symbol": "depth", "unit": "meV", "factor": 15.0, "inverse": False}
    epsilon = tiny["parameters"][1]["laboratory"]
    assert epsilon["inverse"] and epsilon["factor"] / 10.623473 == pytest.approx(5.0, rel=1e-6)
    assert (n6["curves"]["along"], n6["curves"]["at"]) == ("lam", {})
    assert n6["title"] == "n6: 6 electrons, filling 2/3" and (tiny["shipped"], n6["shipped"]) == (False, True)
    assert n6["material"] == "m* = 0.35 m_e, ε = 5, a_M = 8.03 nm, 15 meV deep at λ = 1" and n6["systems"] == []
    assert (n6["fixed"], tiny["fixed"]) == ("m* = 0.35 m_e, ε = 5, a_M = 8.03 nm", "m* = 0.35 m_e, a_M = 8.03 nm")
    assert "ε = 5 at U = 10.62" in tiny["material"]
    assert tiny["training"] and not n6["training"] and tiny["curves"] is None
    assert n6["parameters"][0]["step"] == 0.01 and len(n6["curves"]["points"]) == 33


def test_a_density_arrives_and_integrates_to_n(server: Server, lines: list[dict[str, Any]]) -> None:
    assert {line["kind"] for line in lines} <= {"progress", "walkers", "result"}
    last = lines[-1]
    assert last["kind"] == "result" and last["finished"]
    vectors = np.array(server.json("/api/models")["models"][0]["vectors"])
    density = np.array(last["result"]["maps"]["density"]["values"])
    area = abs(np.linalg.det(vectors)) / density.size
    assert density.sum() * area == pytest.approx(2.0, abs=density.size * 5e-5 * area)  # values have four decimals
    walkers = next(line["walkers"] for line in lines if line["kind"] == "walkers")
    assert np.shape(walkers) == (8, 2, 2)
    assert not last["result"]["extrapolating"]


def test_live_numbers_are_those_of_python(lines: list[dict[str, Any]], model: Model) -> None:
    expected = model.at(0.7, U=10.0).energy()
    shown = {row["name"]: row for row in lines[-1]["result"]["energies"]}
    for name in ("energy", "kinetic", "moire", "interaction"):
        quantity = getattr(expected, name)
        assert (shown[name]["value"], shown[name]["error"]) == pytest.approx((quantity.value, quantity.error), rel=1e-9)
    assert lines[-1]["result"]["source"] == "8 records of 8 chains, seed 1"


def test_moves_are_compiled_once(server: Server, lines: list[dict[str, Any]]) -> None:
    assert server.explorer.entries["tiny"].model().sampler(8)._advance._cache_size() == 1


def test_downloads(server: Server, lines: list[dict[str, Any]]) -> None:
    token = lines[-1]["token"]
    with server.ask(f"/api/result/{token}/netcdf") as response:
        assert response.headers["content-disposition"] == 'attachment; filename="tiny-lam0.7-U10.nc"'
        data = xarray.open_dataset(io.BytesIO(response.read()), engine="h5netcdf")
    assert float(data["lam"]) == 0.7 and float(data["U"]) == 10.0 and data["density"].attrs["units"] == "1/a_M^2"
    for kind, begin in (
        ("energies.csv", b"lam,"),
        ("density.csv", b"a1,a2,"),
        ("density.png", b"\x89PNG"),
        ("density.pdf", b"%PDF"),
        ("conditional_density.png", b"\x89PNG"),
    ):
        with server.ask(f"/api/result/{token}/{kind}") as response:
            assert response.status == 200 and response.read().startswith(begin)


NAMES = [
    "a_b$c",
    "$",
    "x$y$z_{",
    'say "hi"',
    "two\nlines\r\n",
    "Übung é",
    "moiré λ → 中文 🙂",
    "100% ;=,",
    "back\\slash",
    "\udcff.\x07",
]


def named(header: str) -> str:
    """The file name in a header, as a browser of today reads it (RFC 6266)."""
    found = re.search(r"filename\*=UTF-8''([^;\s]*)$", header) or re.search(r'filename="([^"]*)"$', header)
    assert found is not None, header
    return unquote(found[1], errors="strict")


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_a_header_and_names_a_file(name: str) -> None:
    header = disposition(f"{name}.nc")
    assert header.isascii() and header.isprintable() and header.startswith("attachment; filename=")
    assert len(named(header)) == len(name) + 3 and not set(named(header)) & set('\r\n"/\\')
    if name.isprintable() and not set(name) & set('"\\'):
        assert named(header) == f"{name}.nc"


def test_any_name_in_a_figure() -> None:
    """Drawn as it is: a formula would be an error, and so would the warning about a character the font lacks."""
    with style():
        fig = figure(4.0, 4.0)
        for name in NAMES:
            fig.text(0.5, 0.5, f"{literal(name)}, $\\lambda = 1$")
        assert rendered(fig, "pdf").startswith(b"%PDF")


def test_a_run_of_any_name_is_served(run: Path, server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "".join(NAMES)
    folder.mkdir()
    (folder / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    name, entry = next(iter(catalogue([str(folder)]).items()))
    assert name == "".join(NAMES).replace("\udcff", "\ufffd") == entry.model().name
    token = server.explorer.keep(dataset().isel(lam=0).assign_attrs(model=name))
    for kind in ("netcdf", "density.png"):
        with server.ask(f"/api/result/{token}/{kind}") as response:
            assert response.status == 200 and response.read().startswith((b"\x89HDF", b"\x89PNG"))
            assert "中文 🙂100% ;=,back_slash�._-lam0.4" in named(response.headers["content-disposition"])


@pytest.fixture
def endless(server: Server, lines: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Samplings that do not end by themselves."""
    config = server.explorer.entries["tiny"].model().config
    monkeypatch.setattr("qernel.explore.live.TURN_S", 0.01)
    monkeypatch.setitem(config.__dict__, "sample", config.sample.model_copy(update={"samples": 10**9}))


def test_a_closed_request_ends_its_sampling(server: Server, endless: None) -> None:
    with server.ask("/api/live?model=tiny&lam=0.9") as other:
        with server.ask(f"/api/live?{POINT}") as one:
            for response in (one, other):
                assert response.readline().startswith(b"{")
            assert len(server.explorer.samplings) == 2
        await_true(lambda: [sampling.state.lam for sampling in server.explorer.samplings] == [0.9])
        for _ in range(5):  # the other user goes on
            assert other.readline().startswith(b"{")
    await_true(lambda: not server.explorer.samplings)


def test_open_streams_do_not_hold_up_the_end(server: Server, endless: None) -> None:
    other = Server(server.explorer.entries)
    with other.ask(f"/api/live?{POINT}") as response:
        assert response.readline().startswith(b"{")
        other.stop()
        while response.readline():
            pass
    assert not other.explorer.samplings


def test_nobody_is_left_to_complain(
    server: Server, endless: None, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Requests that are closed in the middle of a turn: nothing of it appears on the terminal."""
    for index in range(4):
        with server.ask(f"/api/live?model=tiny&lam={0.6 + 0.05 * index}") as response:
            assert response.readline().startswith(b"{")
    await_true(lambda: not server.explorer.samplings)
    server.explorer.worker.submit(gc.collect).result(30)
    time.sleep(0.1)
    gc.collect()
    assert [record.getMessage() for record in caplog.records] == [] and capfd.readouterr() == ("", "")


def test_noise_is_told_from_broken_symmetry() -> None:
    """Nine equal cells and noise of a known size: differences of one error; with one cell heavier: of many."""
    random, cell = np.random.default_rng(7), np.array([[1.0, 0.0], [0.5, 0.75**0.5]])
    equal = np.tile(random.uniform(0.5, 1.5, (8, 8)), (3, 3))
    heavier = equal.copy()
    heavier[:8, :8] += 0.5
    for moire, values, low, high in ((cell, equal, 0.9, 1.1), (cell, heavier, 3.0, 9.0)):
        noisy = values + random.normal(0.0, 0.05, values.shape)
        axes = ("a1", "a2")
        data = xarray.Dataset({"density": (axes, noisy), "density_error": (axes, np.full(values.shape, 0.05))})
        data.attrs.update(supercell_vectors=(3 * moire).ravel(), moire_vectors=moire.ravel(), moire_cells=9)
        ratio = view.unlike_cells(data)
        assert ratio is not None and low < ratio < high
    coarse = data.isel(a1=slice(0, 23), a2=slice(0, 23))  # no part for each part of another cell
    assert view.unlike_cells(coarse) is None


def test_forty_quick_moves_are_silent(
    server: Server, endless: None, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """A slider that is pulled drops its questions at any moment: some politely, some with a reset."""
    waits = np.random.default_rng(26).choice([0.0, 0.002, 0.02, 0.06], 40)
    for index, wait in enumerate(waits):
        with socket.create_connection((HOST, server.port), timeout=60) as move:
            kind = ("live", "live", "stored")[index % 3]
            line = f"GET /api/{kind}?model=tiny&lam={0.5 + 0.0125 * index:.4f} HTTP/1.1"
            move.sendall(f"{line}\r\nHost: {HOST}:{server.port}\r\n\r\n".encode())
            if index % 4 == 3:  # answers have begun to come
                assert move.recv(9) == b"HTTP/1.1 "
            time.sleep(wait)
            if index % 2:
                move.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await_true(lambda: not server.explorer.samplings)
    server.explorer.worker.submit(gc.collect).result(60)
    gc.collect()
    assert [record.getMessage() for record in caplog.records] == [] and capfd.readouterr() == ("", "")


def test_no_more_samplings_than_there_are_places(server: Server, endless: None) -> None:
    """All requests of a moment arrive before any of them has begun to sample."""
    with ExitStack() as stack:
        connections = [stack.enter_context(closing(HTTPConnection(HOST, server.port, timeout=120))) for _ in range(20)]
        for connection in connections:
            connection.request("GET", f"/api/live?{POINT}")
        responses = [stack.enter_context(connection.getresponse()) for connection in connections]
        assert sorted(response.status for response in responses) == [200] * STREAMS + [503] * (20 - STREAMS)
        refused = next(response for response in responses if response.status == 503)
        assert json.load(refused) == {"error": f"{STREAMS} samplings are running already: close a page or a panel"}
        assert len(server.explorer.samplings) <= STREAMS
    await_true(lambda: not server.explorer.samplings)
    with server.ask(f"/api/live?{POINT}") as response:  # the places are free again
        assert response.status == 200


HALF_REQUESTS = {
    "nothing": b"",
    "half a line": b"GET /api/mod",
    "half the headers": b"GET / HTTP/1.1\r\nHost: {host}\r\nX-A: b\r\n",
    "half a body": b"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9\r\n\r\nabc",
    "a half after a whole": b"GET / HTTP/1.1\r\nHost: {host}\r\n\r\nGET / HT",
}


@pytest.mark.parametrize("kind", HALF_REQUESTS)
def test_half_a_request_is_not_waited_for(kind: str, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qernel.explore.protocol.REQUEST_S", 0.5)
    with socket.create_connection((HOST, server.port), timeout=30) as connection:
        connection.sendall(HALF_REQUESTS[kind].replace(b"{host}", f"{HOST}:{server.port}".encode()))
        begin = time.monotonic()
        try:
            while time.monotonic() < begin + 20:  # one byte more now and then does not help
                connection.settimeout(0.1)
                try:
                    if not connection.recv(65536):
                        break
                except TimeoutError:
                    connection.sendall(b"x" if kind != "nothing" else b"")
        except ConnectionError:
            pass
        assert time.monotonic() - begin < 15


def test_a_slow_answer_is_waited_for(server: Server, endless: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qernel.explore.protocol.REQUEST_S", 0.2)
    with server.ask(f"/api/live?{POINT}") as response:
        begin = time.monotonic()
        while time.monotonic() < begin + 1.0:
            assert response.readline().startswith(b"{")


def await_true(condition: Callable[[], Any], seconds: float = 30.0) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_training_curves(server: Server, run: Path) -> None:
    answer = server.json("/api/training?model=tiny")
    assert answer["iteration"] == 20 and [group["lam"] for group in answer["groups"]] == [0.4, 1.2]
    assert answer["groups"][1]["energy"] == [-19.1, -19.41] and answer["groups"][1]["error"] == [0.05, 0.02]
    assert server.json(f"/api/training?model=tiny&stamp={answer['stamp']}") == {"stamp": answer["stamp"]}
    with (run / "metrics.csv").open("a") as handle:
        handle.write("30,0,0.4,-14.07,0.01,0.04,0.5,0\n30,1,1.2,-19.4")  # the second row is being written
    os.utime(run / "metrics.csv", ns=(1, 1))
    assert server.json(f"/api/training?model=tiny&stamp={answer['stamp']}")["iteration"] == 30
    with server.ask("/api/training?model=n6") as response:
        assert response.status == 404


def test_new_parameters_of_a_training_run_compile_nothing(run: Path, model: Model, tmp_path: Path) -> None:
    entry = Entry("training", tmp_path)
    (tmp_path / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    before = entry.model()
    first = before.at(0.7).energy()
    arrays, static = eqx.partition(before.wavefunction, eqx.is_inexact_array)
    moved = eqx.combine(jax.tree.map(lambda a: 1.05 * a, arrays), static)
    save_model(tmp_path / "model.safetensors", before.config, moved)
    os.utime(tmp_path / "model.safetensors", ns=(1, 1))
    after = entry.model()
    assert after is not before
    second = after.at(0.7).energy()
    assert after.sampler(8)._advance is before.sampler(8)._advance and after.sampler(8)._advance._cache_size() == 1
    assert second.energy != first.energy
    assert second == load(tmp_path).at(0.7).energy()  # compiled anew: the same numbers
    assert before.at(0.7).energy() == first
    other = load_config({**SETTINGS, "sample": {**TINY["sample"], "moves": 3}})
    save_model(tmp_path / "model.safetensors", other, moved)
    os.utime(tmp_path / "model.safetensors", ns=(2, 2))
    assert not entry.model()._samplers


def test_stored_results_are_those_of_this_model(run: Path, model: Model, capsys: pytest.CaptureFixture[str]) -> None:
    points = [model.at(lam, U=10.0).observe("energy", "density", samples=3) for lam in (0.5, 0.9)]
    data, folder = joined(points, "lam"), run.parent / "stored"
    (folder / "observe").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    save(data, folder / "observe" / "observables.nc")
    entry = Entry("stored", folder)
    found = entry.nearest(model.at(0.72, U=10.0))
    assert found is not None and float(found["lam"]) == 0.9
    assert entry.nearest(model.at(0.72, U=10.1)) is None  # measured at another U
    assert view.result(found)["energies"][0]["value"] == float(points[1]["energy"])
    save(data.assign_attrs(model_weights_sha256="0" * 64), folder / "observe" / "observables.nc")
    assert entry.stored() is None and "other parameters than the model" in capsys.readouterr().err


def test_results_stored_along_another_parameter(run: Path, model: Model) -> None:
    """What was measured along U is shown at the U next to the slider, for the λ it was measured at."""
    points = [model.at(0.7, U=U).observe("energy", "density", "order_parameter", samples=3) for U in (11.0, 9.0)]
    data, folder = xarray.concat(points, "U", data_vars="all", coords="minimal", compat="override"), run.parent / "U"
    (folder / "observe").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    save(data.assign_attrs(points[0].attrs), folder / "observe" / "observables.nc")
    entry = Entry("U", folder)
    found = entry.nearest(model.at(0.7, U=9.4))
    assert found is not None and float(found["U"]) == 9.0 and entry.nearest(model.at(0.71, U=9.4)) is None
    assert view.result(found)["point"] == {"lam": 0.7, "U": 9.0}
    curves = view.describe(entry)["curves"]
    assert (curves["along"], curves["at"], curves["points"]) == ("U", {"lam": 0.7}, [9.0, 11.0])
    assert curves["order_parameter"] == [float(points[1]["order_parameter"]), float(points[0]["order_parameter"])]


@pytest.mark.parametrize(
    ("name", "electrons", "ends"),
    [("n6", 6, [0.2, 1.8]), ("n24", 24, [0.4, 1.6]), ("n54", 54, [0.4, 1.6]), ("lem", 24, [0.4, 1.6])],
)
def test_what_is_shipped_belongs_to_the_shipped_model(name: str, electrons: int, ends: list[float]) -> None:
    entry = catalogue([])[name]
    stored = entry.stored()
    assert stored is not None and list(stored["lam"].values[[0, -1]]) == ends
    vectors = entry.model().hamiltonian.supercell.area
    integral = stored["density"].sum(("a1", "a2")) * vectors / stored["density"].isel(lam=0).size
    np.testing.assert_allclose(integral, electrons, rtol=2e-5)  # single precision


def test_compact_files_lose_nothing_that_was_measured(tmp_path: Path) -> None:
    data = dataset()
    packed = open_results(save(data, tmp_path / "packed.nc", compact=True))
    assert packed["energy"].identical(data["energy"].assign_attrs(packed["energy"].attrs))  # single numbers: exactly
    assert packed["density"].dtype == np.float32
    np.testing.assert_allclose(packed["density"], data["density"], rtol=6e-8)


def test_bounds_and_names(run: Path, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert load("n6").reach == {"lam": (0.0, 2.7)}
    assert requested_state(model, {"lam": "1.2"}).point.tolist() == [1.2, 10.0]
    assert requested_state(model, {"lam": "1.2"}).extrapolating
    twin = tmp_path / "tiny"
    twin.mkdir()
    (twin / "metrics.csv").write_text(METRICS)  # training has begun, its first model is not there yet
    entries = catalogue([str(run), str(twin), "n6"])
    assert list(entries) == ["tiny", "tiny (2)", "n6", "lem", "n24", "n54"]
    known = {"name": "tiny (2)", "available": False, "training": True, "shipped": False}
    assert view.describe(entries["tiny (2)"]) == known
    with pytest.raises(QernelError, match="neither a run folder nor a shipped model"):
        catalogue([str(tmp_path / "none")])
    assert main(["explore", str(tmp_path / "none"), "--no-browser"]) == 2
    with listen(None) as taken:
        assert main(["explore", "n6", "--no-browser", "--port", str(taken.getsockname()[1])]) == 2
    assert "choose another port or leave it out" in capsys.readouterr().err
    assert main(["explore", "--port", "70000"]) == 2


def explored(*arguments: str) -> tuple[subprocess.Popen[str], str]:
    line = [sys.executable, "-m", "qernel.cli", "explore", "--no-browser", *arguments]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    first = process.stdout.readline()
    assert "http://127.0.0.1:" in first, process.communicate()
    return process, first.split()[2]


def assert_silent(process: subprocess.Popen[str], out: str, err: str) -> None:
    """The end is all that the terminal has been told, apart from XLA's alarm about slow machines."""
    assert process.returncode == 0 and out == ""
    assert err.endswith("qernel explore: ended\n") and not re.search("Traceback|ERROR:|Exception", err), err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_in_good_order(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "metrics.csv").write_text(METRICS)  # a run without a model: there is nothing to compile
    process, address = explored(str(tmp_path))
    with closing(HTTPConnection(address.removeprefix("http://").rstrip("/"), timeout=60)) as connection:
        connection.request("GET", "/")
        assert connection.getresponse().read().startswith(b"<!DOCTYPE html>")
        process.send_signal(number)  # the connection is kept alive, and does not hold it up
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and out == "" and err == "qernel explore: ended\n"


def test_ended_in_the_middle_of_forty_moves() -> None:
    """The model compiles, a slider is pulled, and Ctrl-C is pressed until it ends: soon, and without a traceback."""
    process, address = explored("n6")
    port = int(address.rstrip("/").rpartition(":")[2])
    with closing(HTTPConnection(HOST, port, timeout=60)) as connection:  # it answers
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
    with ExitStack() as open_still:
        for index in range(40):
            move = open_still.enter_context(socket.create_connection((HOST, port), timeout=60))
            kind = ("live", "live", "stored")[index % 3]
            line = f"GET /api/{kind}?model=n6&lam={0.5 + 0.0125 * index:.4f} HTTP/1.1"
            move.sendall(f"{line}\r\nHost: {HOST}:{port}\r\n\r\n".encode())
            if index % 2:
                move.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if index % 5:  # the others wait for their answers when the server ends
                move.close()
        begin = time.monotonic()
        while process.poll() is None and time.monotonic() - begin < 60:
            process.send_signal(signal.SIGINT)
            time.sleep(0.02)
        out, err = process.communicate(timeout=60)
    assert_silent(process, out, err)
    assert time.monotonic() - begin < 30  # two seconds and what a busy machine adds


@pytest.mark.slow
@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver (Debian: chromium-driver)")
def test_the_page_in_a_browser(run: Path, tmp_path: Path) -> None:
    """With the keyboard alone: the slider moves, stored and then live densities come; a screenshot is kept."""
    artefacts = Path(os.environ.get("QERNEL_TEST_ARTEFACTS") or tmp_path)
    process, address = explored("n6", str(run))
    try:
        with Browser(tmp_path / "profile") as browser:
            browser.open(address)
            browser.until("return document.querySelectorAll('.panel').length === 2", 60)
            browser.until("return document.querySelector('[data-is=caption]').textContent.includes('stored')", 60)
            slider = ".panel input[type=range]"
            before = float(browser.run(f"return document.querySelector('{slider}').value"))
            browser.type(slider, "\ue014" * 3)  # arrow right
            after = float(browser.run("return document.querySelector('.panel input[type=number]').value"))
            assert after == pytest.approx(before + 0.03)
            shown = "return document.querySelector('caption').textContent"
            browser.until(f"{shown}.startsWith('λ = {after:g}live')", 240)
            painted = """const c = document.querySelector('canvas');
                const d = c.getContext('2d').getImageData(0, 0, c.width, c.height);
                return new Set(new Uint32Array(d.data.buffer)).size > 500"""
            assert browser.run(painted)
            browser.type(slider, "\ue010")  # End: beyond the trained range
            badge = "return document.querySelector('.badge').textContent"
            assert browser.until(f"{badge} === 'extrapolating'", 10)
            assert browser.run("return document.querySelectorAll('#training-chart polyline').length") == 2
            assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
            artefacts.mkdir(parents=True, exist_ok=True)
            browser.screenshot(artefacts / "explore.png")
            assert browser.complaints() == []
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
    assert (artefacts / "explore.png").stat().st_size > 20_000
