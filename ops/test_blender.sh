#!/usr/bin/env bash
# Makes an environment with Blender's Python module, or finds it there, and runs the tests that need it: GLB to FBX and
# back, as the UniRig adapter converts. It is one of its own, because bpy 4.2 wants Python 3.11 and numpy 1.
#
#   ops/test_blender.sh VENV BLENDER_VENV [pytest arguments]       e.g. ops/test_blender.sh .venv .venv-models/blender
#
# PYTHON   a Python 3.11 to build it with (default: python3.11, or that of VENV if it is one)
set -euo pipefail
cd "$(dirname "$0")/.."

venv=$1
blender=$2
shift 2
packages=(bpy==4.2.0 numpy==1.26.4)

if ! "$blender/bin/python" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("bpy") is None)' 2>/dev/null; then
  python=${PYTHON:-}
  for each in "$venv/bin/python" python3.11; do
    if [ -z "$python" ] && "$each" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
      python=$each
    fi
  done
  if [ -z "$python" ]; then
    echo "no Python 3.11 is found, and Blender 4.2's module exists for no other: its tests are skipped (set PYTHON)"
    exit 0
  fi
  echo "creating $blender with ${packages[*]} (1.6 GB on disk)"
  "$python" -m venv "$blender"
  "$blender/bin/python" -m pip --disable-pip-version-check install --quiet "${packages[@]}"
fi
exec env POCKET3D_MODELS_PYTHON="$(cd "$blender" && pwd)/bin/python" \
  "$venv/bin/python" -m pytest -q tests/models/test_blender.py "$@"
