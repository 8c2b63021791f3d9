"""``qernel.ask``: the phase of a sample in laboratory units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qernel.ask.answer import Answer
from qernel.ask.candidates import candidates
from qernel.ask.evidence import evidence, mean_field
from qernel.ask.materials import setting
from qernel.ask.quantities import filling as parsed
from qernel.ask.training import small_cell
from qernel.measure.shelf import shipped
from qernel.progress import shown

if TYPE_CHECKING:
    from qernel.progress import Told

SMALL = 6
"""Most electrons of Hartree–Fock, if the filling lets it be so few: seconds, and its bias is known there."""


def ask(
    material: str | None = None,
    *,
    filling: Any = "2/3",
    period: Any = None,
    epsilon: Any = None,
    gate: Any = None,
    depth: Any = None,
    mass: Any = None,
    phase: Any = None,
    models: Sequence[str] | None = None,
    fresh: bool = False,
    hartree_fock: bool | None = None,
    progress: Told | bool | None = None,
) -> Answer:
    """Liquid, crystal or undecided: what is known of a sample, in laboratory units.

    Quantities are numbers (in nm, meV, m_e and degrees), text with any unit (``"80 angstrom"``, ``"58 K"``), or
    ``pint`` quantities. What is not given is that of the material, with its source.

    Args:
        material: a name of ``materials.toml``, for instance ``"WSe2/WS2"``; None: the five numbers have to be given.
        filling: electrons, or holes, for each moiré cell.
        period: of the moiré lattice, in nm.
        epsilon: dielectric constant of the surroundings.
        gate: distance of two metallic gates, above and below, in nm; None: there are none.
        depth: V of the moiré potential −2V Σ cos(g·r + φ), in meV.
        mass: effective mass in m_e.
        phase: φ of the potential, in degrees.
        models: names of shipped models and run folders; default: all that ship.
        fresh: sample the best model, whatever is stored.
        hartree_fock: solve Hartree–Fock for the very parameters, which takes seconds; default: where no model was
            trained on them.
        progress: None: a bar on a terminal and in a notebook; True: everywhere; False: nowhere; or a function,
            called with what is being done and the fraction done.

    Raises:
        QernelError: for a material, a filling or a quantity that is none, or that neither the material nor the
            arguments say.
        RunError: if a model does not exist.

    >>> import qernel
    >>> found = qernel.ask("default", depth="18 meV")
    >>> found.word, found.inside
    ('crystal', True)
    """
    share, note = parsed(filling)
    given = {"mass": mass, "epsilon": epsilon, "period": period, "depth": depth, "phase": phase, "gate": gate}
    sample = setting(material, **given)
    if note:
        sample = type(sample)(sample.name, sample.about, sample.numbers, (*sample.notes, note))
    found = candidates(shipped() if models is None else models, sample, share)
    with shown(progress) as tell:
        said = [
            evidence(one, sample=index == 0, fresh=fresh and index == 0, tell=tell) for index, one in enumerate(found)
        ]
        inside = bool(found) and found[0].inside
        wanted = not inside if hartree_fock is None else hartree_fock
        mean = mean_field(sample, *small_cell(share, SMALL), tell) if wanted else None
    return Answer(sample, share, said, mean)
