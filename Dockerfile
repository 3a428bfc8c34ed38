# The platform's image: one for all its processes; what each of them runs is said by whoever starts it.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS wheels
COPY requirements/image.txt /tmp/image.txt
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --no-compile --require-hashes --only-binary :all: -r /tmp/image.txt \
    && /opt/venv/bin/pip uninstall --yes pip

FROM python:${PYTHON}-slim
ARG RELEASE=0.1.0
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app/platform:/app \
    PYTHONUNBUFFERED=1 \
    DJANGO_SETTINGS_MODULE=config.settings.production \
    LOCAL_DIR=/var/lib/glasshouse \
    STATIC_ROOT=/app/static \
    RELEASE=${RELEASE}

# What the processes write lies in LOCAL_DIR, a volume that they share; all else belongs to root and is read.
RUN useradd --system --uid 10001 --user-group --home-dir /var/lib/glasshouse --shell /usr/sbin/nologin glasshouse \
    && install --directory --owner glasshouse --group glasshouse --mode 0750 /var/lib/glasshouse

COPY --from=wheels /opt/venv /opt/venv
COPY audit /app/audit
COPY telemetry /app/telemetry
COPY platform /app/platform
WORKDIR /app/platform

# The settings want servers and a secret, which collecting files neither uses nor keeps.
RUN python -m compileall -q /opt/venv /app \
    && SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(50))')" ALLOWED_HOSTS=localhost \
       DATABASE_URL=postgresql://nobody@localhost/none REDIS_URL=redis://localhost LOCAL_DIR=/tmp/build \
       python manage.py collectstatic --no-input --verbosity 0 \
    && rm -rf /tmp/build

ENV PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 8000 8001
STOPSIGNAL SIGTERM

CMD ["python", "-m", "granian", "config.wsgi:application", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", \
     "--workers", "1", "--blocking-threads", "4", "--workers-kill-timeout", "10", "--respawn-failed-workers", "--no-ws", \
     "--no-access-log", "--log-level", "warning", "--log-config", "config/granian_logging.json"]
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz/ready', timeout=4)"]
