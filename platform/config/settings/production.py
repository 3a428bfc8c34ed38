"""Production. It refuses to start on a weak secret, DEBUG or a wildcard host, and says how to mend each."""

from django.core.exceptions import ImproperlyConfigured

from config.settings.base import *  # noqa: F403
from config.settings.base import ALLOWED_HOSTS, IS_DATABASE_EMBEDDED, IS_REDIS_EMBEDDED, LOCAL_DIR, STORAGES, env

DEMO_PASSWORD = None
SECRET_KEY = env.str("SECRET_KEY", "")

_SMALLEST_SECRET = 50


def _refuse(what: str, mend: str) -> None:
    raise ImproperlyConfigured(f"{what} {mend}")


_is_known = "not-a-secret" in SECRET_KEY or SECRET_KEY.startswith("django-insecure-")
if len(SECRET_KEY) < _SMALLEST_SECRET or len(set(SECRET_KEY)) < 10 or _is_known:
    _refuse(
        "SECRET_KEY is missing or weak.",
        f"Set it to at least {_SMALLEST_SECRET} random characters: "
        "python -c 'import secrets; print(secrets.token_urlsafe(50))'",
    )
if env.bool("DEBUG", False):
    _refuse("DEBUG is on.", "Unset it: it shows source code and settings to strangers.")
if not ALLOWED_HOSTS or any("*" in host for host in ALLOWED_HOSTS):
    _refuse("ALLOWED_HOSTS is empty or holds a wildcard.", "Set it to the host names that you serve, with commas.")
if IS_DATABASE_EMBEDDED:
    _refuse("DATABASE_URL is not set.", "Set it to PostgreSQL's URL for the application's role.")
if IS_REDIS_EMBEDDED:
    _refuse("REDIS_URL is not set.", "Set it to Redis' URL.")

TELEMETRY_ENVIRONMENT = env.str("ENVIRONMENT", "production")
_host = ALLOWED_HOSTS[0].lstrip(".")
PUBLIC_URL = env.str("PUBLIC_URL", f"https://{_host}")
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", f"Glasshouse <glasshouse@{_host}>")
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", True)
SECURE_REDIRECT_EXEMPT = [r"^healthz/", r"^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
STATIC_ROOT = env.path("STATIC_ROOT", LOCAL_DIR / "static")
STORAGES = {
    **STORAGES,
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
