#!/usr/bin/env bash
# Installs one locked stack into a virtual environment:  scripts/install.sh cpu|dev|gpu|gateway [VENV]
# cpu: vLLM on the processor, with the bundled model. dev: cpu plus the tools of `make check` and `make test`.
# gpu: vLLM for CUDA. gateway: no torch, no vllm. Every package is pinned and hash-checked; nothing is resolved here.
# Espalier itself is run from here; ESPALIER_EDITABLE=0 copies it into the environment instead.
set -euo pipefail
cd "$(dirname "$0")/.."
stack="${1:?usage: scripts/install.sh cpu|dev|gpu|gateway [VENV]}"
venv="${2:-.venv}"
python="${PYTHON:-python3}"
torch="2.13.0+cpu"

fail() { printf 'espalier: %s\n' "$1" >&2; exit 2; }
say() { printf '\033[1m==>\033[0m %s\n' "$1"; }

[ -f "requirements/$stack.txt" ] && [ "$stack" != overrides ] || fail "unknown stack '$stack': choose cpu, dev, gpu or gateway"
command -v "$python" >/dev/null || fail "no $python found: install Python 3.11 to 3.14, or name one: make PYTHON=/path/to/python3.11"
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' ||
  fail "$("$python" --version 2>&1) is not supported: install Python 3.11 to 3.14, or name one: make PYTHON=/path/to/python3.11"

if [ "$stack" = cpu ] || [ "$stack" = dev ]; then
  "$python" -c 'import ctypes; ctypes.CDLL("libnuma.so.1")' 2>/dev/null ||
    fail "the system library libnuma.so.1 is missing, which vLLM needs on a processor (on Debian and Ubuntu: apt-get install libnuma1)"
fi
if [ ! -x "$venv/bin/python" ]; then
  say "creating $venv with $("$python" --version)"
  "$python" -m venv "$venv" || fail "could not create $venv (on Debian and Ubuntu: apt-get install python3-venv)"
fi
pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }

if [ "$stack" = cpu ] || [ "$stack" = dev ]; then
  if ! "$venv/bin/python" -c "import importlib.metadata as m, sys; sys.exit(m.version('torch') != '$torch')" 2>/dev/null; then
    say "installing torch $torch"
    # Where pip is not configured to find the CPU build by itself, it comes from PyTorch's own index; never from PyPI,
    # whose build brings several GB of CUDA.
    pip install --quiet --no-deps "torch==$torch" 2>/dev/null ||
      pip install --quiet --no-deps "torch==$torch" --index-url https://download.pytorch.org/whl/cpu ||
      fail "torch $torch could not be installed: is https://download.pytorch.org/whl/cpu reachable?"
  fi
fi
say "installing $(grep -c '^[a-z0-9].*==' "requirements/$stack.txt") pinned packages ($stack); the first time this takes some minutes"
pip install --quiet --no-deps --require-hashes -r "requirements/$stack.txt"
say "installing espalier"
if [ "${ESPALIER_EDITABLE:-1}" = 1 ]; then pip install --quiet --no-deps -e .; else pip install --quiet --no-deps .; fi

touch "$venv/.espalier-$stack"
if [ "$stack" = dev ]; then touch "$venv/.espalier-cpu"; fi
say "done: $venv"
