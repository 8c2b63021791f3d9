"""Batch jobs: independent studies as an array of jobs that queue themselves again until they are complete.

`studies` says what is calculated, `resources` on what, `job` writes the script and hands it to SLURM.
"""
