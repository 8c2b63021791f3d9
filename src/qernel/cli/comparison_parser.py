"""The commands that train several models and compare them."""

from __future__ import annotations

from qernel.cli.arguments import add_config, add_overrides, positive, whole
from qernel.cli.results_parser import AddCommand, add_lam


def add_comparison_commands(command: AddCommand) -> None:
    """``compare`` and ``interpolate``."""
    _add_compare(command)
    _add_interpolate(command)


def _add_compare(command: AddCommand) -> None:
    compare = command(
        "compare",
        "train several models under equal conditions and compare their accuracy",
        "Train every configuration with every seed, measure all of them at the same λ on fresh chains, and report "
        "excess energies per electron against parameters and training time, with the ratios of both between ansätze "
        "at equal accuracy. "
        "The same command goes on where it was stopped; nothing is trained or measured twice.",
    )
    compare.add_argument(
        "configs", metavar="CONFIG", nargs="+", help="TOML files or presets that differ in [model] alone"
    )
    compare.add_argument("--seeds", metavar="N", nargs="+", type=whole(0), default=[1, 2, 3], help="default: 1 2 3")
    add_lam(compare, required=False)
    budget = compare.add_mutually_exclusive_group()
    budget.add_argument(
        "--budget-s", metavar="S", type=positive, help="seconds of training steps per run, compilation excluded"
    )
    budget.add_argument("--iterations", metavar="N", type=whole(1), help="iterations per run (default: as configured)")
    compare.add_argument(
        "--reference",
        metavar="FILE",
        help="exact energies as JSON, CSV or NetCDF (default: the lowest energy found among the models)",
    )
    compare.add_argument(
        "--allow", metavar="SECTION.KEY", nargs="+", action="extend", default=[], help="keys that may differ"
    )
    compare.add_argument(
        "--points", metavar="N", type=whole(1), default=4, help="measured points of each learning curve (default: 4)"
    )
    compare.add_argument("--samples", metavar="N", type=whole(2), help="records per chain (default: as configured)")
    compare.add_argument("--walkers", metavar="N", type=whole(2), help="chains per λ (default: as configured)")
    compare.add_argument(
        "--out", metavar="DIR", default="qernel-compare", help="folder to write (default: %(default)s)"
    )
    compare.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    add_overrides(compare)


def _add_interpolate(command: AddCommand) -> None:
    interpolate = command(
        "interpolate",
        "hold a model with gaps in its trained λ against models without, and against single-λ models",
        "Train the configuration as it is (family.lam without family.gaps), on the whole range of the λ asked for, and "
        "for each λ alone, every kind with the same number of updates × walkers; report energies above the exact ones "
        "and differences of densities in the gaps, beyond the ends and elsewhere. "
        "The same command goes on where it was stopped; nothing is trained or measured twice.",
    )
    add_config(interpolate)
    interpolate.add_argument("--seeds", metavar="N", nargs="+", type=whole(0), default=[1, 2], help="default: 1 2")
    add_lam(interpolate, required=False)
    interpolate.add_argument(
        "--iterations", metavar="N", type=whole(1), help="updates of each shared model (default: as configured)"
    )
    interpolate.add_argument(
        "--single-groups",
        metavar="G",
        type=whole(1),
        help="groups of walkers, all at one λ, of a single-λ model: fewer leave it more updates "
        "(default: as configured for the shared models)",
    )
    interpolate.add_argument(
        "--reference",
        metavar="FILE",
        help="exact energies as JSON, CSV or NetCDF (default: the lowest energy found among the models)",
    )
    interpolate.add_argument("--samples", metavar="N", type=whole(2), help="records per chain (default: as configured)")
    interpolate.add_argument("--walkers", metavar="N", type=whole(3), help="chains per λ (default: as configured)")
    interpolate.add_argument(
        "--out", metavar="DIR", default="qernel-interpolate", help="folder to write (default: %(default)s)"
    )
    interpolate.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
