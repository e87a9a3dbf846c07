#!/usr/bin/env bash
# Runs the suite without a GPU: against the stand-in of NVIDIA's library (tests/unit/probes/fake_nvml.c), which shows one
# GPU of 24 GB. It says whether the suite itself works, nothing of any GPU.
#
#   tests/gpu/rehearse.sh PYTHON REPORT.json [pytest arguments]
set -euo pipefail
python=$1
report=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cc -shared -fPIC -o "$folder/libnvidia-ml.so.1" "$here/../unit/probes/fake_nvml.c"
gib=$((1024 * 1024 * 1024))
echo "gpu 0 GPU-11111111-2222-3333-4444-555555555555 Stand-in-24GB $((24 * gib)) $((gib / 2)) $((gib / 2)) 0 0" >"$folder/state"
export LD_LIBRARY_PATH="$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" FAKE_NVML_STATE="$folder/state"
export GPU_SUITE_REHEARSAL=1 GPU_SUITE=$report
"$python" -m pytest -q -p no:xdist "$here" "$@"
