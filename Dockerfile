# Web server and worker in one image: `serve` runs both; `serve --workers 0` and `worker` run one alone.
# How to run it: docs/deploying.md. A digest (…@sha256:…) or a mirror: --build-arg PYTHON_IMAGE=…
ARG PYTHON_IMAGE=python:3.12-slim-bookworm
FROM ${PYTHON_IMAGE}
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir --only-binary=:all: --require-hashes -r requirements.txt
COPY manage.py ./
COPY terra_hub terra_hub
COPY destinations destinations
COPY webhooks webhooks
COPY templates templates
COPY bin bin
# Readable whatever the umask of the checkout was; compiled, since the user of the image writes nothing here.
RUN chmod -R a+rX . && python -m compileall -q . \
    && ln -s /app/bin/terra-hub /usr/local/bin/terra-hub \
    && SECRET_KEY=build CREDENTIAL_KEYS=build:YnVpbGQtYnVpbGQtYnVpbGQtYnVpbGQtYnVpbGQtYnU= \
       DATABASE_URL=sqlite:///:memory: python manage.py collectstatic --noinput --verbosity 0 \
    && groupadd --gid 10001 hub \
    && useradd --uid 10001 --gid hub --no-log-init --no-create-home --home-dir /data --shell /usr/sbin/nologin hub \
    && install -d -o hub -g hub -m 700 /data /data/payloads
USER 10001:10001
ENV PAYLOAD_DIR=/data/payloads
EXPOSE 8000
VOLUME /data
LABEL org.opencontainers.image.title="Terra destination hub" \
      org.opencontainers.image.description="Self-hosted destinations for Terra webhooks" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
# No HEALTHCHECK: a worker serves no HTTP. compose.yaml has that of the web server.
CMD ["python", "manage.py", "serve", "--host", "0.0.0.0", "--port", "8000"]
