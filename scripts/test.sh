#!/usr/bin/env bash
# Install Qernel with its development tools from the lock file and run the tests. Takes the options of pytest.
cd "$(dirname "$0")/.."
. scripts/environment.sh lock-dev.txt
export OPENBLAS_NUM_THREADS=1
# Tests of one file share what they have compiled: each process begins with half of the files and takes tests from the
# other when it has none left.
exec .venv/bin/python -m pytest -n 2 --dist worksteal "$@"
