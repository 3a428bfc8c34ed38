"""Django's settings of a process that is measured: alike for all, and the parts of its variant."""

import json
import os
from pathlib import Path
from typing import Any

import dj_database_url
import structlog

BENCH: dict[str, Any] = json.loads(os.environ["BENCH"])
PARTS = set(BENCH["parts"])
_superuser_url, _owner_url, _application_url = BENCH["databases"]

SECRET_KEY = "benchmark"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
USE_I18N = False
ROOT_URLCONF = "shop.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
MIGRATION_MODULES = {"shop": None}
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "shop"]
MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"]
DATABASES: dict[str, dict[str, Any]] = {
    "default": dict(dj_database_url.parse(_application_url)),
    "owner": dict(dj_database_url.parse(_owner_url)),
}
if BENCH["work"] == "http-asgi":  # Django's threads come and go there, and with them what they keep open
    DATABASES["default"]["OPTIONS"] = {"pool": {"min_size": 1, "max_size": 10}}
else:
    DATABASES["default"]["CONN_MAX_AGE"] = None
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [BENCH["redis"]], "prefix": BENCH["variant"]},
    }
}

if "telemetry" in PARTS:
    CHANNEL_LAYERS["default"]["BACKEND"] = "shop.layers.TracedLayer"
    INSTALLED_APPS.insert(0, "telemetry")
    LOGGING_CONFIG = None
    TELEMETRY_SERVICE_NAME = BENCH["service"]
    TELEMETRY_PROCESS = "web"
    TELEMETRY_SAMPLE_RATIO = BENCH["ratio"]
    TELEMETRY_REDIS_URL = BENCH["redis"]
    TELEMETRY_METRICS_DIR: Path | None = Path(BENCH["folder"]) / "metrics"
if "audit" in PARTS:
    INSTALLED_APPS.insert(1, "audit")
    MIDDLEWARE.insert(0, "audit.refusals.RefusalMiddleware")
    AUDIT_APPLICATION_ROLE = DATABASES["default"]["USER"]
    RELEASE = "1.0"
if "auditlog" in PARTS:
    INSTALLED_APPS.append("auditlog")
    MIDDLEWARE.append("auditlog.middleware.AuditlogMiddleware")
if "structlog" in PARTS:
    INSTALLED_APPS.append("django_structlog")
    MIDDLEWARE.append("django_structlog.middlewares.RequestMiddleware")
    DJANGO_STRUCTLOG_CELERY_ENABLED = BENCH["work"] == "celery"
    LOGGING: dict[str, Any] = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processor": structlog.processors.JSONRenderer(),
            }
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "json"}},
        "root": {"handlers": ["console"], "level": "INFO"},
        # The request's and the task's own lines tell it already.
        "loggers": {name: {"level": "ERROR"} for name in ("django.request", "django.server", "celery")},
    }
if "prometheus" in PARTS:
    INSTALLED_APPS.append("django_prometheus")
    MIDDLEWARE = [
        "django_prometheus.middleware.PrometheusBeforeMiddleware",
        *MIDDLEWARE,
        "django_prometheus.middleware.PrometheusAfterMiddleware",
    ]
globals().update(BENCH["settings"])
