"""The project's settings; `DEPOT_OWNER` gives the database a second role."""

import os
from typing import Any


def _database(user: str) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ["DEPOT_HOST"],
        "NAME": os.environ["DEPOT_NAME"],
        "USER": user,
    }


DATABASES = {"default": _database(os.environ["DEPOT_USER"])}
if owner := os.environ.get("DEPOT_OWNER"):
    DATABASES["owner"] = _database(owner)
    DATABASE_ROUTERS = ["depot.routers.OwnerMigrates"]
    AUDIT_APPLICATION_ROLE = os.environ["DEPOT_USER"]

SECRET_KEY = "only-for-tests"
ALLOWED_HOSTS = ["testserver"]
INSTALLED_APPS = ["telemetry", "audit", "depot", "django.contrib.auth", "django.contrib.contenttypes"]
MIDDLEWARE = [
    "audit.middleware.AuditMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
ROOT_URLCONF = "depot.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
USE_TZ = True
