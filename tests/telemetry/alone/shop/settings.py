"""The project's settings; what telemetry needs of them is at the end."""

import os

SECRET_KEY = "only-for-tests-and-long-enough"
ALLOWED_HOSTS = ["testserver"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ["SHOP_HOST"],
        "NAME": os.environ["SHOP_NAME"],
        "USER": os.environ["SHOP_USER"],
    }
}
INSTALLED_APPS = ["telemetry", "django.contrib.auth", "django.contrib.contenttypes"]
ROOT_URLCONF = "shop.urls"
USE_TZ = True
CELERY_BROKER_URL = os.environ.get("SHOP_BROKER", "")

LOGGING_CONFIG = None
TELEMETRY_SERVICE_NAME = "shop"
TELEMETRY_PROCESS = "web"
TELEMETRY_REDIS_URL = os.environ.get("SHOP_SPANS", "")
TELEMETRY_METRICS_DIR = os.environ.get("SHOP_METRICS") or None
