# Sourced by demo.sh and test.sh: a virtual environment with the locked dependencies, made once. What builds Qernel
# itself is locked like the rest: without --no-build-isolation pip would fetch some version of it, unchecked.
# usage: . scripts/environment.sh lock-file   (run from the repository root)
set -eu
build="requirements/lock-build.txt"
lock="requirements/$1"
stamp=".venv/.$1-$(cat "$build" "$lock" | cksum | cut -d' ' -f1)"
if [ ! -e "$stamp" ]; then
  python="${PYTHON:-python3}"
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Qernel needs Python 3.11 or newer; $python is $("$python" --version 2>&1). Set PYTHON to a newer one." >&2
    exit 2
  }
  [ -x .venv/bin/python ] || "$python" -m venv .venv
  pip=".venv/bin/python -m pip --disable-pip-version-check --quiet install"
  $pip --require-hashes -r "$build"
  $pip --require-hashes -r "$lock"
  $pip --no-deps --no-build-isolation --editable .
  touch "$stamp"
fi
