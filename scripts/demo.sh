#!/usr/bin/env bash
# Install Qernel from the lock file and run the main job: train one wavefunction for six electrons over λ,
# then measure its phase diagram. Takes the options of `qernel demo`.
cd "$(dirname "$0")/.."
. scripts/environment.sh lock.txt
exec .venv/bin/qernel demo "$@"
