"""What a trained model can be asked over values of its parameters: the methods `Model` has of these names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy.typing as npt

from qernel.progress import shown
from qernel.stopping import stoppable

if TYPE_CHECKING:
    import xarray

    from qernel.measure.asked import Options
    from qernel.measure.diagnosis import Diagnoses
    from qernel.measure.energies import Energies
    from qernel.measure.map import Map
    from qernel.measure.model import Model
    from qernel.measure.points import Where
    from qernel.measure.projections import Projections
    from qernel.measure.scan import Scan
    from qernel.observables import Observable
    from qernel.progress import Told


@stoppable
def query(
    model: Model,
    values: npt.ArrayLike,
    *,
    precision: float | None = None,
    fresh: bool = False,
    progress: Told | bool | None = None,
    **where: Unpack[Where],
) -> list[Energies]:
    """Energies at values of λ or of another parameter, as ``qernel query`` has them.

    What was measured earlier of these very weights is answered at once, between such points interpolated with its
    error (``origin`` of each answer). Where there is nothing, and where ``samples``, ``walkers`` or ``seed`` ask for
    chains that were not drawn yet, it is sampled and kept.

    Args:
        model: to measure.
        values: of the parameter, a number or several.
        precision: sample until the error of the energy per electron is this small, in E0, instead of ``samples``.
        fresh: sample, whatever is stored.
        progress: None: a bar on a terminal and in a notebook; True: everywhere; False: nowhere; or a function,
            called with what is measured and the fraction done.
        where: ``along``, the parameter (λ); ``at``, values of the others (the middle of the trained interval for
            those that are not given); ``samples``, ``walkers`` and ``seed`` of the chains at each value (as in the
            model's ``[sample]`` section); ``extrapolate``, to be answered beyond `reach` as well.

    Raises:
        QernelError: for a parameter that is given twice, or as one of ``at`` and is none of the model.
        RunError: for another parameter the model does not have, and for values beyond `reach`.

    >>> import qernel
    >>> model = qernel.load("n6")
    >>> found = model.query([0.9, 1.0], samples=4, walkers=16)
    >>> [round(one.energy.value) for one in found]
    [-17, -18]
    """
    from qernel.measure.answers import Wanted, answered
    from qernel.measure.points import numbers
    from qernel.measure.shelf import Shelf

    along = where.get("along", "lam")
    wanted = Wanted(numbers(along, values), precision=precision, fresh=fresh, **where)
    with shown(progress) as tell:
        return answered(Shelf.of(model), wanted, lambda: model, tell=tell).results


@stoppable
def scan(
    model: Model,
    values: npt.ArrayLike,
    *,
    sweeps: Sequence[str] = ("fresh",),
    exchange: bool = False,
    start: str | None = None,
    reweight: int = 0,
    observables: Sequence[str | Observable] = (),
    out: str | Path | None = None,
    progress: Told | bool | None = None,
    **where: Unpack[Where],
) -> Scan:
    """Energies over values of λ or of another parameter, as ``qernel scan`` measures them.

    Args:
        model: to measure.
        values: of the parameter.
        sweeps: where chains start: ``fresh`` at every value, or where they ended at the value below (``up``) or
            above (``down``); several of them.
        exchange: sample all values together and let neighbours swap configurations.
        start: chains start ``spread`` over the cell, or as crystals in their ``registries``; default as the model's
            ``sample.crystal_from`` says.
        reweight: so many energies between each two values, from the records of the nearest one.
        observables: measured on the same samples, by name or as instances; none by default, where the command measures
            `qernel.observables.registry.SCANNED`.
        out: folder for the files; a scan that was stopped goes on where it was when it is asked for again.
        progress: as of `query`.
        where: as of `query`.

    Raises:
        QernelError: as `query`, and for chains that do not go together.
        RunError: as `query`, and if ``out`` holds another scan.
        Interrupted: when a scan into a folder is stopped.

    >>> import qernel
    >>> scan = qernel.load("n6").scan([0.9, 1.0], samples=4, walkers=16, observables=["order_parameter"])
    >>> scan.dataset["energy"].dims, scan.observables["order_parameter"].shape
    (('lam',), (2,))
    >>> round(scan.rows[1].energy.value)
    -18
    """
    from qernel.measure.points import points
    from qernel.measure.scan import scan as measured

    with shown(progress) as tell:
        return measured(
            points(model, values, **where),
            sweeps=sweeps,
            exchange=exchange,
            start=start,
            reweight=reweight,
            observables=observables,
            out=None if out is None else Path(out),
            tell=tell,
        )


@stoppable
def map(
    model: Model,
    values: npt.ArrayLike,
    over: tuple[str, Sequence[float]],
    *,
    out: str | Path | None = None,
    progress: Told | bool | None = None,
    options: Options | None = None,
    **where: Unpack[Where],
) -> Map:
    """A scan at each of several values of a second parameter, as ``qernel scan --over`` measures them.

    Args:
        model: to measure.
        values: of the first parameter, along each scan.
        over: the second parameter and its values, for instance ``("U", [8, 9, 10])``.
        out: folder for the files; scans that are complete in it are not measured again.
        progress: as of `query`.
        options: ``sweeps``, ``exchange``, ``start``, ``reweight`` and ``observables`` as of `scan`.
        where: as of `query`.

    Raises:
        QernelError: as `scan`, and for a second parameter that is fixed or varied already.
        RunError: as `scan`, and for a second parameter that the model does not have.
        Interrupted: when a map into a folder is stopped.

    >>> import qernel
    >>> model = qernel.load("runs/of-lam-and-U")  # doctest: +SKIP
    >>> found = model.map([0.9, 1.0, 1.1], over=("U", [8.0, 9.0]))  # doctest: +SKIP
    >>> found.dataset["energy"].shape  # doctest: +SKIP
    (2, 3)
    """
    from qernel.measure.map import mapped
    from qernel.measure.points import points

    folder = None if out is None else Path(out)
    with shown(progress) as tell:
        return mapped(points(model, values, **where), over, out=folder, tell=tell, **(options or {}))


@stoppable
def observe(
    model: Model,
    values: npt.ArrayLike,
    observables: Sequence[str | Observable],
    *,
    out: str | Path | None = None,
    progress: Told | bool | None = None,
    **where: Unpack[Where],
) -> xarray.Dataset:
    """Observables over values of λ or of another parameter, as ``qernel observe`` measures them.

    Args:
        model: to measure.
        values: of the parameter.
        observables: names (`qernel.observables.names`), or instances where options differ from the defaults.
        out: folder for the file; a measurement that was stopped goes on where it was when it is asked for again.
        progress: as of `query`.
        where: as of `query`.

    Returns:
        A data set along the parameter with ``X`` and its standard error ``X_error`` for everything measured.

    Raises:
        QernelError: as `query`, and for an observable that does not exist.
        RunError: as `query`, and if ``out`` holds another measurement.
        Interrupted: when a measurement into a folder is stopped.

    >>> import qernel
    >>> data = qernel.load("n6").observe(1.0, ["site_charge", "energy"], samples=4, walkers=16)
    >>> round(float(data["energy"][0]))
    -18
    """
    from qernel.measure.observations import observations
    from qernel.measure.points import points

    folder = None if out is None else Path(out)
    with shown(progress) as tell:
        return observations(points(model, values, **where), observables, out=folder, tell=tell)


@stoppable
def diagnose(
    model: Model,
    values: npt.ArrayLike,
    *,
    groups: Sequence[str] | None = None,
    out: str | Path | None = None,
    progress: Told | bool | None = None,
    **where: Unpack[Where],
) -> Diagnoses:
    """What share of the variance of the local energy which parameters could remove, as ``qernel diagnose`` finds it.

    Args:
        model: to test.
        values: of the parameter.
        groups: names of terms that could be added (`qernel.tangent.registry.TERMS`); default: all of them.
        out: folder for the record; a test that was stopped goes on where it was when it is asked for again.
        progress: as of `query`.
        where: as of `query`.

    Raises:
        QernelError: as `query`, and for a term that does not exist.
        RunError: as `query`, for fewer than 4 chains, and if ``out`` holds another test.
        Interrupted: when a test into a folder is stopped.

    >>> import qernel
    >>> found = qernel.load("n6").diagnose(1.0, groups=["pair"], samples=4, walkers=16)
    >>> found.found[0]["pair"].share.columns
    4
    """
    from qernel.measure.diagnose import diagnoses
    from qernel.measure.points import points

    folder = None if out is None else Path(out)
    with shown(progress) as tell:
        return diagnoses(points(model, values, **where), groups=groups, out=folder, tell=tell)


@stoppable
def project(
    model: Model,
    values: npt.ArrayLike,
    *,
    time_steps: Sequence[float] | float = (),
    time: float | None = None,
    fit: str = "linear",
    start: str | None = None,
    out: str | Path | None = None,
    progress: Told | bool | None = None,
    **where: Unpack[Where],
) -> Projections:
    """Diffusion Monte Carlo energies with the nodes or the phase of ψ, as ``qernel project`` finds them.

    Args:
        model: to project.
        values: of the parameter.
        time_steps: in 1/E0; default: at each value one that accepts 99% of the steps, its half and its quarter.
        time: imaginary time at each time step in 1/E0 (8).
        fit: of the energies against the time step: ``linear`` or ``quadratic``.
        start: of the chains of |ψ|², as of `scan`; walkers begin in that phase.
        out: folder for the files; a projection that was stopped goes on where it was when it is asked for again.
        progress: as of `query`.
        where: as of `query`; as many walkers are projected as there are chains.

    Raises:
        QernelError: as `query`, and for time steps, a time or a fit that make no sense.
        RunError: as `query`, and if ``out`` holds another projection.
        Interrupted: when a projection into a folder is stopped.

    >>> import qernel
    >>> found = qernel.load("n6").project(1.0, time_steps=0.01, time=0.1, samples=4, walkers=16)
    >>> found.found[0].gain.value < 0.5
    True
    """
    from qernel.measure.points import points
    from qernel.measure.project import projections

    folder = None if out is None else Path(out)
    with shown(progress) as tell:
        asked = points(model, values, **where)
        return projections(asked, time_steps=time_steps, time=time, fit=fit, start=start, out=folder, tell=tell)
