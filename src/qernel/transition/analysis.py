"""From a scan to a verdict: is there a transition, where, and what supports it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from qernel.transition.candidates import TRANSITIONS
from qernel.transition.compare import SMOOTH, bootstrap, candidates, false_alarm, first
from qernel.transition.findings import Findings
from qernel.transition.record import record
from qernel.transition.scan import Curves
from qernel.transition.shown import Evident
from qernel.transition.verdict import CHANCE, disagreement, doubts_about, undescribed
from qernel.transition.words import sentences

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Transition(Evident, Findings):
    """What a scan says about a transition, in numbers (`Findings`), sentences and as plain data."""

    @property
    def evidence(self) -> list[str]:
        """Sentences that can be quoted."""
        return sentences(self)

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """The interaction energy with the fitted curves; into ``ax``, or a figure of its own."""
        from qernel.plots.style import axes_of
        from qernel.plots.transition import draw_transition

        axes = axes_of(ax, 4.8, 3.4)
        draw_transition(axes, self)
        return axes

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
        return record(self)


def analyse(scan: Curves, *, resamples: int = 400, seed: int = 0) -> Transition:
    """Compare the interaction energy with curves that have a transition and with smooth ones.

    A place is given only where AICc and BIC both favour a transition by `LEAD`, a smooth curve would do that in at most
    `CHANCE` of all cases, no smooth curve fits (p < 0.05), and there are `SIDE` points on both sides. Nothing is said
    of data that no curve describes even with errors widened by `WIDEST`.

    Args:
        scan: energies along a parameter.
        resamples: data sets drawn for the errors, and as many for the false alarms; with fewer than 1/`CHANCE` of
            them no transition could be found.
        seed: of these.

    Raises:
        RunError: if the energies break a bound of their Hamiltonian.
    """
    scan.require_possible()
    if 1 + resamples < 1 / CHANCE:
        raise ValueError(f"resamples is {resamples}: at least {1 / CHANCE - 1:.0f} are needed to exclude chance")
    points, (values, errors) = scan.points, scan.interaction
    ranking, scale = candidates(points, errors, values)
    chosen, smooth = first(ranking, TRANSITIONS), first(ranking, SMOOTH)
    assert smooth is not None  # two points more than a straight line needs are always there
    if chosen is None:
        few = f"{len(points)} values of {scan.axis.symbol} are too few for any curve with a transition"
        return Transition(
            scan, "undecided", (few,), (*ranking,), None, smooth, None, 0.0, scale, -math.inf, -math.inf, 1.0, 0, seed
        )
    lead = smooth.aicc - chosen.aicc
    lead_bic = min(one.bic for one in ranking if one.model in SMOOTH) - chosen.bic
    alarm = false_alarm(points, errors, smooth, lead, scale=scale, resamples=resamples, seed=seed) if lead > 0 else 1.0
    spread = bootstrap(points, errors, chosen, resamples=resamples, seed=seed)
    nothing = undescribed(scan, ranking, scale)
    doubts = [nothing] if nothing else doubts_about(scan, ranking, scale, min(lead, lead_bic), alarm)
    verdict = "transition" if not doubts else "smooth" if lead <= 0 and not nothing else "undecided"
    return Transition(
        scan,
        verdict,
        tuple(doubts),
        (*ranking,),
        chosen,
        smooth,
        spread,
        disagreement(ranking, chosen),
        scale,
        lead,
        lead_bic,
        alarm,
        resamples,
        seed,
    )
