#!/bin/sh
# Writes requirements.lock and requirements-test.lock anew from pyproject.toml, for Python 3.11 and later, with hashes.
# Needs uv on the PATH (or UV=/path/to/uv). Java: .venv/bin/python -m saphan_infra.relock_java
set -eu
cd "$(dirname "$0")/.."
uv=${UV:-uv}
# ./saphan installs the project without build isolation, so its build back end is locked too.
build=$(mktemp)
trap 'rm -f "$build"' EXIT
printf 'hatchling>=1.27\neditables>=0.5\n' >"$build"

lock() {
    target=$1
    shift
    {
        echo "# Made by infra/relock.sh from pyproject.toml; do not edit."
        "$uv" pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-annotate \
            --no-emit-index-url --no-emit-find-links "$@" pyproject.toml "$build"
    } >"$target.new"
    mv "$target.new" "$target"
}

lock requirements-test.lock --extra test
lock requirements.lock --constraint requirements-test.lock
