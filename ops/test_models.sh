#!/usr/bin/env bash
# Makes the environment in which the upstream models run in tests (tests/models), or finds it up to date, and runs them.
#
#   ops/test_models.sh VENV MODELS_VENV [pytest arguments]        e.g. ops/test_models.sh .venv .venv-models
#
# VENV has Pocket3DStudio, its server and its tests; MODELS_VENV has torch and the upstream packages, and is given to the
# adapters as their `python`, as an operator does. Its packages:
#   tests/models/requirements/NAME.txt           with their dependencies
#   tests/models/requirements/NAME.no-deps.txt   alone, because what they declare is wrong or pulls another torch
# torch comes first and is held: a package that wants another torch fails here, not after 5 GB of CUDA.
#
# MODELS_TORCH   the requirement (default torch==2.13.0)
# PYTHON         interpreter to build it with (default: the one of VENV)
set -euo pipefail
cd "$(dirname "$0")/.."

venv=$1
models=$2
shift 2
torch=${MODELS_TORCH:-torch==2.13.0}
cpu_index=https://download.pytorch.org/whl/cpu
python=${PYTHON:-$venv/bin/python}

say() { printf '%s\n' "$*"; }

stamp="$models/.pocket3d-models"
wanted="$(cat tests/models/requirements/*.txt | cksum) $torch"
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ]; then
  started=$SECONDS
  if [ ! -x "$models/bin/python" ]; then
    say "creating $models with $("$python" --version)"
    "$python" -m venv "$models"
  fi
  pip=("$models/bin/python" -m pip --disable-pip-version-check)
  if ! "$models/bin/python" -c 'import torch' 2>/dev/null; then
    options=()
    if "$models/bin/python" -c "import urllib.request as u; u.urlopen(u.Request('$cpu_index/torch/', method='HEAD'), timeout=5)" \
      2>/dev/null; then
      options=(--extra-index-url "$cpu_index")
    fi
    # The CPU build by name where pip finds one: a plain number is PyPI's build, with CUDA.
    cpu_build=$torch
    case $torch in torch==*+*) ;; torch==*) cpu_build=$torch+cpu ;; esac
    say "installing $cpu_build"
    "${pip[@]}" install --quiet ${options[@]+"${options[@]}"} "$cpu_build" ||
      { say "no $cpu_build is found; taking $torch"; "${pip[@]}" install --quiet "$torch"; }
  fi
  held=$models/torch.txt
  "${pip[@]}" list --format=freeze | grep '^torch==' >"$held"
  with=()
  alone=()
  for list in tests/models/requirements/*.txt; do
    case $list in *.no-deps.txt) alone+=(-r "$list") ;; *) with+=(-r "$list") ;; esac
  done
  say "installing the models' packages ($(cat "$held") stays)"
  "${pip[@]}" install --quiet "${with[@]}" --constraint "$held"
  "${pip[@]}" install --quiet --no-deps "${alone[@]}"
  now=$("${pip[@]}" list --format=freeze | grep '^torch==')
  if [ "$now" != "$(cat "$held")" ] || "${pip[@]}" list --format=freeze | grep -q '^nvidia-'; then
    say "$models: torch was replaced ($now), or CUDA's packages came along; remove the folder and look at requirements" >&2
    case $torch in *+cpu | torch==2.13.0) exit 1 ;; esac
  fi
  printf '%s' "$wanted" >"$stamp"
  say "$models: $(du -sh "$models" | cut -f1), made in $((SECONDS - started)) s"
fi

if [ "${POCKET3D_MODELS_ONLY_INSTALL:-}" ]; then exit 0; fi
exec env POCKET3D_MODELS_PYTHON="$(cd "$models" && pwd)/bin/python" "$venv/bin/python" -m pytest -q tests/models "$@"
