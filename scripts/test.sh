#!/usr/bin/env bash
# Install Qernel with its development tools from the lock file and run the tests. Takes the options of pytest.
cd "$(dirname "$0")/.."
. scripts/environment.sh lock-dev.txt
export OPENBLAS_NUM_THREADS=1
exec .venv/bin/python -m pytest -n 2 "$@"
