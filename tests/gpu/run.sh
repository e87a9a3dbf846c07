#!/usr/bin/env bash
# The suite on a host without network: an environment over the host's own packages, with the wheels that pack.sh
# collected, the checkouts that it took along, and then all tests.
#
#   tests/gpu/run.sh FOLDER_OF_WHEELS REPORT.json [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/../.."
wheels=$1
report=$2
shift 2
venv=${GPU_VENV:-/tmp/pocket3d-gpu-venv}
python=${PYTHON:-python3}
"$python" -m venv --system-site-packages "$venv"
# Nothing that the host has is replaced, and nothing is asked of a network.
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps "$wheels"/*.whl
for checkout in "$wheels"/checkouts/*/; do
  name=$(basename "$checkout")
  if [ -d "$checkout" ]; then export "${name^^}_CHECKOUT=$(cd "$checkout" && pwd)"; fi
done
if [ "${GPU_SUITE_REHEARSAL:-}" = 1 ]; then
  exec bash tests/gpu/rehearse.sh "$venv/bin/python" "$report" "$@"
fi
GPU_SUITE=$report exec "$venv/bin/python" -m pytest -q -p no:xdist tests/gpu "$@"
