"""Checkpoints: old formats load, damage is found and passed over, a write that fails takes nothing with it."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from qernel.config import load_config
from qernel.errors import DamagedFile, OtherRun, RunError
from qernel.files import write_atomically
from qernel.optimise import Tuning
from qernel.optimise.spring import SpringState
from qernel.sampling.metropolis import Walkers
from qernel.training.checkpoint import Checkpoints
from qernel.training.metrics import MetricsFile
from qernel.training.run import initial_state, initial_wavefunction
from qernel.training.state import TrainState
from qernel.training.tensors import fit, read_tensors, write_tensors
from runs import checkpoints, config, hashes, special

STUDY = Path(__file__).parent / "data" / "earlier_run"


@pytest.fixture
def state() -> TrainState:
    """A state of the right build and no meaning."""
    numbers = np.arange(12, dtype=np.float32)
    return TrainState(
        parameters=numbers,
        average=numbers / 2,
        optimiser=SpringState(-numbers, np.int32(0)),
        walkers=Walkers(numbers.reshape(1, 3, 2, 2), numbers[:3].reshape(1, 3), numbers[:1]),
        fractions=np.full((1, 1), 0.5, np.float32),
        key=np.array([1, 2], np.uint32),
        iteration=np.int32(0),
        tuning=Tuning(np.float64(1.0), np.float64(1.0)),
    )


def at(state: TrainState, iteration: int) -> TrainState:
    """The state with another iteration and a mark of it in the parameters."""
    parameters = np.concatenate([np.float32([iteration]), state.parameters[1:]])
    return state._replace(iteration=np.int32(iteration), parameters=parameters)


@pytest.fixture
def store(tmp_path: Path, state: TrainState) -> Checkpoints:
    """Checkpoints of iterations 100, 200 and 300."""
    store = Checkpoints(tmp_path, config().fingerprint(), keep=3)
    for iteration in (100, 200, 300):
        store.save(at(state, iteration), finished=False)
    return store


def test_the_newest_is_loaded_and_the_oldest_goes(store: Checkpoints, state: TrainState, tmp_path: Path) -> None:
    store.save(at(state, 400)._replace(tuning=Tuning(np.float64(0.5), np.float64(4.0))), finished=True)
    assert [p.stem[-3:] for p in checkpoints(tmp_path)] == ["400", "300", "200"]
    loaded = store.load(state)
    assert loaded.finished and loaded.passed_over == () and store.finished()
    assert float(loaded.state.tuning.rate) == 0.5 and float(loaded.state.tuning.damping) == 4.0
    wanted = at(state, 400)._replace(tuning=loaded.state.tuning)
    for one, other in zip(jax.tree.leaves(loaded.state), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_earlier_state_takes_the_place_of_later_ones(store: Checkpoints, state: TrainState, tmp_path: Path) -> None:
    store.save(at(state, 150), finished=False)
    assert [int(p.stem[-9:]) for p in checkpoints(tmp_path)] == [150, 100]


def test_checkpoints_of_others_are_kept(state: TrainState, tmp_path: Path) -> None:
    """Whatever another run has put there, before, after or in the place of what is written, stays under a new name."""
    said: list[str] = []
    store = Checkpoints(tmp_path, config().fingerprint(), 2, notice=said.append)
    other = Checkpoints(tmp_path / "other", config(seed=9).fingerprint(), keep=9)
    same = Checkpoints(tmp_path / "same", config().fingerprint(), keep=9)
    for folder in ("other", "same"):
        (tmp_path / folder).mkdir()
    theirs = {}
    for iteration in (100, 300, 500):
        source = other.save(at(state, iteration), finished=False)
        theirs[source.name] = source.read_bytes()
        shutil.copy(source, tmp_path)
    store.save(at(state, 100), finished=False)
    later = same.save(at(state, 900), finished=True)
    shutil.copy(later, tmp_path)
    (tmp_path / "checkpoint-000000700.safetensors").write_bytes(b"damaged")
    for iteration in (200, 300):
        store.save(at(state, iteration), finished=False)
    kept = {p.name.removesuffix(".kept-1"): p.read_bytes() for p in tmp_path.glob("*.kept-1")}
    assert kept == theirs | {later.name: later.read_bytes()}
    assert [int(p.stem[-9:]) for p in checkpoints(tmp_path)] == [300, 200]
    assert len(said) == 4 and all("kept as checkpoint-000000" in sentence for sentence in said)
    shutil.copy(tmp_path / "other" / "checkpoint-000000500.safetensors", tmp_path)
    store.save(at(state, 400), finished=False)
    assert (tmp_path / "checkpoint-000000500.safetensors.kept-2").exists(), "no kept file is replaced"


@pytest.mark.parametrize("kind", ["fifo", "folder", "socket", "link to nothing"])
def test_what_is_no_file_is_passed_over_and_kept(
    kind: str, store: Checkpoints, state: TrainState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    path = Path("checkpoint-000000400.safetensors")
    special(kind, path)
    loaded = store.load(state)
    assert int(loaded.state.iteration) == 300 and len(loaded.passed_over) == 1
    store.save(at(state, 400), finished=False)
    assert path.is_file() and not path.is_symlink()
    assert [os.path.lexists(f"{path}.kept-1"), Path(f"{path}.kept-1").is_file()] == [True, False]


def test_the_devices_of_a_run_are_written_down(store: Checkpoints, state: TrainState) -> None:
    assert store.load(state).devices is None
    store.save(at(state, 400), finished=False, devices="2 cpu devices")
    assert store.load(state).devices == "2 cpu devices"


def flipped(content: bytes) -> bytes:
    middle = len(content) - 50
    return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]


def header_flipped(content: bytes) -> bytes:
    return content.replace(b"fingerprint", b"fingerprinT")


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda content: content[: len(content) // 2],
    "one bit": flipped,
    "header": header_flipped,
    "empty": lambda content: b"",
    "foreign": lambda content: b"PK\x03\x04 something else",
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_checkpoint_is_passed_over(kind: str, store: Checkpoints, state: TrainState, tmp_path: Path) -> None:
    newest = checkpoints(tmp_path)[0]
    newest.write_bytes(DAMAGE[kind](newest.read_bytes()))
    loaded = store.load(state)
    assert int(loaded.state.iteration) == 200 == loaded.state.parameters[0]
    assert len(loaded.passed_over) == 1 and newest.name in loaded.passed_over[0] and "damaged" in loaded.passed_over[0]


@pytest.mark.parametrize("change", [{"parameters": np.zeros(3, np.float32)}, {"iteration": np.int64(300)}])
def test_other_shapes_and_types_are_passed_over(
    change: dict[str, Any], store: Checkpoints, state: TrainState, tmp_path: Path
) -> None:
    store.save(at(state, 400)._replace(**{"iteration": np.int32(400), **change}), finished=False)
    if "iteration" in change:
        checkpoints(tmp_path)[0].rename(tmp_path / "checkpoint-000000500.safetensors")
    loaded = store.load(state)
    assert "this configuration needs" in loaded.passed_over[0]


def test_if_none_is_left_nothing_changes(store: Checkpoints, state: TrainState, tmp_path: Path) -> None:
    for path in checkpoints(tmp_path):
        path.write_bytes(b"no")
    before = hashes(tmp_path)
    with pytest.raises(RunError, match="and so are 2 older ones; nothing was changed"):
        store.load(state)
    assert hashes(tmp_path) == before
    assert not store.finished()


def test_another_configuration_is_not_damage(store: Checkpoints, state: TrainState, tmp_path: Path) -> None:
    with pytest.raises(OtherRun, match="another configuration"):
        Checkpoints(tmp_path, config(seed=9).fingerprint(), keep=3).load(state)


# Formats


def old_file(path: Path, state: TrainState, **metadata: str) -> None:
    """A checkpoint as format 1 wrote it: no checksum, no tuning, made by hand."""
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    tensors = {jax.tree_util.keystr(key, simple=True, separator="."): np.asarray(leaf) for key, leaf in leaves}
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("tuning")}
    header = {"format": "1", "fingerprint": config().fingerprint(), "finished": "false", "iteration": "7"}
    save_file(kept, path, metadata={**header, **metadata})


def test_format_1_is_migrated(state: TrainState, tmp_path: Path) -> None:
    old_file(tmp_path / "checkpoint.safetensors", at(state, 7))
    loaded = Checkpoints(tmp_path, config().fingerprint(), keep=3).load(state)
    assert int(loaded.state.iteration) == 7 == loaded.state.parameters[0]
    assert float(loaded.state.tuning.rate) == float(loaded.state.tuning.damping) == 1.0


def test_the_study_can_be_resumed(tmp_path: Path) -> None:
    settings = load_config(STUDY / "config.toml")
    shutil.copy(STUDY / "checkpoint.safetensors", tmp_path)
    wavefunction = initial_wavefunction(settings, start=False)
    template = jax.eval_shape(lambda: initial_state(settings, wavefunction))
    loaded = Checkpoints(tmp_path, settings.fingerprint(), keep=3).load(template)
    assert int(loaded.state.iteration) == 7489 and not loaded.finished


def test_a_later_format_is_refused_at_once(store: Checkpoints, state: TrainState, tmp_path: Path) -> None:
    """Falling back would lose what a newer version has done since."""
    path = checkpoints(tmp_path)[0]
    tensors, metadata = read_tensors(path)
    kept = {key: value for key, value in metadata.items() if key not in ("sha256", "format")}
    write_tensors(path, tensors, {**kept, "format": "3"})
    with pytest.raises(RunError, match="format 3, this version of Qernel reads up to 2"):
        store.load(state)
    assert len(checkpoints(tmp_path)) == 3


def test_every_byte_counts(tmp_path: Path) -> None:
    """Whichever byte of a small file is altered, the file is refused."""
    path = tmp_path / "x.safetensors"
    tree = {"a": np.arange(6, dtype=np.float32), "b": np.int32(3)}
    write_tensors(path, tree, {"config": "x = 1"})
    content = path.read_bytes()
    restored = fit(path, read_tensors(path).tensors, tree)
    np.testing.assert_array_equal(restored["a"], tree["a"])
    accepted = []
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        try:
            fit(path, read_tensors(path).tensors, tree)
        except DamagedFile:
            continue
        accepted.append(content[max(place - 8, 0) : place + 1])
    # White space after the header carries nothing.
    assert accepted == [] or all(text.endswith(b" ") for text in accepted)


def test_the_checksum_of_version_0_1_is_kept(tmp_path: Path) -> None:
    """The digest is part of the format: a change of how it is computed would refuse every existing file."""
    write_tensors(tmp_path / "x", {"a": np.arange(3, dtype=np.float32)}, {"config": "λ = 1"})
    with safe_open(tmp_path / "x", framework="numpy") as handle:
        header = json.loads(handle.metadata()["qernel"])
    assert header["format"] == "2"
    assert header["sha256"] == DIGEST


DIGEST = "aff28bc9499d4ab3fff016e5abfeeffafa01678024ba744017b4786ea8ee3249"


# Writing


@contextmanager
def small_disk(size: int) -> Iterator[None]:
    """Writes beyond ``size`` bytes of a file fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_leaves_what_was_there(store: Checkpoints, state: TrainState, tmp_path: Path) -> None:
    before = hashes(tmp_path)
    with small_disk(100), pytest.raises(OSError):
        store.save(at(state, 400), finished=False)
    assert hashes(tmp_path) == before
    with small_disk(100), pytest.raises(OSError):
        store.save(at(state, 300), finished=False)
    assert hashes(tmp_path) == before, "nor is a file of the same name lost"


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_leaves_what_was_there(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fails(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(f"os.{call}", fails)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["file"] and path.read_bytes() == b"old"


class Killed(BaseException):
    """Stands in for SIGKILL."""


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_killed_write_leaves_what_was_there(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(f"os.{call}", killed)
        with pytest.raises(Killed):
            write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    write_atomically(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["file"] and path.read_bytes() == b"new"


def test_metrics_keep_whole_lines_up_to_the_state(tmp_path: Path) -> None:
    """What a killed process leaves: lines newer than the checkpoint, the last of them cut, possibly mid-character."""
    path = tmp_path / "metrics.csv"
    MetricsFile(path, ("lam",), 0).close()
    header = path.read_bytes()
    columns = header.count(b",")
    lines = [f"{i},0{',1' * (columns - 1)}\r\n".encode() for i in range(1, 6)]
    for cut in range(1, len(lines[4])):
        path.write_bytes(header + b"".join(lines[:4]) + lines[4][:cut])
        MetricsFile(path, ("lam",), 3).close()
        assert path.read_bytes() == header + b"".join(lines[:3])
    path.write_bytes(header + lines[0] + b"\xff\x00\xfe\n" + lines[1])
    MetricsFile(path, ("lam",), 3).close()
    assert path.read_bytes() == header + lines[0] + lines[1]
