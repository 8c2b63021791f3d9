# Sourced by demo.sh and test.sh: a virtual environment with the locked dependencies, made once.
# usage: . scripts/environment.sh lock-file   (run from the repository root)
set -eu
lock="requirements/$1"
stamp=".venv/.$1-$(cksum < "$lock" | cut -d' ' -f1)"
if [ ! -e "$stamp" ]; then
  python="${PYTHON:-python3}"
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Qernel needs Python 3.11 or newer; $python is $("$python" --version 2>&1). Set PYTHON to a newer one." >&2
    exit 2
  }
  [ -x .venv/bin/python ] || "$python" -m venv .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
  touch "$stamp"
fi
