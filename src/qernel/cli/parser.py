"""What can be typed on the command line."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import Any, NoReturn

import qernel

BENCH_STAGES = ("forward", "local_energy", "gradient", "sampling", "step")
"""What ``qernel bench`` can time."""

MAX_POINTS = 10_000
"""Most λ one command measures; a longer grid is a typing error."""

_DESCRIPTION = "Neural-network variational Monte Carlo of moiré electrons: one wavefunction for a whole range of λ."

_EPILOG = """\
λ is the factor on the moiré depth V0; energies are per electron in E0 = ħ²/(m* a_M²).

examples:
  qernel train n6                                  train the preset n6 into runs/n6
  qernel train my.toml --set train.walkers=64      train a configuration of your own, with one change
  qernel query runs/n6 --lam 0.5 1.05              energies at two λ
  qernel scan runs/n6 --lam 0.4:1.4:21             a table and the phase diagram, in runs/n6/scan
  qernel hf n6 --lam 0.4:1.4:11 --out hf-n6        Hartree–Fock, to compare with
  qernel validate my.toml                          check a configuration and estimate its cost
"""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        """Report ``message`` in the form every error of Qernel has, and leave with code 2."""
        self.exit(2, f"qernel: error: {message} (see {self.prog} --help)\n")


class _Version(argparse.Action):
    """``--version``."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(f"qernel {qernel.__version__}")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``qernel``; the chosen command is in ``options.command``."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = Parser(
        prog="qernel", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=formatter, allow_abbrev=False
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, summary: str, description: str = "") -> argparse.ArgumentParser:
        text = description or summary[:1].upper() + summary[1:] + "."
        return commands.add_parser(name, help=summary, description=text, allow_abbrev=False)

    train = command("train", "train one wavefunction over a range of λ")
    _add_config(train)
    train.add_argument("--out", metavar="RUN", help="run folder to write (default: runs/CONFIG)")
    train.add_argument("--resume", action="store_true", help="go on with the run in that folder")

    query = command("query", "energies of a trained wavefunction at given λ")
    _add_measurement(query)
    query.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    scan = command("scan", "a table of energies and the phase diagram over a grid of λ")
    _add_measurement(scan)
    scan.add_argument("--out", metavar="DIR", help="folder to write (default: RUN/scan, or NAME-scan)")
    scan.add_argument("--json", action="store_true", help="print the results as one JSON object and nothing else")

    hf = command(
        "hf",
        "unrestricted Hartree–Fock at given λ, without training",
        "The best Slater determinants in plane waves: liquid and crystal branches, from many starts and sweeps up and "
        "down in λ. Parameters of the family other than λ are taken in the middle of their intervals.",
    )
    _add_config(hf)
    _add_lam(hf)
    hf.add_argument(
        "--cutoff",
        metavar="E0",
        type=_positive,
        default=None,
        help="kinetic cut-off of the plane waves in E0 (default: 300)",
    )
    hf.add_argument("--out", metavar="DIR", help="folder to write: all branches as JSON, and figures")
    hf.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    validate = command(
        "validate",
        "check a configuration; print it in full, with units and cost",
        "Check a configuration without running it. The output is the complete configuration, in TOML, with what "
        "follows from it in comments: units, size of the model, memory and time.",
    )
    _add_config(validate)

    models = command("models", "list the trained models that come with Qernel")
    models.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    bench = command(
        "bench",
        "time every stage of training beside a general forward Laplacian",
        "Time log ψ, local energy, score rows, sampling and a whole training iteration per walker, in turns with the "
        "same computation through a general forward-Laplacian library, and write DIR/bench.txt and DIR/bench.json.",
    )
    bench.add_argument(
        "--electrons",
        metavar="N",
        nargs="+",
        type=_whole(1),
        default=[6, 24, 54],
        help="systems of filling 2/3: 2, 6, 24, 54, 96, 150 (default: 6 24 54)",
    )
    bench.add_argument(
        "--stage", nargs="+", choices=BENCH_STAGES, default=list(BENCH_STAGES), help="stages (default: all)"
    )
    bench.add_argument(
        "--devices",
        metavar="N",
        type=_whole(1),
        default=1,
        help="devices; CPU cores are limited to as many (default: 1)",
    )
    bench.add_argument("--out", metavar="DIR", default="qernel-bench", help="folder to write (default: %(default)s)")
    bench.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    _add_overrides(bench)

    demo = command(
        "demo",
        "train six electrons over λ, then draw their phase diagram",
        "Train the preset n6 (six electrons on 3×3 moiré cells, a few minutes on two cores) into DIR/model, or take "
        "the model that is there, and measure it at eleven λ from 0.4 to 1.4 into DIR.",
    )
    demo.add_argument("--out", metavar="DIR", default="qernel-demo", help="folder to write (default: %(default)s)")
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG", help="a TOML file or the name of a preset (n2, n3, n6, n24, ...)")
    _add_overrides(parser)


def _add_overrides(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        metavar="SECTION.KEY=VALUE",
        nargs="+",
        action="extend",
        default=[],
        help="replace values of the configuration, e.g. --set train.iterations=500 system.dielectric=6",
    )


def _add_lam(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lam",
        metavar="λ",
        nargs="+",
        type=lam_values,
        action="extend",
        required=True,
        help="values, or a grid FIRST:LAST:COUNT with both ends included, e.g. --lam 0.5 1.05 or --lam 0.4:1.4:21",
    )


def _add_measurement(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder or the name of a shipped model")
    _add_lam(parser)
    parser.add_argument(
        "--at",
        metavar="NAME=VALUE",
        nargs="+",
        type=_assignment,
        action="extend",
        default=[],
        help="values of the other parameters the model is conditioned on, e.g. --at U=9.5",
    )
    parser.add_argument("--samples", metavar="N", type=_whole(2), help="records per chain (default: as configured)")
    parser.add_argument("--walkers", metavar="N", type=_whole(2), help="chains per λ (default: as configured)")
    parser.add_argument("--seed", metavar="N", type=_whole(0), help="seed of the chains (default: as configured)")


def lam_values(text: str) -> tuple[float, ...]:
    """``"1.05"`` or a grid ``"0.4:1.4:21"`` as numbers.

    Raises:
        argparse.ArgumentTypeError: if it is neither.
    """
    parts = text.split(":")
    if len(parts) == 1:
        return (_number(text, text),)
    if len(parts) != 3:
        raise argparse.ArgumentTypeError(f"{text!r} is not FIRST:LAST:COUNT, e.g. 0.4:1.4:21")
    first, last = _number(parts[0], text), _number(parts[1], text)
    if not parts[2].isdecimal() or not 1 <= int(parts[2]) <= MAX_POINTS:
        raise argparse.ArgumentTypeError(f"{text!r} needs a whole COUNT from 1 to {MAX_POINTS}, e.g. 0.4:1.4:21")
    count = int(parts[2])
    if count == 1:
        if first != last:
            raise argparse.ArgumentTypeError(f"{text!r} needs at least 2 points to include both ends")
        return (first,)
    # Rounded, so that 0.2:1.8:33 contains 0.25 and not 0.25000000000000006.
    return tuple(float(f"{first + (last - first) * index / (count - 1):.12g}") for index in range(count))


def flatten(values: Sequence[tuple[float, ...]]) -> list[float]:
    """All λ of a command in the order given, each once."""
    return list(dict.fromkeys(lam for group in values for lam in group))


def _number(
    text: str, whole: str, hint: str = ", nor a grid such as 0.4:1.4:21 (the name comes before --lam)"
) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        hint = "" if ":" in whole else hint
        raise argparse.ArgumentTypeError(f"{whole!r} is not a number{hint}")
    return value + 0.0  # no negative zero


def _assignment(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, e.g. U=9.5")
    return name, _number(value, value, hint="")


def _positive(text: str) -> float:
    value = _number(text, text, hint="")
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return value


def _whole(least: int) -> Any:
    def convert(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) < 2**31:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
        return int(text)

    return convert
