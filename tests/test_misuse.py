"""Misspelt and misplaced input: one sentence with a way out, exit code 2, nothing written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import qernel
from qernel.cli import main
from qernel.training.folder import MODEL_FILE, save_model
from qernel.training.run import initial_wavefunction
from runs import settings

MISSPELT = {
    "qurey n6 --lam 1": "did you mean query?",
    "trian n6": "did you mean train?",
    "query n6 --lma 1": "did you mean --lam?",
    "query n6 -lam 1": "did you mean --lam?",
    "query n6 --lam 1 --sample 20": "did you mean --samples?",
    "train n6 --resum": "did you mean --resume?",
    "ask --matrial WSe2/WS2": "did you mean --material?",
    "ask --material WSe2/WS3": "did you mean WSe2/WS2?",
    "ask --material defualt": "did you mean default?",
    "query n66 --lam 1": "did you mean n6?",
    "query my-rnu --lam 1": "did you mean my-run?",
    "explore n244": "did you mean n24?",
    "hf n66 --lam 1": "did you mean n6?",
    "train n6 --set trian.seed=1": "did you mean train?",
    "train n6 --set train.iteratons=5": "did you mean train.iterations?",
    "train n6 --set model.ansatz=psifomer": "did you mean psiformer?",
    "train n6 --set system.potential=moirre": "did you mean moire?",
    "train n6 --set system.interaction=dualgate": "did you mean dual_gate?",
    "observe n6 --lam 1 --observable densty": "did you mean density?",
    "observe n6 --lam 1 --observable density --set density.gird=4": "did you mean grid?",
    "plot densty x.nc": "did you mean density?",
    "query my-run --along lma 0.7": "did you mean lam?",
    "diagnose n6 --lam 1 --group par": "did you mean pair?",
    "completion bsah": "did you mean bash?",
    "export x.nc --format cvs": "did you mean csv?",
    "scan n6 --lam 1 --sweeps upp": "did you mean up?",
    "grow my-rnu n6": "did you mean my-run?",
}
"""A command line, and the name that it most likely meant."""

MISPLACED = {
    "query n6": "--lam",
    "query n6 --lam": "--lam",
    "query n6 --lam one": "'one' is not a number",
    "query n6 --lam 0.4:1.4": "FIRST:LAST:COUNT",
    "query --lam 1 n6": "is not a number, nor a grid such as 0.4:1.4:21 (the name comes before --lam)",
    "query n6 --lam -1": "--extrapolate",
    "query n6 --lam -1:1:3": "--extrapolate",
    "query n6 --lam -1,2": "'-1,2' is not a number",
    "query n6 --depth -5": "(depth 0 to 40.5 meV)",
    "query lem --lam 1 --supercell -1,2,3,4": "has 10 moiré cells",
    "query n6 --lam 1 --twist -1/3,1/3": "belongs to 6 electrons",
    "query n6 --lam 1 --twist -1/3": "'-1/3' is no twist",
    "query n6 --lam 1 --at U=9": "is its only parameter",
    "query n6 --lam 1 --depth 15": "not allowed with",
    "query n6 --lam 1 --electrons 54": "belongs to 6 electrons",
    "query n6 --lam 1 --samples 1": "at least 2",
    "query n6 --lam 1 --samples 20 --precision 0.01": "give one of them",
    "query n6 --lam 1 --precision 0": "not a positive number",
    "query nothing.toml --lam 1": "neither a run folder nor a shipped model",
    "query empty --lam 1": "holds no trained model yet",
    "scan n6 --lam 1 --over U 9": "n6 is not conditioned on U",
    "scan n6 --lam 1 --out mine/note.txt": "mine/note.txt",
    "train my-run": "my-run",
    "train n6 --set train.walkers": "is not section.key=value: write e.g.",
    "train n6 --set train.walkers=many": "train.walkers",
    "train n6 --set system.electrons=-2": "system.electrons",
    "hf n6 --lam 1 --out mine": "choose another --out",
    "hf n6 --lam 1 --cutoff -5": "not a positive number",
    "transition nowhere": "nowhere",
    "report nowhere": "nowhere",
    "plot density mine/note.txt": "mine/note.txt",
    "submit train": "name a configuration before the steps",
    "submit n6 train --electrons 54": "add the step scan",
    "submit n6 scan --electrons 54 --lam 1 --dry-run": "belongs to 6 electrons",
    "explore --electrons 54": "name the model",
    "ask --material default --depth 5nm": "is no energy",
    "ask --material default --period 8meV": "is no length",
    "ask --material default --filling 5": "at most 2",
    "ask --material default --filling -2/3": "--filling -2/3 is not above 0",
    "ask --material default --depth -5meV": "--depth -5meV is not above 0: give e.g. 5meV",
    "ask --material default --period -8nm": "--period -8nm is not above 0",
    "ask": "must be given",
    "compare n6 n6": "two configurations are called",
}
"""A command line, and what the sentence has to say."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a run in it, an empty folder, and a note of the user's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    config = settings()
    for name in ("my-run", "empty", "mine"):
        Path(name).mkdir()
    save_model(Path("my-run") / MODEL_FILE, config, initial_wavefunction(config))
    Path("mine/note.txt").write_text("thesis")
    return tmp_path


def test_there_are_forty_of_them_and_most_commands() -> None:
    assert len(MISSPELT) + len(MISPLACED) >= 40
    assert len({line.split()[0] for line in MISPLACED}) >= 10


@pytest.mark.parametrize(("line", "words"), (MISSPELT | MISPLACED).items())
def test_one_sentence_and_nothing_written(
    line: str, words: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(place)
    assert main(line.split()) == 2
    out, err = capsys.readouterr()
    assert words in err and err.startswith("qernel: error: "), err
    assert err.count("\n") == 1 and "Traceback" not in err and not out, (out, err)
    assert len(err) < 600 and err.rstrip()[-1] not in ".!"
    assert contents(place) == before


def contents(folder: Path) -> dict[Path, bytes]:
    """Every file and folder inside."""
    return {path: path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def test_python_says_the_same_sentences() -> None:
    """Names that do not exist, asked for in Python."""
    with pytest.raises(qernel.QernelError, match=r"did you mean n6\?"):
        qernel.load("n66")
    with pytest.raises(qernel.QernelError, match=r"did you mean WSe2/WS2\?"):
        qernel.ask("WSe2/WS3")
