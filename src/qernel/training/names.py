"""Names of files in a run folder that others look for, without what it takes to train."""

from __future__ import annotations

METRICS_FILE, MODEL_FILE = "metrics.csv", "model.safetensors"
