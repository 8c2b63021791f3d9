"""``qernel submit``: studies as an array of SLURM jobs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from qernel.cli.commands.train import grid
from qernel.cli.shared.arguments import flatten
from qernel.cli.shared.points import asked_system, system_words
from qernel.cli.shared.submit_parser import PLACES, declare
from qernel.cluster.job import SCRIPT, STEPS, claim, submit
from qernel.cluster.resources import Resources
from qernel.cluster.studies import Study, studies, trained
from qernel.config import Config
from qernel.errors import QernelError, command_line
from qernel.storage import to_json

__all__ = ["declare", "run"]


def run(options: argparse.Namespace) -> int:
    """Write the folder of an array and submit it, unless it is a dry run."""
    sources, steps = _split(options.words)
    axes = [("train.seed", tuple(map(str, options.seeds)))] if options.seeds else []
    axes += options.vary
    out = claim(Path(options.out or Path("jobs") / Path(sources[0]).stem))
    if "scan" in steps and "train" not in steps:
        if axes or options.set:
            raise QernelError("--seeds, --vary and --set change what is trained: add the step train, or leave them out")
        found = trained(sources)
    else:
        found = studies(sources, axes, options.set)
    resources = Resources(
        nodes=options.nodes,
        tasks_per_node=options.tasks_per_node,
        cpus_per_task=options.cpus_per_task,
        gpus_per_task=options.gpus_per_task,
        time=options.time,
        warning=options.warning,
        requeues=options.requeues,
        at_once=options.at_once,
        options=[*((name, value) for name in PLACES if (value := getattr(options, name))), *options.sbatch],
        setup=options.setup,
    )
    lams = [_lam(options, study.config) for study in found]
    name = f"qernel-{out.name}"
    job = submit(
        out, name, found, lams, steps, resources, system=_system(options, found, steps), dry_run=options.dry_run
    )

    script = out / SCRIPT
    again = command_line("sbatch", script)
    if options.json:
        print(to_json({"script": str(script), "job": job, "studies": [study.name for study in found], "steps": steps}))
    elif job is None:
        print(f"{script}: written for {_count(len(found))}, nothing submitted; to submit: {again}")
    else:
        logs = f"{command_line('tail', out / 'logs')}/{job}_*.log"
        print(f"job {job}: {_count(len(found))} submitted; to watch: squeue --job {job}, {logs}")
        print(f"should one end early, this goes on where all of them are: {again}")
    return 0


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Configurations, and the steps that follow them."""
    count = len(words)
    while count and words[count - 1] in STEPS:
        count -= 1
    sources, steps = list(words[:count]), list(words[count:]) or ["train"]
    if not sources:
        raise QernelError(f"submit {' '.join(words)}: name a configuration before the steps, e.g. submit n6 train")
    if len(set(steps)) < len(steps):
        raise QernelError(f"{' '.join(steps)}: give each step once")
    if "train" in steps and "scan" in steps and steps.index("scan") < steps.index("train"):
        raise QernelError(f"{' '.join(steps)}: a run is trained before it is scanned, write train scan")
    return sources, steps


def _system(options: argparse.Namespace, found: Sequence[Study], steps: Sequence[str]) -> list[str]:
    """What the scans of the job are asked for beside λ: the system, which every model has to serve.

    Raises:
        QernelError: if nothing is scanned, or a model cannot be asked there.
    """
    asked = asked_system(options)
    if not asked:
        return []
    if "scan" not in steps:
        names = ", ".join(f"--{name}" for name in asked)
        raise QernelError(f"{names} say where a model is scanned: add the step scan, or leave them out")
    from qernel.measure.place import shelf_on
    from qernel.measure.shelf import Shelf

    for study in found:
        shelf_on(Shelf(study.run or study.name, None, study.config, "", 0), **asked)
    return system_words(options)


def _lam(options: argparse.Namespace, config: Config) -> str:
    return " ".join(f"{lam!r}" for lam in flatten(options.lam)) if options.lam else grid(config)


def _count(number: int) -> str:
    return f"{number} stud{'y' if number == 1 else 'ies'}"
