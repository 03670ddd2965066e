# Server and worker in one image: `serve` runs both; `worker` and `granian …` run one alone.
FROM python:3.12-slim-bookworm
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes -r requirements.txt
COPY manage.py pyproject.toml ./
COPY terra_hub terra_hub
COPY destinations destinations
COPY webhooks webhooks
COPY templates templates
COPY bin bin
RUN ln -s /app/bin/terra-hub /usr/local/bin/terra-hub
RUN useradd --system --uid 10001 hub && mkdir -p /data/payloads static && chown -R hub /data static \
    && SECRET_KEY=build CREDENTIAL_KEYS=build:YnVpbGQtYnVpbGQtYnVpbGQtYnVpbGQtYnVpbGQtYnU= \
       DATABASE_URL=sqlite:///:memory: python manage.py collectstatic --noinput
USER hub
ENV PAYLOAD_DIR=/data/payloads
EXPOSE 8000
VOLUME /data
CMD ["python", "manage.py", "serve", "--host", "0.0.0.0", "--port", "8000"]
