# The Job's image: Python, the package, what it imports, and nothing else. Both bases need the same Python (3.11).
#   docker build -t istio-pca .
# Behind a package mirror: --secret id=pip,src=pip.conf
ARG BUILD_BASE=python:3.11-slim-bookworm
ARG BASE=gcr.io/distroless/python3-debian12:nonroot

FROM ${BUILD_BASE} AS build
COPY requirements/job.txt /build/
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python3 -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-compile --require-hashes --only-binary=:all: \
      --target /app -r /build/job.txt
COPY job /build/job
# what the Job never imports does not ship; what is left is compiled, since a read-only root cannot cache it,
# and is run once, so that an image that lacks a module is not made
RUN cp -r /build/job/istio_pca /app/ \
 && python3 /build/job/prune.py /app \
 && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /app \
 && PYTHONPATH=/app python3 -P -B /build/job/prune.py --check

FROM ${BASE}
LABEL org.opencontainers.image.title="istio-pca" \
      org.opencontainers.image.description="Istio's intermediate CA, signed by AWS Private CA" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /app /app
ENV PYTHONPATH=/app PYTHONUNBUFFERED=1
# by number, so that the kubelet can see that it is not root
USER 65532:65532
# -P: nothing is imported from the working directory; -B: nothing is written
ENTRYPOINT ["/usr/bin/python3", "-P", "-B", "-m", "istio_pca"]
CMD ["ensure"]
