#!/usr/bin/env bash
# Build the site into site/: every page, with the notebooks executed. A warning is an error. Takes options of sphinx-build.
cd "$(dirname "$0")/.."
. scripts/environment.sh lock-dev.txt
export OPENBLAS_NUM_THREADS=1
exec .venv/bin/python -m sphinx --quiet --fail-on-warning --keep-going "$@" docs site
