# Three images from one file:
#
#   docker build --target gateway -t espalier:gateway .   # small: no torch, no vLLM
#   docker build --target cpu     -t espalier:cpu     .   # the bundled model on the processor: the quickest demonstration
#   docker build --target gpu     -t espalier:gpu     .   # vLLM for CUDA; brings no model
#
# Each is a virtual environment, installed from its hash-checked lock, on a base image with Python 3.11 to 3.14. The base
# is an argument: in production name it by digest, --build-arg BASE=docker.io/library/python@sha256:…
#
# Everything runs as user 10001 and writes to /cache and /tmp alone, so the root may be mounted read-only.
ARG BASE=docker.io/library/python:3.12-slim-bookworm


FROM ${BASE} AS source
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY scripts/install.sh scripts/
COPY requirements requirements
COPY mcts mcts
COPY reward reward
COPY engine engine
COPY server server
COPY evals evals
COPY models models


FROM source AS build-gateway
# A gateway loads no weights; the tokenizer of the bundled model stays.
RUN rm -r models/abacus/model.safetensors models/abacus-prm && \
    ESPALIER_EDITABLE=0 scripts/install.sh gateway /opt/espalier

FROM source AS build-cpu
# vLLM's kernels for CPUs are linked against libnuma.
RUN apt-get update && apt-get install -y --no-install-recommends libnuma1 && rm -rf /var/lib/apt/lists/*
RUN ESPALIER_EDITABLE=0 scripts/install.sh cpu /opt/espalier

FROM source AS build-gpu
RUN rm -r models/abacus models/abacus-prm && ESPALIER_EDITABLE=0 scripts/install.sh gpu /opt/espalier


FROM ${BASE} AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Espalier" \
      org.opencontainers.image.description="An OpenAI-compatible inference server that answers by searching" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN mkdir /cache && chown 10001:10001 /cache
ENV PATH=/opt/espalier/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/cache \
    HF_HUB_DISABLE_TELEMETRY=1 \
    VLLM_NO_USAGE_STATS=1 \
    ESPALIER_HOST=0.0.0.0
WORKDIR /cache
USER 10001:10001
EXPOSE 8000
# Of use to Docker and Compose; Kubernetes has probes of its own. Alive is enough: a full server is not a broken one.
HEALTHCHECK --interval=10s --timeout=3s --start-period=180s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ.get('ESPALIER_PORT', 8000)}/health/live\", timeout=2)"]
ENTRYPOINT ["espalier", "serve"]

FROM runtime AS gateway
COPY --from=build-gateway /opt/espalier /opt/espalier

FROM runtime AS cpu
USER root
RUN apt-get update && apt-get install -y --no-install-recommends libnuma1 && rm -rf /var/lib/apt/lists/*
USER 10001:10001
COPY --from=build-cpu /opt/espalier /opt/espalier

FROM runtime AS gpu
USER root
# Triton compiles its launchers with a C compiler when the engine starts.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
USER 10001:10001
COPY --from=build-gpu /opt/espalier /opt/espalier
