# The service as an image: locked requirements, no build tools, no root.
#
#   docker build --tag identity .
#   docker run --publish 50051:50051 --volume identity:/data --volume "$PWD/tls:/tls:ro" \
#     --env IDENTITY_GRPC_ADDRESS=0.0.0.0:50051 \
#     --env IDENTITY_TLS_CERTIFICATE=/tls/certificate.pem --env IDENTITY_TLS_KEY=/tls/key.pem identity
#
# Without settings it serves the container itself alone, since plaintext for the network is refused. Beside another
# container, a Unix socket in a shared volume needs no TLS: IDENTITY_GRPC_ADDRESS=unix:/data/identity.sock.

FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.txt requirements-dev.txt ./
RUN python -m venv /opt/identity \
 && /opt/identity/bin/pip install --no-cache-dir --require-hashes --requirement requirements.txt
# The build backend is locked too, so that no step takes whatever is newest.
RUN python -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --require-hashes --requirement requirements-dev.txt
COPY pyproject.toml README.md CHANGELOG.md LICENSE ./
COPY src src
COPY generated generated
RUN /opt/build/bin/python -m hatchling build --target wheel --directory /opt/wheel \
 && /opt/identity/bin/pip install --no-cache-dir --no-deps --no-index /opt/wheel/*.whl

FROM python:3.11-slim
RUN useradd --system --uid 10001 --no-create-home identity \
 && install --directory --owner identity --mode 700 /data
COPY --from=build /opt/identity /opt/identity
ENV PATH=/opt/identity/bin:$PATH PYTHONUNBUFFERED=1 IDENTITY_DATA_DIR=/data
USER identity
WORKDIR /data
VOLUME /data
EXPOSE 50051
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["identity", "health"]
ENTRYPOINT ["identity"]
CMD ["serve"]
