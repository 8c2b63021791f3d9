"""What can be typed after ``qernel submit``."""

from __future__ import annotations

import argparse

from qernel.cli.shared.arguments import axis, sbatch_option, sbatch_word, time_limit, whole
from qernel.cli.shared.options import add_json, add_lam, add_overrides, add_system

_DESCRIPTION = """\
Write a SLURM job script and submit it: a job array with one job for each combination of configurations, --seeds and
--vary. A job that meets its time limit or is preempted saves, is queued again and goes on, bit for bit.
"""

PLACES = ("partition", "account", "qos", "constraint", "mem")
"""Options of sbatch that most clusters want, passed on as they are."""


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel submit``."""
    parser.description = _DESCRIPTION
    parser.add_argument(
        "words",
        metavar="CONFIG ... [STEP ...]",
        nargs="+",
        help="TOML files or presets, then what to do with each: train (default), scan, hf; "
        "scan without train takes run folders or shipped models",
    )
    parser.add_argument("--seeds", metavar="N", nargs="+", type=whole(0), default=[], help="values of train.seed")
    parser.add_argument(
        "--vary",
        metavar="SECTION.KEY=VALUE,...",
        nargs="+",
        action="extend",
        type=axis,
        default=[],
        help="values of other keys, e.g. --vary model.width=32,48 model.film=true,false: every combination is a study",
    )
    add_overrides(parser)
    add_lam(parser, required=False)
    add_system(parser)
    parser.add_argument("--out", metavar="DIR", help="new folder for scripts, runs and logs (default: jobs/CONFIG)")
    parser.add_argument("--time", metavar="H:MM:SS", type=time_limit, help="limit of one job; long runs take several")
    parser.add_argument(
        "--warning", metavar="S", type=whole(1), default=300, help="seconds before it to stop and save (default: 300)"
    )
    parser.add_argument("--nodes", metavar="N", type=whole(1), default=1, help="machines of each job (default: 1)")
    parser.add_argument(
        "--tasks-per-node", metavar="N", type=whole(1), default=1, help="processes on each, training together"
    )
    parser.add_argument("--cpus-per-task", metavar="N", type=whole(1), default=1, help="cores of each process")
    parser.add_argument("--gpus-per-task", metavar="N", type=whole(0), default=0, help="GPUs of each process")
    for name in PLACES:
        parser.add_argument(f"--{name}", metavar="VALUE", type=sbatch_word, help="as for sbatch")
    parser.add_argument(
        "--sbatch",
        metavar="NAME=VALUE",
        nargs="+",
        action="extend",
        type=sbatch_option,
        default=[],
        help="any other option of sbatch, e.g. --sbatch exclude=node7",
    )
    parser.add_argument(
        "--setup", metavar="LINE", action="append", default=[], help="shell line before the steps, e.g. 'module load x'"
    )
    parser.add_argument("--at-once", metavar="N", type=whole(1), help="jobs of the array that may run at a time")
    parser.add_argument(
        "--requeues", metavar="N", type=whole(0), default=100, help="times a job may be queued again (default: 100)"
    )
    parser.add_argument("--dry-run", action="store_true", help="write the script and its folder, submit nothing")
    add_json(parser)
