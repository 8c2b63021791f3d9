"""How far weights of small cells carry to a larger one: scans at one size against each other and Hartree–Fock.

    python studies/size_transfer/transfer.py FOLDER [OUT]

FOLDER has what `qernel scan` and `qernel hf` wrote at the same λ, in folders of these names (commands: README.md):

    zero-shot      the weights as they were trained, without this size
    transferred    trained on from there
    alone-equal    trained at this size from the beginning, as many updates
    alone          the same, more updates; may be missing
    hartree-fock   the lowest determinants found

Prints energies per electron above those of `alone` (of `alone-equal` where it is missing), and two verdicts: whether
`zero-shot` is below Hartree–Fock at every λ, and whether `transferred` is as low in the mean over λ. Writes
``transfer.json`` and ``transfer.png`` into OUT, which is FOLDER if not given. Errors are those of sampling; no two
scans share their chains.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

SCANS = ("zero-shot", "transferred", "alone-equal", "alone")
UNTRAINED = SCANS[:1]
SYSTEM = ("electrons", "supercell", "twist")


class Curve(NamedTuple):
    """Energies per electron in E0 along λ with their errors, and what was measured."""

    lam: np.ndarray
    energy: np.ndarray
    error: np.ndarray
    system: dict[str, Any]
    updates: int | None


def scan(folder: Path, name: str) -> Curve:
    """The energies of a scan; refused where they are no answer."""
    record = json.loads((folder / name / "energies.json").read_text("utf-8"))
    rows = record["results"]
    for row in rows:
        if row["impossible"]:
            raise SystemExit(f"{name}: no answer at λ = {row['lam']:g}: {row['impossible']}")
    system = record["system"]
    if system["size_trained"] == (name in UNTRAINED):
        raise SystemExit(
            f"{name}: the size was {'' if system['size_trained'] else 'not '}trained, which is another scan"
        )
    energies = np.array([(row["lam"], row["energy"]["value"], row["energy"]["error"]) for row in rows]).T
    return Curve(*energies, system, record["model"].get("training", {}).get("updates"))


def mean_field(folder: Path) -> Curve:
    """The lowest determinant at each λ."""
    record = json.loads((folder / "hartree-fock" / "hartree_fock.json").read_text("utf-8"))
    lam, energy = np.array([(row["lam"], row["energy"]) for row in record["results"]]).T
    return Curve(lam, energy, np.zeros_like(energy), record["system"], None)


def longest(curves: dict[str, Curve]) -> str:
    """The scan that the others are held against: of the most updates from the beginning."""
    return "alone" if "alone" in curves else "alone-equal"


def require_alike(curves: dict[str, Curve]) -> None:
    """The same electrons in the same supercell at the same twist and λ, or the differences mean nothing."""
    base = longest(curves)
    first = curves[base]
    for name, curve in curves.items():
        unlike = [key for key in SYSTEM if curve.system.get(key, first.system[key]) != first.system[key]]
        if unlike or not np.array_equal(curve.lam, first.lam):
            raise SystemExit(f"{name}: other {', '.join(unlike) or 'λ'} than {base}: measure all of them alike")


def verdicts(curves: dict[str, Curve]) -> dict[str, Any]:
    """What the measurement is for; a difference counts as shown where it is more than two errors."""
    base, zero = longest(curves), curves["zero-shot"]
    alone = curves[base]
    gain = curves["hartree-fock"].energy - zero.energy
    least = int(np.argmin(gain))
    found: dict[str, Any] = {
        "zero_shot_below_hartree_fock": {
            "everywhere": bool(np.all(gain > 2 * zero.error)),
            "least": {"lam": float(zero.lam[least]), "value": float(gain[least]), "error": float(zero.error[least])},
        }
    }
    for name in SCANS[1:]:
        if name == base or name not in curves:
            continue
        curve = curves[name]
        value = float(np.mean(curve.energy - alone.energy))
        error = float(np.sqrt(np.sum(curve.error**2 + alone.error**2)) / len(alone.lam))
        found[f"{name}_minus_{base}"] = {"value": value, "error": error, "as_low": value < 2 * error}
    return found


def table(curves: dict[str, Curve]) -> list[str]:
    """A row for each λ: energies above those of the longest training from the beginning."""
    base = longest(curves)
    alone = curves[base]
    names = [name for name in curves if name != base]
    lines = [f"| λ | {base} | " + " | ".join(names) + " |", "|---" * (2 + len(names)) + "|"]
    for index, lam in enumerate(alone.lam):
        above = []
        for name in names:
            curve = curves[name]
            error = np.hypot(curve.error[index], alone.error[index])
            above.append(f"{curve.energy[index] - alone.energy[index]:+.4f} ± {error:.4f}")
        lines.append(f"| {lam:g} | {alone.energy[index]:.4f} ± {alone.error[index]:.4f} | {' | '.join(above)} |")
    return lines


def drawn(curves: dict[str, Curve], path: Path) -> None:
    """Energies above those of the longest training from the beginning against λ."""
    base = longest(curves)
    alone = curves[base]
    figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for name, curve in curves.items():
        updates = "" if curve.updates is None else f", {curve.updates} updates"
        style = "--" if name == "hartree-fock" else "-"
        axis.errorbar(curve.lam, curve.energy - alone.energy, curve.error, fmt=f"o{style}", ms=3, label=name + updates)
    axis.set(xlabel="λ", ylabel=f"energy per electron above {base} (E0)")
    axis.set_title(f"{alone.system['electrons']} electrons")
    axis.legend()
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main(folder: Path, out: Path) -> None:
    """Print table and verdicts, write them and the figure."""
    present = [name for name in SCANS if name != "alone" or (folder / name).is_dir()]
    curves = {name: scan(folder, name) for name in present} | {"hartree-fock": mean_field(folder)}
    require_alike(curves)
    found = verdicts(curves)
    print("\n".join(table(curves)))
    print(json.dumps(found, indent=1))
    system = {key: curves["zero-shot"].system[key] for key in SYSTEM}
    energies = {
        name: {"lam": curve.lam.tolist(), "energy": curve.energy.tolist(), "error": curve.error.tolist()}
        | {"updates": curve.updates}
        for name, curve in curves.items()
    }
    record = {"system": system, "energies": energies, **found, "units": "E0 per electron, one standard error"}
    (out / "transfer.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    drawn(curves, out / "transfer.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else sys.argv[1]))
