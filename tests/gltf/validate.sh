#!/usr/bin/env bash
# Checks GLB files with Khronos' glTF validator (npm gltf-validator), which it installs into a folder of its own first.
#
#   tests/gltf/validate.sh MODULES_FOLDER FILE...
#
# Exit code 0 if none has errors, or if there is no Node.js here (which it says); 1 otherwise.
set -euo pipefail
modules=$1
shift
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
  echo "Node.js is not installed here: the GLB files were not checked with the Khronos glTF validator"
  exit 0
fi
if [ "$#" = 0 ] || [ ! -e "$1" ]; then
  echo "no GLB files to check" >&2
  exit 1
fi
if [ ! -d "$modules/node_modules/gltf-validator" ]; then
  mkdir -p "$modules"
  if ! npm install --silent --no-fund --no-audit --prefix "$modules" gltf-validator@2.0.0-dev.3.10 >/dev/null; then
    echo "npm could not install gltf-validator: the GLB files were not checked"
    exit 0
  fi
fi
node "$(dirname "$0")/validate.mjs" "$modules" "$@"
