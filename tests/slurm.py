"""A stand-in for SLURM: what sbatch is given is recorded, and its jobs run as processes of this machine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

_SBATCH = """\
printf '%s\\n' "$@" >> {folder}/sbatch
if [ -e {folder}/refusal ]; then cat {folder}/refusal >&2; exit 1; fi
echo '{job};here'
"""

_SCONTROL = """\
echo "$@" >> {folder}/scontrol
"""

_SRUN = """\
echo "$@" >> {folder}/srun
tasks=1
while [[ $1 == --* ]]; do
  [[ $1 == --ntasks=* ]] && tasks=${{1#*=}}
  shift
done
pids=()
for ((index = 0; index < tasks; index++)); do
  SLURM_NTASKS=$tasks SLURM_PROCID=$index SLURM_STEP_NODELIST=localhost "$@" &
  pids+=($!)
done
echo "${{pids[@]}}" > {folder}/tasks
most=0
for pid in "${{pids[@]}}"; do
  wait "$pid"
  code=$?
  if ((code > most)); then most=$code; fi
done
exit $most
"""


class Slurm:
    """The commands of SLURM in a folder, which tests put on PATH.

    Args:
        folder: for the commands and what they record.
        job: number of the job that sbatch hands out.
    """

    def __init__(self, folder: Path, job: int = 4242):
        self.commands = folder / "bin"
        self.commands.mkdir(parents=True)
        self.job = job
        self._folder = folder
        for name, body in (("sbatch", _SBATCH), ("scontrol", _SCONTROL), ("srun", _SRUN)):
            command = self.commands / name
            command.write_text("#!/bin/bash\n" + body.format(folder=folder, job=job))
            command.chmod(0o755)

    def refuse(self, reason: str) -> None:
        """Let sbatch fail."""
        (self._folder / "refusal").write_text(reason)

    def said(self, command: str) -> list[str]:
        """The arguments a command has been given: one a line of sbatch, one call a line of the others."""
        path = self._folder / command
        return path.read_text().splitlines() if path.exists() else []

    def start(self, script: Path, index: int = 0, restarts: int = 0, **variables: str) -> subprocess.Popen[str]:
        """Run one job of an array as slurmd would: in its folder, with its variables and its log."""
        (self._folder / "tasks").unlink(missing_ok=True)
        options = sbatch_options(script)
        log = options["output"].replace("%A", str(self.job)).replace("%a", str(index))
        environment = {
            **os.environ,
            "PATH": f"{self.commands}:{os.environ['PATH']}",
            "SLURM_JOB_ID": str(self.job),
            "SLURM_ARRAY_JOB_ID": str(self.job),
            "SLURM_ARRAY_TASK_ID": str(index),
            **({"SLURM_RESTART_COUNT": str(restarts)} if restarts else {}),
            **variables,
        }
        with Path(log).open("a") as handle:
            return subprocess.Popen(
                ["bash", str(script)], cwd=options["chdir"], env=environment, stdout=handle, stderr=handle, text=True
            )

    def signal_tasks(self, number: signal.Signals) -> None:
        """Send a signal to all tasks of the present step, which is what ``--signal`` without ``B:`` means."""
        for pid in self.said("tasks")[0].split():
            os.kill(int(pid), number)


def sbatch_options(script: Path) -> dict[str, str]:
    """The options in a job script; those without value are empty."""
    pairs: Callable[[str], list[tuple[str, str]]] = re.compile(r"^#SBATCH --([\w-]+)(?:=(.*))?$", re.MULTILINE).findall
    return dict(pairs(script.read_text()))
