"""What can be typed after ``qernel submit``."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from qernel.cli.arguments import axis, sbatch_option, sbatch_word, time_limit, whole
from qernel.cli.results_parser import AddCommand, add_lam

_DESCRIPTION = """\
Write a SLURM job script and submit it: a job array with one job for each combination of configurations, --seeds and
--vary. A job that meets its time limit or is preempted saves, is queued again and goes on, bit for bit.
"""

PLACES = ("partition", "account", "qos", "constraint", "mem")
"""Options of sbatch that most clusters want, passed on as they are."""


def add_submit(command: AddCommand, add_overrides: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add the command."""
    submit = command("submit", "run studies as SLURM jobs that resume by themselves", _DESCRIPTION)
    submit.add_argument(
        "words",
        metavar="CONFIG ... [STEP ...]",
        nargs="+",
        help="TOML files or presets, then what to do with each: train (default), scan, hf; "
        "scan without train takes run folders or shipped models",
    )
    submit.add_argument("--seeds", metavar="N", nargs="+", type=whole(0), default=[], help="values of train.seed")
    submit.add_argument(
        "--vary",
        metavar="SECTION.KEY=VALUE,...",
        nargs="+",
        action="extend",
        type=axis,
        default=[],
        help="values of other keys, e.g. --vary model.width=32,48 model.film=true,false: every combination is a study",
    )
    add_overrides(submit)
    add_lam(submit, required=False)
    submit.add_argument("--out", metavar="DIR", help="new folder for scripts, runs and logs (default: jobs/CONFIG)")
    submit.add_argument("--time", metavar="H:MM:SS", type=time_limit, help="limit of one job; long runs take several")
    submit.add_argument(
        "--warning", metavar="S", type=whole(1), default=300, help="seconds before it to stop and save (default: 300)"
    )
    submit.add_argument("--nodes", metavar="N", type=whole(1), default=1, help="machines of each job (default: 1)")
    submit.add_argument(
        "--tasks-per-node", metavar="N", type=whole(1), default=1, help="processes on each, training together"
    )
    submit.add_argument("--cpus-per-task", metavar="N", type=whole(1), default=1, help="cores of each process")
    submit.add_argument("--gpus-per-task", metavar="N", type=whole(0), default=0, help="GPUs of each process")
    for name in PLACES:
        submit.add_argument(f"--{name}", metavar="VALUE", type=sbatch_word, help="as for sbatch")
    submit.add_argument(
        "--sbatch",
        metavar="NAME=VALUE",
        nargs="+",
        action="extend",
        type=sbatch_option,
        default=[],
        help="any other option of sbatch, e.g. --sbatch exclude=node7",
    )
    submit.add_argument(
        "--setup", metavar="LINE", action="append", default=[], help="shell line before the steps, e.g. 'module load x'"
    )
    submit.add_argument("--at-once", metavar="N", type=whole(1), help="jobs of the array that may run at a time")
    submit.add_argument(
        "--requeues", metavar="N", type=whole(0), default=100, help="times a job may be queued again (default: 100)"
    )
    submit.add_argument("--dry-run", action="store_true", help="write the script and its folder, submit nothing")
    submit.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
