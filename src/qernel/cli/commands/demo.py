"""``qernel demo``: the main job from beginning to end, on the preset n6."""

from __future__ import annotations

import argparse
from pathlib import Path

from qernel import outputs, runtime
from qernel.cli.commands.scan import scan
from qernel.cli.commands.train import train_with_progress
from qernel.cli.shared.arguments import lam_values
from qernel.config import load_config
from qernel.errors import RESUMABLE
from qernel.files import require_writable
from qernel.training.devices import share_out

GRID = "0.4:1.4:11"


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel demo``."""
    parser.description = (
        "Train the preset n6 (six electrons on 3×3 moiré cells, a few minutes on two cores) into DIR/model, or take "
        "the model that is there, and measure it at eleven λ from 0.4 to 1.4 into DIR. If that is too slow it stops "
        "early: the same command goes on."
    )
    parser.add_argument("--out", metavar="DIR", default="qernel-demo", help="folder to write (default: %(default)s)")


def run(options: argparse.Namespace) -> int:
    """Train six electrons over λ unless that is done, then draw their phase diagram."""
    from qernel.measure.files import FILES

    out = Path(options.out)
    require_writable(out, FILES)
    config = load_config("n6")
    share_out(config, joining=True)
    folder = out / "model"
    from qernel.measure.scan import forget, measured_of
    from qernel.training.checkpoint import Checkpoints

    checkpoints = Checkpoints.of(folder, config)
    if checkpoints.finished():
        runtime.require_platform()
    else:
        if not measured_of(out, config.fingerprint()):
            outputs.refuse_existing([out / name for name in FILES])  # of another model than the one to be trained
        train_with_progress(config, folder, resume=bool(checkpoints.paths()))
        forget(out, config.fingerprint())
    from qernel.measure import load
    from qernel.measure.points import points

    model = load(folder)
    code = scan(points(model, lam_values(GRID)), out, {}, options.line)
    if code or model.training is None or model.training.complete:
        return code
    print(f"the model of this demo {model.training.sentence}; the same command trains it further and measures it again")
    return RESUMABLE
