#!/usr/bin/env bash
# Collects the wheels that a host without network needs for the suite: Python 3.12 on Linux x86-64, where torch, numpy
# and NVIDIA's packages are already. Together with the tree they stay within 64 MiB.
#
#   tests/gpu/pack.sh FOLDER            here, with network (PYTHON_VERSION=3.11 for another Python there)
#   tests/gpu/run.sh FOLDER REPORT.json there: one command
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${1:?"usage: tests/gpu/pack.sh FOLDER"}
python=${PYTHON:-python3}
version=${PYTHON_VERSION:-3.12}
mkdir -p "$folder"
rm -f "$folder"/*.whl
# What the host has already is left out (--no-deps): torch, numpy, scipy, nvidia-ml-py, setuptools.
"$python" -m pip download --quiet --disable-pip-version-check --dest "$folder" --no-deps \
  --python-version "$version" --implementation cp --abi "cp${version/./}" --abi abi3 --abi none \
  --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
  --only-binary :all: -r tests/gpu/requirements.txt
# On PyPI as sources only, in pure Python.
"$python" -m pip wheel --quiet --disable-pip-version-check --wheel-dir "$folder" --no-deps "nkeys>=0.2"
wheels=$(du -sb "$folder" | cut -f1)
tree=$(git ls-files -z | xargs -0 du -cb | tail -1 | cut -f1)
echo "$(ls "$folder" | wc -l) wheels of $((wheels / 1048576)) MiB, a tree of $((tree / 1048576)) MiB"
if [ $((wheels + tree)) -gt $((64 * 1048576)) ]; then
  echo "together more than 64 MiB" >&2
  exit 1
fi
