"""``qernel train``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from qernel import launch
from qernel.cli.shared.doubts import cutoff_doubt
from qernel.cli.shared.options import add_config
from qernel.config import Config, load_config
from qernel.errors import RESUMABLE, command_line, resume_command, warn
from qernel.stopping import rearm
from qernel.text import duration
from qernel.training.devices import share_out
from qernel.training.display import TrainingProgress


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel train``."""
    add_config(parser)
    parser.add_argument("--out", metavar="RUN", help="run folder to write (default: runs/CONFIG)")
    parser.add_argument(
        "--from",
        dest="start",
        metavar="MODEL",
        help="begin with the weights of a trained model: a run folder, a model file or the name of a shipped model",
    )
    begun = parser.add_mutually_exclusive_group()
    begun.add_argument("--resume", action="store_true", help="go on with the run in that folder")
    begun.add_argument("--auto-resume", action="store_true", help="go on if there is a run in that folder, else start")


def run(options: argparse.Namespace) -> int:
    """Train a configuration into a run folder."""
    config = load_config(options.config, options.set)
    out = Path(options.out or Path("runs") / Path(options.config).stem)
    resume = None if options.auto_resume else options.resume
    if not train_with_progress(config, out, resume=resume, source=options.start):
        return 0
    from qernel.training.folder import MODEL_FILE
    from qernel.training.progress import progress_of

    found = progress_of(out / MODEL_FILE)
    if found is not None and not found.complete:
        print(f"{out} {found.sentence}, everything is saved; to go on: {resume_command(out)}")
        return RESUMABLE
    query = command_line("qernel", "query", out, "--lam", f"{sum(config.family.lam) / 2:g}")
    print(f"next: {query}, or {command_line('qernel', 'scan', out, '--lam', grid(config))}")
    return 0


def train_with_progress(config: Config, out: Path, *, resume: bool | None, source: str | None = None) -> bool:
    """Train, with the progress on standard error and the outcome on standard output.

    Args:
        config: what to train.
        out: the run folder.
        resume: continue the run in ``out`` instead of starting one; None: if there is one.
        source: the model whose weights a new run begins with.

    Returns:
        Whether this process is the one that writes and speaks, of several that train together.
    """
    share_out(config, joining=True)
    launch.join()
    rearm()  # JAX has taken SIGTERM for itself
    from qernel.measure.train import beginning
    from qernel.training import processes
    from qernel.training.checkpoint import Checkpoints
    from qernel.training.run import train
    from qernel.training.watchdog import end_process

    start = None if source is None else beginning(source, resume)
    config = config if start is None else start.taken_over(config)
    if resume is None:
        resume = bool(Checkpoints.of(out, config).paths())
    if not processes.first():
        train(config, out, resume=resume, start=start, on_stall=end_process)
        return False
    if not resume and (doubt := cutoff_doubt(config)):
        warn(doubt)
    if start is not None and not resume:
        print(f"{out}: {start.sentence(config)}", file=sys.stderr)
    with TrainingProgress(config.train.time_limit_s) as progress:
        train(config, out, resume=resume, start=start, report=progress, on_stall=end_process)
    if progress.last is None:
        print(
            f"{out}: the run is complete, there is nothing left to do; to train it longer: "
            f"{resume_command(out)} --set train.iterations=N, with N above {config.train.iterations}"
        )
    else:
        print(f"{out}: trained to iteration {progress.last.iteration} in {duration(progress.last.seconds)}")
    return True


def grid(config: Config) -> str:
    """The λ of a first scan, as ``--lam`` takes them."""
    low, high = config.family.lam
    return f"{low:g}:{high:g}:21" if low < high else f"{0.9 * low:g}:{1.1 * high:g}:3"
