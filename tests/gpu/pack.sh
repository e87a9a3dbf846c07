#!/usr/bin/env bash
# Collects the wheels that a host without network needs for the suite: Python 3.12 on Linux x86-64, where torch, numpy
# and NVIDIA's packages are already. Together with the tree they stay within 64 MiB.
#
#   tests/gpu/pack.sh FOLDER            here, with network (PYTHON_VERSION=3.11 for another Python there)
#   tests/gpu/run.sh FOLDER REPORT.json there: one command
#
# Of upstream's models it carries the packages of Hunyuan3D (g09) and TRELLIS (g10), and the Python files of checkouts that
# HUNYUAN3D_CHECKOUT, TRELLIS_CHECKOUT and PARTFIELD_CHECKOUT name; g11 needs the last one.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${1:?"usage: tests/gpu/pack.sh FOLDER"}
python=${PYTHON:-python3}
version=${PYTHON_VERSION:-3.12}
mkdir -p "$folder"
rm -rf "$folder"/*.whl "$folder"/checkouts
# What the host has already is left out (--no-deps): torch, numpy, scipy, nvidia-ml-py, setuptools.
"$python" -m pip download --quiet --disable-pip-version-check --dest "$folder" --no-deps \
  --python-version "$version" --implementation cp --abi "cp${version/./}" --abi abi3 --abi none \
  --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
  --only-binary :all: -r tests/gpu/requirements.txt -r tests/gpu/requirements_models.txt
# On PyPI as sources only, in pure Python.
"$python" -m pip wheel --quiet --disable-pip-version-check --wheel-dir "$folder" --no-deps "nkeys>=0.2"
for name in hunyuan3d trellis partfield; do
  variable=${name^^}_CHECKOUT
  checkout=${!variable:-}
  if [ -n "$checkout" ]; then
    mkdir -p "$folder/checkouts/$name"
    (cd "$checkout" && find . \( -name "*.py" -o -name "*.yaml" \) -size -256k) |
      tar -C "$checkout" -cf - -T - | tar -C "$folder/checkouts/$name" -xf -
    echo "$name: of the checkout $checkout"
  elif [ "$name" = partfield ]; then
    echo "g11 is not carried: $variable names no checkout"
  else
    echo "$name: of its package"
  fi
done
wheels=$(du -sb "$folder" | cut -f1)
tree=$(git ls-files -z | xargs -0 du -cb | tail -1 | cut -f1)
echo "$(ls "$folder"/*.whl | wc -l) wheels and checkouts of $((wheels / 1048576)) MiB, a tree of $((tree / 1048576)) MiB"
if [ $((wheels + tree)) -gt $((64 * 1048576)) ]; then
  echo "together more than 64 MiB" >&2
  exit 1
fi
