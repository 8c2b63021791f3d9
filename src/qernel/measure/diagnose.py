"""The tangent test of a trained model: what share of the variance of its local energy which parameters could remove.

DIR/diagnosis.json  `qernel.measure.diagnosis.Diagnoses.as_dict`, with units and provenance
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qernel import outputs
from qernel.errors import RunError, warn
from qernel.estimators.doubts import sentences
from qernel.measure.diagnosis import RECORD, Diagnoses, Diagnosis, Part
from qernel.measure.folder import remembering
from qernel.measure.observe import from_records, variables
from qernel.measure.points import Points, warn_outside
from qernel.observables.v_score import VScore
from qernel.progress import Parts, Told
from qernel.records import stored_request
from qernel.stopping import check
from qernel.tangent.fits import Fits, targets
from qernel.tangent.registry import chosen, terms
from qernel.tangent.regression import FEWEST, fold_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from qernel.estimators.chains import Record
    from qernel.measure.model import Model
    from qernel.measure.state import State
    from qernel.tangent.columns import TangentColumns


def diagnose(
    state: State,
    *,
    groups: Sequence[str] | None = None,
    samples: int | None = None,
    walkers: int | None = None,
    seed: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Diagnosis:
    """What share of the variance of the local energy which parameters could remove, without training.

    The local energy, clipped as in training, is regressed on ∂log ψ/∂α of the wavefunction's own parameters by module,
    and of terms that could be added; R² is that of chains that were not fitted to (`qernel.tangent.regression`).

    Args:
        state: a model at one point of its family.
        groups: names of terms (`qernel.tangent.registry.TERMS`); default: all of them.
        samples: records per chain; default from the model's ``[sample]`` section.
        walkers: independent chains, at least 4; default likewise.
        seed: of the chains; default likewise.
        progress: called with the fraction done.

    Raises:
        QernelError: if there is no term of a name.
        RunError: for too few chains.
    """
    names, count = chosen(groups), _chains(state.model, walkers)
    return _diagnosed(state, _columns(state.model, names, count), samples, walkers, seed, progress)


def diagnoses(
    where: Points,
    *,
    groups: Sequence[str] | None = None,
    out: Path | None = None,
    command: str | None = None,
    tell: Told | None = None,
) -> Diagnoses:
    """The tangent test over values of one parameter; arguments as of `qernel.measure.verbs.diagnose`.

    Raises:
        QernelError: if there is no term of a name.
        RunError: for too few chains, and if ``out`` holds another test, is in use or cannot be written.
        Interrupted: when a test into a folder is stopped.
    """
    names, count = chosen(groups), _chains(where.model, where.walkers)
    request = where.request | {"terms": names}

    def measure(points: Points) -> Diagnoses:
        states = points.states
        warn_outside(points.model, points.axis, list(zip(points.values, states, strict=True)))
        parts, found = Parts(tell, len(states)), []
        tangent = None
        for value, state in zip(points.values, states, strict=True):
            parts.begin(f"testing {points.axis.at(value)}")
            tangent = tangent or _columns(points.model, names, count)
            found.append(_diagnosed(state, tangent, points.samples, points.walkers, points.seed, parts))
        doubted = [
            (name, value, why)
            for value, one in zip(points.values, found, strict=True)
            for name, why in one.energies.doubts.items()
            if name == "energy"
        ]
        for sentence in sentences(doubted, points.axis.symbol):
            warn(sentence)
        return Diagnoses(where, found, request, command or Diagnoses.command)

    if out is None:
        return measure(where)
    with outputs.held(out, [RECORD]):
        outputs.refuse_overwriting(out, [RECORD], request, stored_request(out / RECORD), "tangent test")
        with remembering(where.model, out, command or outputs.AGAIN) as remembered:
            result = measure(where.of(remembered))
            # Within, because the records go when the block ends: stopped here, no number is lost.
            result._write(out)
    return result


def _chains(model: Model, walkers: int | None) -> int:
    count = walkers or model.config.sample.walkers
    if count < FEWEST:
        raise RunError(f"walkers = {count} leaves no chains to hold back from the fits: give at least {FEWEST}")
    return count


def _columns(model: Model, names: Sequence[str], walkers: int) -> TangentColumns:
    from qernel.tangent.columns import TangentColumns

    added = terms(names, model.config.model, model.hamiltonian)
    chunk = model.config.train.chunk
    return TangentColumns(model.wavefunction, added, walkers=walkers, chunk=chunk)


def _diagnosed(
    state: State,
    tangent: TangentColumns,
    samples: int | None,
    walkers: int | None,
    seed: int | None,
    progress: Callable[[float], None] | None,
) -> Diagnosis:
    tell = progress or (lambda _: None)
    records = list(state.records(samples, walkers, seed, energies=True, progress=lambda fraction: tell(0.5 * fraction)))
    seed = state.model.config.sample.seed if seed is None else seed
    energies, lost = targets(_local_energies(records), state.model.config.train.clip)
    fits = Fits(fold_of(len(energies)))
    for index, record in enumerate(records):
        check()
        fits.add(*tangent(record.positions, state.point), energies[:, index])
        tell(0.5 + 0.5 * (index + 1) / len(records))
    observables = [VScore()]
    found = variables(observables, from_records(state, observables, records, seed))
    variance, score = ((float(one.values), float(np.asarray(one.errors))) for one in found)
    parts = [Part(name, False, tangent.parameters[name], share) for name, share in fits.own().items()]
    parts += [Part(name, True, share.columns, share) for name, share in fits.added().items()]
    return Diagnosis(state.energies_of(records, seed), variance, score, lost, energies.size, tuple(parts))


def _local_energies(records: Sequence[Record]) -> npt.NDArray[np.complex128]:
    """Total local energies ``[chains, samples]`` of records."""
    total = [record.kinetic + record.moire + record.interaction + 1j * record.kinetic_imaginary for record in records]
    return np.stack(total, axis=1)
