# Two images of one build: locked requirements, no build tools, no root, nothing written outside /data and /tmp.
#
#   docker build --target service --tag identity .
#   docker build --target rest --tag identity-rest .
#
# `service` serves gRPC (and HTTP where IDENTITY_REST_ADDRESS is set), `rest` is the HTTP container alone. Both run with
# a read-only root, and listen on loopback inside until they are told of TLS or of a proxy: docs/deploy.md has a
# `docker run` for each, and deploy/compose.yaml puts them together.

ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS requirements
COPY requirements-rest.txt /tmp/
RUN python3 -m venv /opt/identity \
 && /opt/identity/bin/pip install --no-cache-dir --require-hashes --requirement /tmp/requirements-rest.txt

FROM ${PYTHON} AS base
RUN useradd --system --uid 10001 --no-create-home identity \
 && install --directory --owner identity --mode 700 /data
COPY --from=requirements /opt/identity /opt/identity
COPY src/identity /opt/identity/app/identity
COPY generated/identity_pb /opt/identity/app/identity_pb
COPY deploy/identity /usr/local/bin/identity
RUN /opt/identity/bin/python -m compileall -q /opt/identity/app
ENV PYTHONPATH=/opt/identity/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["identity"]

FROM base AS rest
ENV IDENTITY_REST_ADDRESS=127.0.0.1:8080
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=15s CMD ["identity", "health", "--address", "http://127.0.0.1:8080"]
CMD ["rest"]

# The last one is what `docker build` without a target makes.
FROM base AS service
ENV IDENTITY_DATA_DIR=/data
WORKDIR /data
VOLUME /data
EXPOSE 50051
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["identity", "health"]
CMD ["serve"]
