# One image for a single machine and for the Ray cluster of scripts/cluster/kuberay.yaml: everything that requirements.lock pins.
#   docker build -t mcu-nas .
#   docker run --rm --shm-size=2g --user "$(id -u):$(id -g)" -e HOME=/tmp -v "$PWD:/data" -w /data mcu-nas nas-run --budget 256KB
FROM python:3.11-slim

# A compiler and git for verified and delivered bundles; KubeRay's probes call wget.
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ git wget \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/mcu-nas
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements.lock

COPY LICENSE README.md MANIFEST.in pyproject.toml ./
COPY cost_models cost_models
COPY nas nas
COPY search_spaces search_spaces
RUN pip install --no-cache-dir --no-deps --no-build-isolation .

RUN useradd --create-home --uid 1000 nas
USER nas
WORKDIR /home/nas
CMD ["nas-run", "--help"]
