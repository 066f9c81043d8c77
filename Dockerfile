# One image for all of DSTK: dstk-storage, dstk-router, dstk-metrics, dstk. Its packages are those of requirements-runtime.lock.
# No `# syntax=` line, heredoc or COPY --link: it also builds without a registry (integration/offline).
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python3 -m venv tools && python3 -m venv --without-pip /opt/dstk
# third-party packages first: their layer is reused when only our code changes
COPY requirements-build.lock requirements-runtime.lock ./
RUN --mount=type=cache,target=/root/.cache/pip \
    tools/bin/pip install --quiet --require-hashes --only-binary :all: --requirement requirements-build.lock \
 && tools/bin/pip --python /opt/dstk/bin/python install --quiet --require-hashes --no-compile --requirement requirements-runtime.lock
COPY libs libs
COPY services services
COPY cli cli
RUN tools/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir wheels ./libs/* ./services/* ./cli \
 && tools/bin/pip --python /opt/dstk/bin/python install --quiet --no-deps --no-index --no-compile wheels/*.whl \
 && /opt/dstk/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/dstk/lib

FROM ${PYTHON_IMAGE} AS dstk
RUN groupadd --system --gid 10001 dstk \
 && useradd --system --uid 10001 --gid dstk --home-dir /var/lib/dstk --no-create-home dstk \
 && install --directory --owner dstk --group dstk --mode 700 /var/lib/dstk /run/dstk
COPY --from=build /opt/dstk /opt/dstk
ENV PATH=/opt/dstk/bin:${PATH} PYTHONUNBUFFERED=1 PYTHONSAFEPATH=1
USER dstk
# a service's data; /run/dstk is for the admin token. New volumes get the owner of these directories
WORKDIR /var/lib/dstk
# a storage node transfers its partitions, a router finishes its calls
STOPSIGNAL SIGTERM
# asks /readyz at the port in DSTK_OPERATIONS_LISTEN
COPY compose/ready /usr/local/bin/dstk-ready
HEALTHCHECK --interval=3s --timeout=3s --retries=3 --start-period=30s CMD ["dstk-ready"]
CMD ["dstk", "--help"]
ARG VERSION=dev
LABEL org.opencontainers.image.title="DSTK" \
      org.opencontainers.image.description="A partitioned, ordered, durable key-value store" \
      org.opencontainers.image.version="${VERSION}"
