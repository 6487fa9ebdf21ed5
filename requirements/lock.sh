#!/usr/bin/env bash
# Resolves pyproject.toml anew into one lock per stack: gateway, cpu, gpu and dev (cpu plus the tools of `make check`).
# Needs uv (`pip install uv`).
set -euo pipefail
cd "$(dirname "$0")/.."
compile() {
  "${UV:-uv}" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header "$@" pyproject.toml
}
cpu=(--overrides requirements/overrides.txt requirements/torch-needs.in)
compile --extra cpu "${cpu[@]}" -o requirements/cpu.txt
compile -c requirements/cpu.txt -o requirements/gateway.txt
compile --extra cpu --extra dev "${cpu[@]}" -c requirements/cpu.txt -o requirements/dev.txt
compile --extra gpu -o requirements/gpu.txt
