"""``qernel completion``."""

from __future__ import annotations

import argparse
from typing import Any

SHELLS = ("bash", "zsh")

_MODELS, _CONFIGS = "models", "configs"
_PLACES = {"RUN": _MODELS, "SOURCE": _MODELS, "MODEL": _MODELS, "CONFIG": _CONFIGS}
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

Shells that are started afterwards read it; once more after an update."""
    parser.add_argument("shell", choices=SHELLS, help="whose script")


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    from qernel.cli.parser import CommandParser, build_parser
    from qernel.config import presets
    from qernel.measure.shelf import shipped

    parser = build_parser()
    for action in parser._actions:
        for command in (action.choices or {}).values() if isinstance(action.choices, dict) else ():
            assert isinstance(command, CommandParser)
            command.declared()
            for argument in command._actions:
                _complete(argument)
    names = {_MODELS: " ".join(shipped()), _CONFIGS: " ".join(presets())}
    preamble = {"bash": _BASH.format(**names), "zsh": _ZSH.format(**names)}
    print(shtab.complete(parser, shell=options.shell, preamble=preamble[options.shell]))
    return 0


def _complete(argument: Any) -> None:
    """Say what an argument takes."""
    import shtab

    from qernel.observables import names

    place = _PLACES.get(argument.metavar if isinstance(argument.metavar, str) else "")
    if argument.dest == "observable" and argument.choices is None:
        argument.choices = tuple(names())
    elif place is not None:
        argument.complete = dict.fromkeys(SHELLS, f"_qernel_{place}")
    elif argument.metavar in ("DIR", "FOLDER"):
        argument.complete = shtab.DIRECTORY
    elif argument.metavar in ("FILE", "PATH", "DATA"):
        argument.complete = shtab.FILE
