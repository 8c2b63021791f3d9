"""A folder with everything an array of jobs needs, and handing it to SLURM (through pysqa, which does not pickle).

DIR/run_queue.sh        the job script
DIR/studies.tsv         a line for each job of the array: study, run, λ of its measurements
DIR/configs/STUDY.toml  complete configurations
DIR/runs/STUDY          run folders, as of ``qernel train``
DIR/STEP/STUDY          results of other steps
DIR/logs/JOB_INDEX.log  what each job said
"""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from qernel.cluster.resources import Resources, devices_per_process
from qernel.cluster.studies import Study
from qernel.errors import RESUMABLE, RunError, command_line
from qernel.files import require_writable, write_atomically

SCRIPT, TABLE = "run_queue.sh", "studies.tsv"  # pysqa names the script


class Measurement(NamedTuple):
    """A step besides training.

    Attributes:
        record: file that is written last; a folder that has it is complete.
        subject: what is measured, in the words of the script.
    """

    record: str
    subject: str


MEASUREMENTS = {
    "scan": Measurement("energies.json", '"$run"'),
    "hf": Measurement("hartree_fock.json", '"configs/$study.toml"'),
}
"""Commands of Qernel with ``--lam`` and ``--out`` that can be steps of a job."""

STEPS = ("train", *MEASUREMENTS)


def claim(out: Path) -> Path:
    """The absolute path of a folder that may be written.

    Raises:
        RunError: if it holds anything, cannot be written, or SLURM could not use its name.
    """
    path = out.absolute()
    if any(character.isspace() or character in "%\\'\"" for character in str(path)):
        raise RunError(f"{path} holds a space, quote, backslash or %, which SLURM scripts cannot: choose another --out")
    require_writable(path, [SCRIPT])
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        again = f", or go on with {command_line('sbatch', path / SCRIPT)}" if (path / SCRIPT).exists() else ""
        raise RunError(f"{out} already exists and is not empty: choose another --out{again}")
    return path


def submit(
    out: Path, name: str, studies: Sequence[Study], lams: Sequence[str], steps: Sequence[str], resources: Resources,
    *, system: Sequence[str] = (), dry_run: bool,
) -> int | None:  # fmt: skip
    """Write the folder and submit the array.

    Args:
        out: see `claim`.
        name: of the job.
        studies: one for each job.
        lams: of each study's measurements, as ``--lam`` takes them.
        steps: of `STEPS`, in the order of their execution.
        resources: of each job.
        system: options of the scans that say in which system models are asked.
        dry_run: write only.

    Returns:
        The job's number; None if it was not submitted.

    Raises:
        RunError: if SLURM or pysqa is missing, or SLURM refuses the job; nothing is left behind then.
    """
    try:
        from pysqa import QueueAdapter
    except ImportError:
        raise RunError("qernel submit needs pysqa: pip install 'qernel[cluster]'") from None
    if not dry_run and shutil.which("sbatch") is None:
        raise RunError(
            "there is no sbatch on this machine: submit from a login node of a SLURM cluster, or add --dry-run"
        )
    values = _values(studies, steps, resources, system)

    def execute(commands: list[str], **_: Any) -> str | None:
        return None if dry_run else _sbatch(commands, out)

    try:
        _write(out, studies, lams)
        job: int | None = QueueAdapter(queue_type="SLURM", execute_command=execute).submit_job(
            job_name=name, working_directory=str(out), **values
        )
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)  # it was absent or empty before
        raise
    return job


def _values(
    studies: Sequence[Study], steps: Sequence[str], resources: Resources, system: Sequence[str]
) -> dict[str, Any]:
    """What the template is filled with."""
    resources.check()
    at_once = f"%{resources.at_once}" if resources.at_once else ""
    number = signal.SIGUSR2
    return {
        "submission_template": files("qernel.cluster").joinpath("slurm.sh.jinja").read_text("utf-8"),
        "resources": resources,
        "array": f"0-{len(studies) - 1}{at_once}",
        "signal_name": number.name.removeprefix("SIG"),
        "stopped": 128 + number,
        "stalled": RESUMABLE,
        "command": "\n".join(_step(name, studies, resources, system) for name in steps),
    }


def _step(name: str, studies: Sequence[Study], resources: Resources, system: Sequence[str]) -> str:
    python = f"{shlex.quote(sys.executable)} -m qernel.cli {name}"
    each = f"--cpus-per-task={resources.cpus_per_task}"
    each += f" --gpus-per-task={resources.gpus_per_task}" if resources.gpus_per_task else ""
    if name == "train":
        devices = devices_per_process(studies, resources)
        # Processes that outlive another one end by themselves, with a code that says whether to go on.
        srun = f"srun --ntasks={resources.processes} --kill-on-bad-exit=0 {each}"
        srun += "" if resources.gpus_per_task else f" env QERNEL_DEVICES={devices}"
        return f'step {srun} {python} "configs/$study.toml" --out "$run" --auto-resume'
    record, subject = MEASUREMENTS[name]
    out = f'"{name}/$study"'
    where = "".join(f" {word}" for word in system) if name == "scan" else ""
    return (
        f"[ -e {out}/{record} ] || step srun --nodes=1 --ntasks=1 {each} {python} {subject} "
        f"--out {out} --lam $lam{where}"
    )


def _write(out: Path, studies: Sequence[Study], lams: Sequence[str]) -> None:
    for folder in ("configs", "logs"):
        (out / folder).mkdir(parents=True)
    for study in studies:
        write_atomically(out / "configs" / f"{study.name}.toml", study.config.to_toml().encode())
    lines = [
        "\t".join([study.name, study.run or f"runs/{study.name}", lam]) + "\n"
        for study, lam in zip(studies, lams, strict=True)
    ]
    write_atomically(out / TABLE, "".join(lines).encode())


def _sbatch(commands: list[str], out: Path) -> str:
    """The number of the job that sbatch prints.

    Raises:
        RunError: with what it says instead.
    """
    done = subprocess.run(commands, cwd=out, capture_output=True, text=True)
    # On several clusters: "number;cluster".
    number = done.stdout.strip().rpartition("\n")[2].partition(";")[0]
    if done.returncode or not number.isdecimal():
        said = " ".join((done.stderr or done.stdout).split())[:300] or f"exit code {done.returncode}"
        raise RunError(f"sbatch refused the job, nothing was written: {said}")
    return number
