"""A developer's machine: embedded servers, demo accounts, readable logs. Never for production."""

from config.settings.base import *  # noqa: F403
from config.settings.base import BASE_DIR, EMAIL_BACKEND, EMAIL_HOST, RELEASE, SOCKET_ADDRESS, WEB_ADDRESS, env, names

DEBUG = env.bool("DEBUG", False)
# Known to everyone who reads this line, and so refused by the production settings.
SECRET_KEY = env.str("SECRET_KEY", "development-only-not-a-secret-" + "0" * 32)
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
# Code and templates change here while the release stays: what they made before isn't shown after.
_changed_at = max(int(file.stat().st_mtime) for file in BASE_DIR.rglob("*") if file.suffix in {".py", ".html"})
CACHING_RELEASE = f"{RELEASE}-{_changed_at}"
DEMO_PASSWORD: str | None = env.str("DEMO_PASSWORD", "glasshouse")
TELEMETRY_LOG_FORMAT = env.str("LOG_FORMAT", "console")
TRUSTED_PROXIES = names("TRUSTED_PROXIES", ["127.0.0.1", "::1"])
# Two ports and no proxy: the page tells the browser where the sockets are.
BROWSER_SOCKET_PORT = env.int("BROWSER_SOCKET_PORT", int(SOCKET_ADDRESS.rpartition(":")[2]))
SOCKET_ALLOWED_ORIGINS = names(
    "SOCKET_ALLOWED_ORIGINS",
    [f"http://{host}:{WEB_ADDRESS.rpartition(':')[2]}" for host in ("127.0.0.1", "localhost")],
)
# Static files straight from the sources: nothing to collect, and a change shows at once.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
# Mails lie in LOCAL_DIR/mail, to be read there.
if not EMAIL_HOST:
    EMAIL_BACKEND = env.str("EMAIL_BACKEND", "django.core.mail.backends.filebased.EmailBackend")
