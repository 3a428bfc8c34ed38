"""The platform's own applications, in processes that are chatty."""

from config.asgi import application as asgi
from config.celery import app as celery_app
from config.wsgi import application as wsgi
from tests.telemetry import chatty

__all__ = ["asgi", "celery_app", "wsgi"]

chatty.begin()
