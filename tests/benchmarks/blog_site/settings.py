"""The platform as it is, with two addresses more: a view that returns a constant, and home without its kept page."""

from config.settings.development import *  # noqa: F403

ROOT_URLCONF = "blog_site.urls"
TELEMETRY_LOG_FORMAT = "json"
