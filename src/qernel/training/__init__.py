"""Training: one pure step, the run in its folder, checkpoints and metrics."""
