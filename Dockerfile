# syntax=docker/dockerfile:1
# The server and the worker, without PyTorch. Build with: docker build -t tamperscope .

FROM python:3.11-slim-bookworm AS build
# pip of the base image installs into it, so that the image does without another.
RUN python -m venv --without-pip /opt/tamperscope
WORKDIR /source
COPY requirements.lock ./
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /opt/tamperscope/bin/python install --disable-pip-version-check --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE THIRD_PARTY.md ./
COPY src src
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /opt/tamperscope/bin/python install --disable-pip-version-check --no-deps .
COPY distributions/trim.py distributions/
RUN python distributions/trim.py /opt/tamperscope

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/tamperscope tamperscope \
    && install -d -o tamperscope -g tamperscope -m 700 /var/lib/tamperscope /var/cache/tamperscope
COPY --from=build /opt/tamperscope /opt/tamperscope
COPY model /opt/tamperscope/model
ENV PATH=/opt/tamperscope/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TAMPERSCOPE_HOST=0.0.0.0 \
    TAMPERSCOPE_MODEL=/opt/tamperscope/model \
    TAMPERSCOPE_CACHE=/var/cache/tamperscope \
    TAMPERSCOPE_DATABASE=sqlite:////var/lib/tamperscope/analyses.db \
    TAMPERSCOPE_LOG_FORMAT=json
USER 10001
# Analyses and compiled models. Everything else may be read-only, except /tmp, which buffers large uploads.
VOLUME ["/var/lib/tamperscope", "/var/cache/tamperscope"]
EXPOSE 5000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD \
    ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/health', timeout=4)"]
ENTRYPOINT ["tamperscope"]
CMD ["serve"]
