"""The test suite: its own embedded servers in a temporary folder, cheap password hashes, no demo data."""

import os
import tempfile

# Each of pytest-xdist's workers has servers of its own; the processes that it starts are no workers, and use those.
_worker = os.environ.pop("PYTEST_XDIST_WORKER", "")
if _worker or "LOCAL_DIR" not in os.environ:
    os.environ["LOCAL_DIR"] = tempfile.mkdtemp(prefix=f"glasshouse-test-{_worker}")
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
