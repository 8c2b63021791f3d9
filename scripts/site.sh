#!/usr/bin/env bash
# Build the site into site/: every page, with the notebooks executed. A warning is an error. Takes options of sphinx-build.
cd "$(dirname "$0")/.."
. scripts/environment.sh lock-dev.txt
export OPENBLAS_NUM_THREADS=1
export TF_CPP_MIN_LOG_LEVEL=3  # or notebooks show that XLA compiled slowly on a busy machine
exec .venv/bin/python -m sphinx --quiet --fail-on-warning --keep-going "$@" docs site
