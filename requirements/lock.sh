#!/usr/bin/env bash
# Resolves pyproject.toml anew into one lock per stack: gateway, cpu, gpu and dev (cpu plus the tools of `make check`).
# Needs uv (`pip install uv`).
set -euo pipefail
cd "$(dirname "$0")/.."
compile() {
  "${UV:-uv}" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header "$@" pyproject.toml
}
cpu=(--overrides requirements/overrides.txt requirements/torch-needs.in)
# OpenTelemetry is in every lock: vLLM brings it anyway, and a gateway should not need another image to be traced.
compile --extra cpu --extra otel "${cpu[@]}" -o requirements/cpu.txt
compile --extra otel -c requirements/cpu.txt -o requirements/gateway.txt
compile --extra cpu --extra otel --extra dev "${cpu[@]}" -c requirements/cpu.txt -o requirements/dev.txt
compile --extra gpu --extra otel -o requirements/gpu.txt
