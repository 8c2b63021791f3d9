#!/usr/bin/env bash
# Build wheel and sdist with the locked tools, check what is in them, and install the wheel into a fresh environment of
# every supported Python that is on this machine. They are left in dist/.
cd "$(dirname "$0")/.."
. scripts/environment.sh lock-dev.txt
out="$(mktemp -d)"
trap 'rm -rf "$out"' EXIT

.venv/bin/python -m build --no-isolation --outdir "$out" . > "$out/log" || { cat "$out/log" >&2; exit 1; }
.venv/bin/twine check --strict "$out"/*.whl "$out"/*.tar.gz

tar -tzf "$out"/*.tar.gz | cut -d/ -f2- > "$out/sdist"
.venv/bin/python -m zipfile -l "$out"/*.whl | awk '{ print $1 }' > "$out/wheel"
for file in LICENSE README.md CHANGELOG.md CITATION.cff src/qernel/py.typed; do
  grep -qx "$file" "$out/sdist" || { echo "package: the sdist has no $file" >&2; exit 1; }
done
if grep -E '^(studies|tests)/' "$out/sdist" >&2; then echo "package: the sdist has what stays in the repository" >&2; exit 1; fi
for file in qernel/py.typed qernel/models/n6/model.safetensors 'qernel-.*/licenses/LICENSE'; do
  grep -qx "$file" "$out/wheel" || { echo "package: the wheel has no $file" >&2; exit 1; }
done

# The interpreter of a version: on the path, or one that pyenv keeps (what it puts on the path may refuse to run).
interpreter() {
  for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
    "$candidate" -c '' 2> "$out/refused" && { echo "$candidate"; return; }
  done
  return 1
}

for version in 3.11 3.12 3.13; do
  if ! python="$(interpreter "$version")"; then
    echo "package: Python $version is not on this machine, the wheel was not tried with it"
    continue
  fi
  "$python" -m venv "$out/$version"
  pip="$out/$version/bin/python -m pip --disable-pip-version-check --quiet install --no-compile"
  $pip --require-hashes -r requirements/lock.txt
  $pip --no-deps --no-build-isolation "$out"/*.whl
  (cd "$out" && "$version/bin/qernel" models > models.txt && grep -q n54 models.txt)
  echo "package: the wheel ($(du -h "$out"/*.whl | cut -f1)) was installed and runs with Python $version"
  rm -rf "$out/$version"
done

mkdir -p dist
cp "$out"/*.whl "$out"/*.tar.gz dist/
