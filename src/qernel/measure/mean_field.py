"""Hartree–Fock along a parameter: what ``qernel hf`` and `qernel.hartree_fock` do."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import qernel
from qernel import outputs
from qernel.along import named
from qernel.config import Config, load_config
from qernel.errors import QernelError, warn
from qernel.hartree_fock import search
from qernel.hartree_fock.search import CUTOFF, Remember
from qernel.measure.branches import RECORD, HartreeFock
from qernel.measure.folder import UNFINISHED
from qernel.measure.solutions import enough_waves
from qernel.measure.solved import remembering
from qernel.progress import Told, shown
from qernel.stopping import stoppable

if TYPE_CHECKING:
    from qernel.measure.model import Model


@stoppable
def hartree_fock(
    source: Config | Model | Mapping[str, Any] | str | Path,
    values: npt.ArrayLike,
    *,
    along: str = "lam",
    at: Mapping[str, float] | None = None,
    cutoff: float | None = None,
    out: str | Path | None = None,
    command: str | None = None,
    progress: Told | bool | None = None,
) -> HartreeFock:
    """The lowest Slater determinants found in plane waves, as ``qernel hf`` finds them.

    Args:
        source: a configuration, also as nested dictionaries, the path of one, the name of a preset, or a trained model
            for its system.
        values: of λ, or of the parameter ``along``.
        along: a parameter of the family, or any other that a term of the system reads.
        at: values of others; the middle of their interval, or their constant, for those that are not given.
        cutoff: kinetic cut-off of the plane waves in E0; default 300.
        out: folder for the record and the figures; a search that was stopped goes on where it was when it is asked for
            again.
        command: what was typed, for the record.
        progress: None: a bar on a terminal and in a notebook; True: everywhere; False: nowhere; or a function,
            called with what is being done and the fraction done.

    Raises:
        ConfigError: for a configuration that cannot be used.
        QernelError: for no value at all, or a parameter that no term of the system reads or that is given twice.
        RunError: for a cut-off that is too low, or a folder that is not empty or cannot be written.
        Interrupted: when a search into a folder is stopped.

    >>> import qernel
    >>> found = qernel.hartree_fock("n2", 0.9, cutoff=80.0)
    >>> found.solutions[0].branch, round(found.solutions[0].energy, 2)
    ('density wave', -17.21)
    """
    config = _config(source)
    folder = None if out is None else Path(out)
    with outputs.held(folder, [RECORD]), shown(progress) as tell:
        if folder is not None:
            outputs.refuse_occupied(folder, ignoring=(UNFINISHED,))
        request = _request(config, values, along, at or {}, cutoff or CUTOFF)
        with remembering(folder, request, command or outputs.AGAIN) as remember:
            found = _solved(config, values, along, at or {}, cutoff or CUTOFF, command, tell, remember)
            if folder is not None:
                # Within, because what is kept goes when the block ends: stopped here, no number is lost.
                found._write(folder)
        loose = [f"{found._place(state):g}" for state in found.solutions if not state.converged]
        if loose:
            where = f"{found.along.symbol} = {', '.join(loose)}"
            warn(f"not converged at {where}: see the residual; energies are still upper bounds of the basis")
    return found


def _request(
    config: Config, values: npt.ArrayLike, along: str, at: Mapping[str, float], cutoff: float
) -> dict[str, Any]:
    """Everything the solutions depend on."""
    points = np.atleast_1d(np.asarray(values, dtype=np.float64)).tolist()
    about = {"qernel": qernel.__version__, "config": config.fingerprint("system", "family")}
    return {**about, "along": along, "values": points, "at": dict(at), "cutoff": cutoff}


def _config(source: Config | Model | Mapping[str, Any] | str | Path) -> Config:
    if isinstance(source, Config):
        return source
    if isinstance(source, str | Path | Mapping):
        return load_config(source, sections=("system", "family"))
    return source.config


def _solved(
    config: Config,
    values: npt.ArrayLike,
    along: str,
    at: Mapping[str, float],
    cutoff: float,
    command: str | None,
    progress: Told | None,
    remember: Remember | None,
) -> HartreeFock:
    points = sorted(dict.fromkeys(np.atleast_1d(np.asarray(values, dtype=np.float64)).tolist()))
    if not points:
        raise QernelError(f"there is no {named(along).symbol} to solve at: give at least one")
    if along in at:
        raise QernelError(f"{along} is given twice: its values are those along which is solved")
    hamiltonian = config.hamiltonian()
    for name, asked in {**{name: [value] for name, value in at.items()}, along: points}.items():
        hamiltonian = hamiltonian.including(name, min(asked), max(asked))
    enough_waves(config, cutoff)
    begin = time.monotonic()
    places = [{**at, along: point} for point in points]
    found = search(hamiltonian, places, cutoff=cutoff, progress=progress, remember=remember)
    seconds = time.monotonic() - begin
    return HartreeFock(config, found, cutoff, named(along), dict(at), seconds, command or HartreeFock.command)
