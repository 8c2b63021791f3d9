"""What helps those who type: groups of commands, misspelt names, the next step, Tab, folders that will do."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import qernel
from qernel.cli import main
from qernel.cli.advice import advice
from qernel.cli.parser import COMMANDS, GROUPS, build_parser
from qernel.config import load_config
from qernel.errors import QernelError
from qernel.explore.catalogue import catalogue
from qernel.measure.folder import default_folder
from qernel.training.folder import MODEL_FILE, save_model
from qernel.training.run import initial_wavefunction
from runs import settings


def test_help_lists_every_command_once_in_its_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for title, group in GROUPS.items():
        assert f"{title}:" in lines
        for name, summary in group.items():
            (line,) = [line for line in lines if line.startswith(f"  {name} ") and "qernel" not in line.split()[:1]]
            assert line.endswith(summary)
    assert sum(map(len, GROUPS.values())) == len(COMMANDS)


MISSPELT = {
    "command": ("qurey n6", "did you mean query?"),
    "option": ("query n6 --lma 1", "there is no option --lma; did you mean --lam?"),
    "option with a value": ("train n6 --form=n6", "there is no option --form; did you mean --from?"),
    "choice": ("diagnose n6 --lam 1 --group par", "did you mean pair?"),
    "figure": ("plot densty x.nc", "did you mean density?"),
    "preset": ("train n66", "did you mean n6?"),
    "preset key": ("train n6 --set preset=n244", "did you mean n24?"),
    "section": ("train n6 --set trian.seed=1", "did you mean train?"),
    "key": ("train n6 --set train.iteratons=5", "did you mean train.iterations?"),
    "ansatz": ("train n6 --set model.ansatz=psifomer", "did you mean psiformer?"),
    "potential": ("train n6 --set system.potential=moirre", "did you mean moire?"),
    "interaction": ("train n6 --set system.interaction=coulom", "did you mean coulomb?"),
    "observable": ("observe n6 --lam 1 --observable densty", "did you mean density?"),
    "option of an observable": (
        "observe n6 --lam 1 --observable density --set density.gird=4",
        "did you mean grid?",
    ),
    "model": ("query my-rnu --lam 1", "did you mean my-run?"),
    "parameter": ("query my-run --along lma 0.7", "did you mean lam?"),
}


@pytest.mark.parametrize("kind", MISSPELT)
def test_what_was_meant(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    stored(tmp_path / "my-run")
    line, sentence = MISSPELT[kind]
    assert main(line.split()) == 2
    err = capsys.readouterr().err
    assert sentence in err and err.count("\n") == 1


def stored(folder: Path) -> Path:
    """A run folder with a model that costs nothing."""
    config = settings()
    folder.mkdir(parents=True)
    save_model(folder / MODEL_FILE, config, initial_wavefunction(config))
    return folder


def test_a_folder_with_one_model_in_it_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stored(tmp_path / "demo" / "model")
    found = qernel.load("demo")
    assert found.name == "demo" and found.ranges == {"lam": (0.5, 1.0)}
    assert default_folder(found, "demo", "scan") == Path("demo/scan")
    assert catalogue(["demo"])["demo"].folder == Path("demo/model")
    shutil.copytree("demo/model", "demo/other/model")
    with pytest.raises(QernelError, match="demo holds 2 models: name one of demo/model, demo/other/model"):
        qernel.load("demo")
    (tmp_path / "n6").mkdir()  # an empty folder hides no shipped model
    assert qernel.load("n6").config.system.count == 6
    assert default_folder(qernel.load("n6"), "n6", "scan") == Path("n6-scan")
    (tmp_path / "empty").mkdir()
    with pytest.raises(QernelError, match="empty holds no trained model yet"):
        qernel.load("empty")


LINES: dict[str, list[str]] = {
    "query": ["n6", "--lam", "1.05"],
    "scan": ["n6", "--lam", "1", "--out", "a b"],
    "observe": ["n6", "--lam", "1", "--observable", "density", "--out", "out"],
    "project": ["n6", "--lam", "1", "--out", "projected"],
    "demo": [],
    "transition": ["n6-scan"],
    "extrapolate": ["a.nc", "b.nc"],
    "plot": ["density", "n6-observe/observables.nc"],
    "report": ["n6-scan"],
    "export": ["a.nc", "--format", "csv"],
    "hf": ["n6", "--lam", "1", "--out", "hf"],
    "validate": ["n6", "--set", "train.seed=3"],
    "diagnose": ["n6", "--lam", "1"],
    "compare": ["n6", "n24"],
    "interpolate": ["n6"],
    "bench": [],
}
SPEAKS_ITSELF = {"ask", "train", "grow", "models", "submit", "explore", "completion"}


def parsed(command: str, *words: str) -> argparse.Namespace:
    options: Any = build_parser().parse_args([command, *words])
    options.line = ["qernel", command, *words]
    return options  # type: ignore[no-any-return]


def test_every_command_says_what_is_next(capsys: pytest.CaptureFixture[str]) -> None:
    """In words that can be typed, where a command is named; nothing where a program reads what is printed."""
    assert set(LINES) | SPEAKS_ITSELF == set(COMMANDS)
    said = {command: advice(parsed(command, *words)) for command, words in LINES.items()}
    assert all(text.startswith("next: ") for text in said.values()), said
    assert said["scan"] == "next: qernel transition 'a b', or qernel report 'a b'"
    assert said["query"].startswith("next: qernel observe n6 --lam 1.05 --observable density")
    assert said["validate"] == "next: qernel train n6 --set train.seed=3"
    assert advice(parsed("query", "n6", "--lam", "1", "--json")) == ""
    assert advice(parsed("export", "a.nc", "--format", "csv", "--variable", "energy")) == ""
    assert advice(parsed("train", "n6")) == ""


def test_what_validate_says_is_a_configuration(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    (tmp_path / "it.toml").write_text(settings().to_toml())
    assert main(["validate", str(tmp_path / "it.toml")]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == f"# next: qernel train {tmp_path / 'it.toml'}"
    (tmp_path / "again.toml").write_text(out)
    assert load_config(tmp_path / "again.toml") == settings()


TAB = """
tab() {
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
    _shtab_qernel qernel "${@: -1}" "${@: -2:1}"; echo "${COMPREPLY[@]}"
}
tab qernel qu
tab qernel query n
tab qernel train n2
tab qernel query n6 --sam
tab qernel observe n6 --observable dens
tab qernel transition -
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="completes in bash")
def test_tab_completes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "qernel"
    script.write_text(capsys.readouterr().out + TAB)
    done = subprocess.run(["bash", str(script)], capture_output=True, text=True, cwd=tmp_path, check=True)
    command, model, preset, option, observable, options = done.stdout.splitlines()
    assert command == "query" and model.split() == [name for name in qernel.shipped() if name.startswith("n")]
    assert preset.split() == ["n2", "n24"] and option == "--samples"
    assert observable.split() == ["density", "density_order"] and "--json" in options.split()
    assert main(["completion", "zsh"]) == 0
    assert capsys.readouterr().out.startswith("#compdef qernel")


@pytest.mark.skipif(shutil.which("fish") is None, reason="completes in fish")
def test_tab_completes_in_fish(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["completion", "fish"]) == 0
    (tmp_path / "qernel.fish").write_text(capsys.readouterr().out)
    lines = ("qernel qu", "qernel query n", "qernel train n2", "qernel query n6 --sam", "qernel plot densi")
    words = [f'complete -C "{line}" | string split -f1 \\t | string join " "' for line in lines]
    script = "; ".join([f"source {tmp_path}/qernel.fish", *words])
    shell = ["fish", "--no-config", "-c", f"{script}; true"]
    done = subprocess.run(shell, capture_output=True, text=True, cwd=tmp_path, check=True)
    command, models, presets, option, figure = done.stdout.splitlines()
    assert command == "query" and {"n6", "n24"} <= set(models.split()) and presets.split() == ["n2", "n24"]
    assert option == "--samples" and figure == "density"


def test_the_script_for_fish_names_every_command_and_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "fish"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in COMMANDS:
        assert any(line.startswith(f"complete -c qernel -n __fish_use_subcommand -a {name} -d ") for line in lines)
    assert any("from query' -l precision -x" in line for line in lines)
    assert any("from train' -l resume -d" in line for line in lines), "flags take nothing"
    assert not any((line.count("'") - line.count("\\'")) % 2 for line in lines), "every quote is closed"
