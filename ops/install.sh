#!/usr/bin/env bash
# Makes a virtual environment with Pocket3DStudio in it, or finds it up to date and does nothing.
#
#   ops/install.sh VENV EXTRAS        e.g. ops/install.sh .venv all,dev
#
# PYTHON  interpreter to build it with   (default: the newest of python3.13 ... python3.10 that is found)
# TORCH   auto   the CPU build where there is no NVIDIA driver, else PyPI's (with CUDA)      (default)
#         cpu    the CPU build          cuda   PyPI's build          none   no torch: mesh tools only
#         or any requirement of pip's, e.g. TORCH='torch==2.9.1'
set -euo pipefail
cd "$(dirname "$0")/.."

venv=$1
extras=$2
torch=${TORCH:-auto}
cpu_index=https://download.pytorch.org/whl/cpu

say() { printf '%s\n' "$*"; }

find_python() {
  local candidate found
  if [ -n "${PYTHON:-}" ]; then
    command -v "$PYTHON" || { say "PYTHON=$PYTHON: no such program" >&2; return 1; }
    return
  fi
  for candidate in python3.13 python3.12 python3.11 python3 python3.10; do
    # A pyenv shim may be there for a version that is not: only what runs counts.
    if found=$(command -v "$candidate") &&
      "$found" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
      say "$found"
      return
    fi
  done
  for found in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[3210].*/bin/python; do
    if [ -x "$found" ]; then
      say "$found"
      return
    fi
  done
  say "no Python 3.10 to 3.13 with venv found: install one, or name it with PYTHON=/path/to/python" >&2
  return 1
}

has_nvidia_driver() {
  [ -e /proc/driver/nvidia/version ] || { command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; }
}

reachable() {
  "$venv/bin/python" - "$1" <<'PY'
import sys
import urllib.request

try:
    urllib.request.urlopen(urllib.request.Request(sys.argv[1] + "/torch/", method="HEAD"), timeout=5).close()
except OSError:
    sys.exit(1)
PY
}

stamp="$venv/.pocket3d-$extras"
wanted="$(cksum <pyproject.toml) torch=$torch extras=$extras"
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && [ -x "$venv/bin/pocket3d" ]; then
  exit 0
fi

if [ ! -x "$venv/bin/python" ]; then
  python=$(find_python)
  say "creating $venv with $("$python" --version) at $python"
  "$python" -m venv "$venv"
fi
pip=("$venv/bin/python" -m pip --disable-pip-version-check)

requirements=()
options=()
has_torch() { "$venv/bin/python" -c 'import torch' 2>/dev/null; }
case $torch in
  none) ;;
  auto | cpu | cuda)
    if has_torch; then
      say "torch is there already"
    else
      kind=$torch
      if [ "$kind" = auto ]; then
        if [ "$(uname -s)" = Darwin ] || has_nvidia_driver; then kind=cuda; else kind=cpu; fi
      fi
      requirement="torch>=2.1"
      if [ "$kind" = cpu ]; then
        if reachable "$cpu_index"; then
          options+=(--extra-index-url "$cpu_index")
        else
          say "torch: $cpu_index cannot be reached"
        fi
        # Newest first. Also a mirror or a folder of wheels that pip is configured with may have CPU builds.
        build=$("${pip[@]}" index versions torch ${options[@]+"${options[@]}"} 2>/dev/null |
          tr ', ' '\n\n' | grep -m 1 -E '^[0-9.]+\+cpu$' || true)
        [ -z "$build" ] || requirement="torch==$build"
      fi
      if [ "$kind" = cpu ] && [ -n "$build" ]; then
        say "torch: the CPU build $build (no NVIDIA driver is used; TORCH=cuda takes the other build)"
      else
        say "torch: the build of the Python package index, with CUDA on Linux"
      fi
      requirements+=("$requirement")
    fi
    ;;
  *) requirements+=("$torch") ;;
esac
# An extra names torch too; with TORCH=none what it has beside torch is installed.
if [ "$torch" = none ]; then
  extras=$(printf '%s' "$extras" | sed -E 's/(^|,)(all|agent)(,|$)/\1server,meshes,gateway\3/g')
  say "torch: none; generators of meshes from texts and pictures, and textures, are not available without it"
fi
# ${a[@]+"${a[@]}"}: an empty array is an unset variable to bash 3.2, which macOS still has.
install=(install --editable ".[$extras]" ${requirements[@]+"${requirements[@]}"} ${options[@]+"${options[@]}"})

say "asking pip what is missing ..."
if report=$("${pip[@]}" "${install[@]}" --dry-run --quiet --report - 2>/dev/null); then
  printf '%s' "$report" | "$venv/bin/python" ops/download_size.py || {
    [ $? -eq 3 ] || exit 1
    # More than a gigabyte: a person is asked, a script goes on.
    if [ -t 0 ] && [ -t 1 ]; then
      read -r -p "go on? TORCH=cpu or TORCH=none may need less [y/N] " answer
      case $answer in [yY]*) ;; *) say "stopped; nothing was installed"; exit 1 ;; esac
    fi
  }
fi
"${pip[@]}" "${install[@]}" --quiet
printf '%s' "$wanted" >"$stamp"
say "installed; the command is $venv/bin/pocket3d"
