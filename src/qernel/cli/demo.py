"""``qernel demo``: the main job from beginning to end, on the preset n6."""

from __future__ import annotations

import argparse
from pathlib import Path

from qernel import runtime
from qernel.cli.arguments import lam_values
from qernel.cli.scan import scan
from qernel.cli.train import train_with_progress
from qernel.config import Config, load_config

GRID = "0.4:1.4:11"


def run(options: argparse.Namespace) -> int:
    """Train six electrons over λ unless that is done, then draw their phase diagram."""
    out = Path(options.out)
    config = load_config("n6")
    runtime.configure(runtime.usable_devices(config.train.walkers, config.sample.walkers))
    folder = out / "model"
    resume = _checkpoint(folder).exists()
    if not (resume and _finished(folder, config)):
        train_with_progress(config, folder, resume=resume)
    from qernel.model import load

    sampling = argparse.Namespace(
        lam=[lam_values(GRID)], at=[], samples=None, walkers=None, seed=None, json=False, line=options.line
    )
    return scan(load(folder), out, sampling)


def _checkpoint(folder: Path) -> Path:
    from qernel.training.run import CHECKPOINT_FILE

    return folder / CHECKPOINT_FILE


def _finished(folder: Path, config: Config) -> bool:
    """Whether ``folder`` holds a complete run of ``config``."""
    from qernel.training.checkpoint import read_metadata

    metadata = read_metadata(_checkpoint(folder))
    return metadata.get("finished") == "true" and metadata.get("fingerprint") == config.fingerprint()
