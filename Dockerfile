# syntax=docker/dockerfile:1
# Two images from one file:
#   docker build --target serve -t thawline-serve .    an exported model as a web service: no torch, not root
#   docker build --target train -t thawline-train .    everything, to train with or without a GPU
#
# Packages are pinned by constraints.txt, base images by their exact version. To pin a base by its contents too, append
# its digest to the tag: python:3.12.11-slim-bookworm@sha256:… (docker buildx imagetools inspect TAG prints it).
# scripts/check_container.py carries out the steps of `wheel` and `serve` in a virtual environment: keep them to COPY,
# bind mounts and pip.
# pip's cache is a cache mount, which no layer holds:
# hadolint global ignore=DL3042
ARG PYTHON_BASE=python:3.12.11-slim-bookworm
# The wheels of PyTorch bring CUDA along, so the plain base is enough for a GPU as well. A CUDA base works too:
# --build-arg TRAIN_BASE=nvidia/cuda:12.8.1-runtime-ubuntu24.04
ARG TRAIN_BASE=${PYTHON_BASE}

# ---------------------------------------------------------------------------------------------------------------------
FROM ${PYTHON_BASE} AS wheel
ENV PIP_CACHE_DIR=/pip-cache PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY src src
RUN --mount=type=cache,target=/pip-cache \
    pip install -c constraints.txt hatchling==1.27.0 \
    && pip wheel --no-build-isolation --no-deps --wheel-dir /wheels .

# ---------------------------------------------------------------------------------------------------------------------
FROM ${PYTHON_BASE} AS serve
ENV PIP_CACHE_DIR=/pip-cache PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 ORT_DISABLE_TELEMETRY=1
# What `thawline serve` imports, and nothing else: torch is left out, so Thawline is installed without its dependencies.
RUN --mount=type=cache,target=/pip-cache \
    --mount=type=bind,source=constraints.txt,target=/build/constraints.txt \
    pip install -c /build/constraints.txt \
      cyclopts fastapi lazy_loader numpy onnxruntime pillow prometheus-client psutil pydantic python-multipart rich \
      uvicorn
RUN --mount=type=cache,target=/pip-cache \
    --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip install --no-deps /wheels/*.whl
RUN groupadd --gid 10001 thawline \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin thawline \
    && install -d -o thawline -g thawline /models
LABEL org.opencontainers.image.title="thawline serve" \
      org.opencontainers.image.description="Answers requests with a model that thawline export wrote." \
      org.opencontainers.image.licenses="Apache-2.0"
USER 10001:10001
WORKDIR /models
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; t = open('/run/secrets/thawline_token').read().strip(); r.urlopen(r.Request('http://127.0.0.1:8000/health', headers={'Authorization': 'Bearer ' + t}), timeout=4)"]
ENTRYPOINT ["thawline"]
# Whoever can reach the service must show a token, which is mounted: see compose.yaml.
CMD ["serve", "/models/model.onnx", "--host", "0.0.0.0", "--port", "8000", "--log", "--token-file", "/run/secrets/thawline_token"]

# ---------------------------------------------------------------------------------------------------------------------
# hadolint ignore=DL3006
FROM ${TRAIN_BASE} AS train
# Where torch and torchvision come from, both of them: empty is pip's usual index (CUDA on Linux); the address of
# PyTorch's CPU index ("Get started" on its site names it) makes an image without CUDA, 5 GB smaller.
ARG TORCH_INDEX=""
# Any word, such as yes, adds JupyterLab; empty leaves it out.
ARG JUPYTERLAB=""
ENV PIP_CACHE_DIR=/pip-cache PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
# hadolint ignore=DL3008
RUN python3 -c "import ensurepip, venv" 2>/dev/null \
    || { apt-get update && apt-get install -y --no-install-recommends python3 python3-venv \
         && rm -rf /var/lib/apt/lists/*; }
RUN python3 -m venv /venv
ENV PATH=/venv/bin:${PATH}
RUN --mount=type=cache,target=/pip-cache \
    --mount=type=bind,source=constraints.txt,target=/build/constraints.txt \
    PIP_INDEX_URL="${TORCH_INDEX:-${PIP_INDEX_URL:-}}" pip install -c /build/constraints.txt --no-deps torch torchvision
# Their own dependencies follow here, from pip's usual index.
RUN --mount=type=cache,target=/pip-cache \
    --mount=type=bind,source=constraints.txt,target=/build/constraints.txt \
    --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip install -c /build/constraints.txt "$(echo /wheels/*.whl)[export,track]"
RUN --mount=type=cache,target=/pip-cache \
    --mount=type=bind,source=constraints.txt,target=/build/constraints.txt \
    if [ -n "${JUPYTERLAB}" ]; then pip install -c /build/constraints.txt jupyterlab; fi
RUN groupadd --gid 10001 thawline \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /cache --shell /bin/sh thawline \
    && install -d -o thawline -g thawline /cache /data /models
LABEL org.opencontainers.image.title="thawline train" \
      org.opencontainers.image.description="A folder of photos becomes a leaderboard, a report and a model." \
      org.opencontainers.image.licenses="Apache-2.0"
# Pictures come from /data, features and weights are kept in /cache, and runs land in /models.
ENV HOME=/cache XDG_CACHE_HOME=/cache THAWLINE_CACHE=/cache/thawline HF_HOME=/cache/huggingface \
    MPLCONFIGDIR=/cache/matplotlib ORT_DISABLE_TELEMETRY=1 \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001:10001
WORKDIR /models
VOLUME ["/data", "/cache", "/models"]
HEALTHCHECK NONE
ENTRYPOINT ["thawline"]
CMD ["--help"]
