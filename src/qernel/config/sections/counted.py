"""Which keys tell one calculation from another, for fingerprints and for runs that are resumed."""

from __future__ import annotations

LATER_KEYS: dict[str, tuple[str, ...]] = {
    "family": ("gaps", "systems", "scaled_over"),
    "model": (
        "hf_order",
        "hf_cutoff",
        "hf_trained",
        "symmetric_along",
        "parameter_features",
        "expert_balance",
        "backflow",
        "many_body",
        "many_body_range",
        "phase",
    ),
    "train": ("margin", "focus", "exchange", "crystal_from", "spread_until", "started_from", "implicit"),
    "sample": ("crystal_from",),
}
"""Keys that came after the first runs were stored: at their defaults they do not enter a fingerprint."""

UNCOUNTED = {"train": ("keep_checkpoints", "stall_limit_s")}
"""Keys that change nothing in a calculation but how it is looked after: not part of its fingerprint."""

EXTENT = {"train": ("iterations", "time_limit_s")}
"""Keys that say how far a run goes and change nothing on the way: it may be resumed with others."""
