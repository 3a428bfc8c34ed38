"""Settings shared by all environments. The environment is read in this package alone; `.env` files are not."""

from pathlib import Path
from typing import Any

import dj_database_url
import django_stubs_ext
from environs import Env

from config.embedded import addresses
from config.redis_urls import BROKER, CACHE, CHANNELS, TELEMETRY, for_kombu, with_database
from tasks.schedule import BEAT_SCHEDULE, DEFAULT_PRIORITY, QUEUES

django_stubs_ext.monkeypatch()  # lets Django's generic classes be subscripted at run time

env = Env()


def names(variable: str, default: list[str] | None = None) -> list[str]:
    """Return the comma-separated entries of an environment variable; blanks around and between don't count."""
    given: list[str] = env.list(variable, default or [])
    return [entry.strip() for entry in given if entry.strip()]


BASE_DIR = Path(__file__).resolve().parents[2]
PROJECT_DIR = BASE_DIR.parent
RELEASE = env.str("RELEASE", "0.1.0")
LOCAL_DIR = Path(env.str("LOCAL_DIR", str(PROJECT_DIR / ".local"))).resolve()
# Set by `manage up` for each process it starts: web, sockets, worker, beat; elsewhere it's a command.
PROCESS = env.str("GLASSHOUSE_PROCESS", "command")

DEBUG = False
ALLOWED_HOSTS = names("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = names("CSRF_TRUSTED_ORIGINS")
# Peers whose X-Forwarded-For, X-Request-ID and traceparent are believed (addresses or networks).
TRUSTED_PROXIES = names("TRUSTED_PROXIES")

INSTALLED_APPS = [
    "telemetry",
    "audit",
    "caching",
    "accounts",
    "tasks",
    "notifications",
    "images",
    "blog",
    "chat",
    "ops",
    "config",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

# The telemetry middleware isn't listed: its instrumentor puts it first, as OpenTelemetry's does.
MIDDLEWARE = [
    "audit.refusals.RefusalMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "config.middleware.BadRequestMiddleware",
    "config.middleware.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.maintenance.SharedPageMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    # After authentication, for staff passes; before all that could answer from a cache.
    "config.maintenance.MaintenanceMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.context_processors.page",
            ]
        },
    }
]

# --- PostgreSQL: the application's role by default; `owner` migrates, and owns the ledger ---------------------


def _database(url: str) -> dict[str, Any]:
    database: dict[str, Any] = dict(dj_database_url.parse(url))
    database["CONN_MAX_AGE"] = None
    database["CONN_HEALTH_CHECKS"] = True
    # Behind PgBouncer in transaction mode, where the next statement may be another server connection's.
    database["DISABLE_SERVER_SIDE_CURSORS"] = env.bool("DATABASE_IS_POOLED", False)
    database["OPTIONS"] = {
        **database.get("OPTIONS", {}),
        "application_name": f"glasshouse-{PROCESS}",
        "connect_timeout": 5,
    }
    if PROCESS == "sockets":  # ASGI's threads come and go: connections are pooled instead of kept
        database["CONN_MAX_AGE"] = 0
        database["CONN_HEALTH_CHECKS"] = False
        database["OPTIONS"]["pool"] = {"min_size": 1, "max_size": 10, "timeout": 5}
    return database


DATABASE_URL = env.str("DATABASE_URL", "")
IS_DATABASE_EMBEDDED = not DATABASE_URL
if IS_DATABASE_EMBEDDED:
    DATABASE_URL = addresses.database_url(LOCAL_DIR, addresses.APPLICATION_ROLE)
    _owner_url = addresses.database_url(LOCAL_DIR, addresses.OWNER_ROLE)
else:
    _owner_url = env.str("DATABASE_OWNER_URL", DATABASE_URL)
DATABASES = {"default": _database(DATABASE_URL), "owner": _database(_owner_url)}
DATABASES["owner"]["CONN_MAX_AGE"] = 0
DATABASES["owner"]["OPTIONS"].pop("pool", None)
DATABASE_ROUTERS = ["config.routers.OwnerMigrates"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis: broker, cache, channel layer and recent spans, each in a database of its own ----------------------
REDIS_URL = env.str("REDIS_URL", "")
IS_REDIS_EMBEDDED = not REDIS_URL
if IS_REDIS_EMBEDDED:
    REDIS_URL = addresses.redis_url(LOCAL_DIR)
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": with_database(REDIS_URL, CACHE),
        "KEY_PREFIX": "glasshouse",
        # A cache that is down makes pages slower, not broken.
        "OPTIONS": {
            "IGNORE_EXCEPTIONS": True,
            "SOCKET_CONNECT_TIMEOUT": 1,
            "SOCKET_TIMEOUT": 1,
            # One a thread that asks at a time; redis-py's own limit of 100 would look like a Redis that is down.
            "CONNECTION_POOL_KWARGS": {"max_connections": 1_000},
        },
    }
}
DJANGO_REDIS_LOG_IGNORED_EXCEPTIONS = True
# In the key of all that code and templates make: what an earlier release made is never shown.
CACHING_RELEASE = RELEASE
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "config.channel_layer.ChannelLayer",
        "CONFIG": {"hosts": [with_database(REDIS_URL, CHANNELS)], "prefix": "glasshouse"},
    }
}

CELERY_BROKER_URL = for_kombu(REDIS_URL, BROKER)
# A broker that does not answer is given up soon: the outbox holds the task.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_connect_timeout": 1,
    "socket_timeout": 10,
    "priority_steps": [0, 3, 6, 9],
}
CELERY_TASK_DEFAULT_QUEUE = "default"
# A worker takes from all of these unless told otherwise; a name that isn't here is refused at publish.
CELERY_TASK_QUEUES: dict[str, dict[str, Any]] = {name: {} for name in QUEUES}
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_TASK_DEFAULT_PRIORITY = DEFAULT_PRIORITY
# A task's row is the truth, and its result: a message only wakes a worker, which takes it once and for all.
CELERY_RESULT_BACKEND = "tasks.backend:RunBackend"
CELERY_TASK_ACKS_LATE = False
CELERY_DB_REUSE_MAX = 10_000  # tasks that share a connection
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CHANNEL_ERROR_RETRY = True  # else a Redis that is full ends the workers
CELERY_TASK_SOFT_TIME_LIMIT = 120
CELERY_TASK_TIME_LIMIT = 150
CELERY_BEAT_SCHEDULE = BEAT_SCHEDULE
CELERY_BEAT_SCHEDULE_FILENAME = str(LOCAL_DIR / "beat-schedule")
CELERY_TIMEZONE = "UTC"

# --- accounts ------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "config.error_views.csrf_failure"

# --- API -----------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "accounts.scopes.ScopePermission",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["config.parsers.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_METADATA_CLASS": None,  # the schema tells what an address takes; OPTIONS is a 405 that names the methods
    "DEFAULT_PAGINATION_CLASS": "config.api.Pagination",
    "EXCEPTION_HANDLER": "config.problems.problem_details",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Glasshouse",
    "VERSION": "1",
    "DESCRIPTION": "Blog, chat, tasks, notifications and the audit ledger. Every answer carries `X-Request-ID`.",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "config.problem_schema.add_problems",
    ],
    "ENUM_NAME_OVERRIDES": {
        "TaskStateEnum": "tasks.models.State",
        "CommentStateEnum": "blog.models.Comment.State",
        "RoomKindEnum": "chat.models.RoomKind",
        "NewRoomKindEnum": "chat.api.serializers.NEW_ROOM_KINDS",
        "RestrictionKindEnum": "chat.models.RestrictionKind",
    },
}

# --- how many open pages are told of notifications; see notifications.conf --------------------------------------
NOTIFICATIONS_SOCKETS_OF_USER = env.int("NOTIFICATIONS_SOCKETS_OF_USER", 100)
NOTIFICATIONS_SOCKETS_OF_ADDRESS = env.int("NOTIFICATIONS_SOCKETS_OF_ADDRESS", 2_000)

# --- chat: how much one person, or one address, may; see chat.conf ---------------------------------------------
CHAT_MESSAGES_PER_MINUTE = env.int("CHAT_MESSAGES_PER_MINUTE", 120)
CHAT_MESSAGES_PER_MINUTE_OF_ADDRESS = env.int("CHAT_MESSAGES_PER_MINUTE_OF_ADDRESS", 600)
CHAT_SOCKETS_OF_USER = env.int("CHAT_SOCKETS_OF_USER", 20)
CHAT_SOCKETS_OF_ADDRESS = env.int("CHAT_SOCKETS_OF_ADDRESS", 200)

# --- files, language -------------------------------------------------------------------------------------------
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_URL = "media/"
MEDIA_ROOT = Path(env.str("MEDIA_ROOT", str(LOCAL_DIR / "media")))
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    # Exports of the ledger. Only the API gives them out: no address leads here.
    "audit": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {
            "location": LOCAL_DIR / "exports",
            "file_permissions_mode": 0o600,
            "directory_permissions_mode": 0o700,
        },
    },
    # Uploaded pictures until they are validated: web and worker share it, and no address leads here.
    "incoming": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {
            "location": Path(env.str("INCOMING_ROOT", str(LOCAL_DIR / "incoming"))),
            "file_permissions_mode": 0o600,
            "directory_permissions_mode": 0o700,
        },
    },
}
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
# What a request may weigh, in bytes; larger bodies get a 413 before they are parsed.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000

# --- e-mail: printed, unless a server is named or the environment's own settings say otherwise -----------------
EMAIL_HOST = env.str("EMAIL_HOST", "")
EMAIL_PORT = env.int("EMAIL_PORT", 587)
EMAIL_HOST_USER = env.str("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = env.str("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = env.bool("EMAIL_USE_TLS", EMAIL_PORT == 587)
EMAIL_USE_SSL = env.bool("EMAIL_USE_SSL", EMAIL_PORT == 465)
EMAIL_TIMEOUT = 20  # seconds, within a task's time limit
EMAIL_FILE_PATH = LOCAL_DIR / "mail"  # of the file back end
EMAIL_BACKEND = env.str(
    "EMAIL_BACKEND", f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'console'}.EmailBackend"
)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", "Glasshouse <glasshouse@localhost>")

# `manage healthcheck` warns where less than that is free, and fails at a tenth of it.
HEALTH_FREE_DISK_BYTES = env.int("HEALTH_FREE_DISK_BYTES", 1_000_000_000)

# --- the two lanes -------------------------------------------------------------------------------------------
AUDIT_APPLICATION_ROLE = dj_database_url.parse(DATABASE_URL).get("USER", "")
AUDIT_REQUEST_URL = "/ops/requests/{request_id}/"
TELEMETRY_SERVICE_NAME = "glasshouse"
TELEMETRY_PROCESS = PROCESS
TELEMETRY_ENVIRONMENT = env.str("ENVIRONMENT", "development")
TELEMETRY_REDIS_URL = with_database(REDIS_URL, TELEMETRY)
TELEMETRY_SAMPLE_RATIO = env.float("TELEMETRY_SAMPLE_RATIO", 1.0)
# Where else a trace can be seen; `{trace_id}` and `{request_id}` stand for its ids.
TELEMETRY_TRACE_LINKS = {"Grafana": env.str("GRAFANA_TRACE_URL", ""), "Tempo": env.str("TEMPO_TRACE_URL", "")}
TELEMETRY_PROPAGATE_TO = names("TELEMETRY_PROPAGATE_TO")
TELEMETRY_METRICS_DIR = LOCAL_DIR / "metrics"
TELEMETRY_LOG_FORMAT = env.str("LOG_FORMAT", "json")
TELEMETRY_LOG_LEVEL = env.str("LOG_LEVEL", "WARNING" if PROCESS == "command" else "INFO")
LOGGING_CONFIG = None  # telemetry.logs configures logging, so that every line runs through one pipeline

WEB_ADDRESS = f"127.0.0.1:{env.int('PORT', 8000)}"
SOCKET_ADDRESS = f"127.0.0.1:{env.int('SOCKET_PORT', 8001)}"
# Where people find this site, for links in mails.
PUBLIC_URL = env.str("PUBLIC_URL", f"http://{WEB_ADDRESS}")
# The port where browsers find /ws/… on the page's host; 0 means the page's own, behind a proxy.
BROWSER_SOCKET_PORT = env.int("BROWSER_SOCKET_PORT", 0)
# Web origins that may open a socket; the page's own host is always allowed.
SOCKET_ALLOWED_ORIGINS = names("SOCKET_ALLOWED_ORIGINS")
