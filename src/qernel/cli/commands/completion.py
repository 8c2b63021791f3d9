"""``qernel completion``."""

from __future__ import annotations

import argparse
from typing import Any

SHELLS = ("bash", "zsh", "fish")
_SHTAB = ("bash", "zsh")

_MODELS, _CONFIGS, _OBSERVABLES, _FOLDERS, _FILES = "models", "configs", "observables", "folders", "files"
_PLACES = {
    **dict.fromkeys(("RUN", "SOURCE", "MODEL"), _MODELS),
    **dict.fromkeys(("CONFIG", "CONFIG ... [STEP ...]"), _CONFIGS),
    **dict.fromkeys(("DIR", "FOLDER"), _FOLDERS),
    **dict.fromkeys(("FILE", "PATH", "DATA"), _FILES),
}
"""What is completed, by the name that the help has for an argument."""

_BASH = """
_qernel_models() {{ compgen -W "{models}" -- "$1"; compgen -d -- "$1"; }}
_qernel_configs() {{ compgen -W "{configs}" -- "$1"; compgen -f -X '!*.toml' -- "$1"; compgen -d -- "$1"; }}
"""

_ZSH = """
_qernel_models() {{ _alternative "models:shipped model:({models})" "runs:run folder:_files -/" }}
_qernel_configs() {{ _alternative "presets:preset:({configs})" "files:configuration:_files" }}
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel completion``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = """\
Print a script that completes commands, options, names of models, presets, observables and figures on Tab.

  bash: qernel completion bash > ~/.local/share/bash-completion/completions/qernel
  zsh:  qernel completion zsh > ~/.zfunc/_qernel    (with fpath+=~/.zfunc before compinit in ~/.zshrc)
  fish: qernel completion fish > ~/.config/fish/completions/qernel.fish

Shells that are started afterwards read it; once more after an update."""
    parser.add_argument("shell", choices=SHELLS, help="whose script")


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    from qernel.cli.parser import COMMANDS, CommandParser, build_parser
    from qernel.cli.shared import fish

    parser, commands = build_parser(), {}
    for action in parser._actions:
        for name, command in (action.choices or {}).items() if isinstance(action.choices, dict) else ():
            assert isinstance(command, CommandParser)
            command.declared()
            commands[name] = command
    if options.shell == "fish":
        print(fish.script(commands, COMMANDS, _words))
    else:
        print(_of_shtab(parser, commands, options.shell))
    return 0


def _names() -> dict[str, str]:
    """Models and presets there are."""
    from qernel.config import presets
    from qernel.measure.shelf import shipped

    return {_MODELS: " ".join(shipped()), _CONFIGS: " ".join(presets())}


def _of_shtab(parser: argparse.ArgumentParser, commands: dict[str, Any], shell: str) -> str:
    import shtab

    for command in commands.values():
        for argument in command._actions:
            _complete(argument)
    names = _names()
    preamble = {"bash": _BASH.format(**names), "zsh": _ZSH.format(**names)}
    script: str = shtab.complete(parser, shell=shell, preamble=preamble[shell])
    return script


def _complete(argument: Any) -> None:
    """Say what an argument takes, as `shtab` reads it."""
    import shtab

    kind = _kind(argument)
    if kind == _OBSERVABLES:
        from qernel.observables import names

        argument.choices = tuple(names())
    elif kind in (_MODELS, _CONFIGS):
        argument.complete = dict.fromkeys(_SHTAB, f"_qernel_{kind}")
    elif kind == _FOLDERS:
        argument.complete = shtab.DIRECTORY
    elif kind == _FILES:
        argument.complete = shtab.FILE


def _words(argument: Any) -> str:
    """The same for fish."""
    from qernel.cli.shared import fish

    kind = _kind(argument)
    if kind == _OBSERVABLES:
        from qernel.observables import names

        return " ".join(names())
    if kind in (_MODELS, _CONFIGS):
        return f"{_names()[kind]} {fish.DIRECTORIES if kind == _MODELS else fish.FILES}"
    if kind:
        return fish.DIRECTORIES if kind == _FOLDERS else fish.FILES
    return " ".join(map(str, argument.choices)) if argument.choices else ""


def _kind(argument: Any) -> str:
    """What an argument takes; empty where it is nothing that could be completed."""
    metavar = argument.metavar if isinstance(argument.metavar, str) else ""
    if argument.dest == "observable" and argument.choices is None:
        return _OBSERVABLES
    return _PLACES.get(metavar, "")
