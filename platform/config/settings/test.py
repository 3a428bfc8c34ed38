"""The test suite: its own embedded servers in a temporary folder, cheap password hashes, no demo data."""

import os
import tempfile

os.environ.setdefault("LOCAL_DIR", tempfile.mkdtemp(prefix="glasshouse-test-"))
for _name in ("DATABASE_URL", "REDIS_URL"):  # never a server that someone else uses
    os.environ.pop(_name, None)

from config.settings.development import *  # noqa: E402, F403
from config.settings.development import INSTALLED_APPS, PROCESS  # noqa: E402

INSTALLED_APPS = [*INSTALLED_APPS, "tests.audit.everything"]
ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
TELEMETRY_PROCESS = "test" if PROCESS == "command" else PROCESS  # a live platform's processes keep their names
TELEMETRY_LOG_LEVEL = "INFO"
TELEMETRY_LOG_FORMAT = "json"
TELEMETRY_ENVIRONMENT = "test"
