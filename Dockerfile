# The service on Python 3.13, as an unprivileged user, able to run on a read-only root file system.

# A tag, so that a build takes the security fixes of its day. For a build that can be repeated give the base by digest:
# --build-arg BASE=docker.io/library/python@sha256:…
ARG BASE=docker.io/library/python:3.13-slim-trixie

# --- the environment, locked by hashes -------------------------------------------------------------------------------
FROM ${BASE} AS builder

# The system's certificates, so that a company's own authority works once it is in the base.
ENV UV_SYSTEM_CERTS=true

WORKDIR /srv/sceau
COPY pyproject.toml requirements.txt requirements-dev.txt LICENSE ./

# uv comes by pip from its own lines of the lock, as in ./dev; it stays in this stage.
RUN sed -n '/^uv==/,/[^\\]$/p' requirements-dev.txt > /tmp/uv.txt \
 && python3 -m venv /opt/tools \
 && /opt/tools/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /tmp/uv.txt \
 && python3 -m venv --without-pip /opt/venv \
 && /opt/tools/bin/uv pip sync --no-cache --python /opt/venv/bin/python --require-hashes --compile-bytecode requirements.txt \
 && rm requirements-dev.txt

# The wheel that ./dev build makes too, byte for byte: uv brings its own build backend and needs no network for it.
COPY app app
COPY migrations migrations
RUN /opt/tools/bin/uv build --wheel --offline --no-config --python /opt/venv/bin/python --out-dir /tmp/wheel . \
 && /opt/tools/bin/uv pip install --no-cache --offline --python /opt/venv/bin/python --no-deps --compile-bytecode /tmp/wheel/*.whl \
 && rm -f /opt/venv/.lock

# --- what runs -------------------------------------------------------------------------------------------------------
FROM ${BASE}

# The revision is the commit that was built: --build-arg REVISION="$(git rev-parse HEAD)"
ARG VERSION=0.1.0
ARG REVISION=unknown

LABEL org.opencontainers.image.title="sceau" \
      org.opencontainers.image.description="Policy decision point for the secrecy of private correspondence (CPCE art. L32-3)" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"

COPY --from=builder /opt/venv /opt/venv

# Nothing is written but to /tmp, and below to /var/lib/sceau where settings say so: bytecode is compiled already, HOME points where a tmpfs can be.
ENV PATH=/opt/venv/bin:$PATH \
    SERVICE_REVISION=${REVISION} \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

# For what must outlive the container: a new named volume takes its owner from here.
RUN install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/sceau

WORKDIR /tmp
USER 10001:10001
EXPOSE 8080

# Alive, not ready: without its database the service still permits what article L32-3 III allows, and must not be killed.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8080, timeout=4); c.request('GET', '/livez'); raise SystemExit(c.getresponse().status != 200)"]

ENTRYPOINT ["sceau"]
CMD ["serve", "--host", "0.0.0.0"]
