"""Logins, logouts and failures, from Django's own signals."""

import hashlib
from typing import Any

from django.contrib.auth import get_user_model, signals
from django.http import HttpRequest

from audit.recording import record


def connect() -> None:
    """Connect to Django's authentication signals."""
    signals.user_logged_in.connect(logged_in, dispatch_uid="audit.logged_in")
    signals.user_logged_out.connect(logged_out, dispatch_uid="audit.logged_out")
    signals.user_login_failed.connect(login_failed, dispatch_uid="audit.login_failed")


def logged_in(sender: Any, request: HttpRequest | None, user: Any, **kwargs: Any) -> None:
    record(f"{user._meta.label_lower}.logged_in", target=user, changes={"factor": "password"})


def logged_out(sender: Any, request: HttpRequest | None, user: Any, **kwargs: Any) -> None:
    if user is not None:
        record(f"{user._meta.label_lower}.logged_out", target=user)


def login_failed(sender: Any, credentials: dict[str, Any], **kwargs: Any) -> None:
    """Keep which name was tried, as a digest: people type passwords into the wrong field."""
    name = str(credentials.get("username", ""))
    digest = hashlib.sha256(name.encode()).hexdigest()[:16] if name else ""
    action = f"{get_user_model()._meta.label_lower}.login_failed"
    record(action, outcome="denied", changes={"factor": "password", "username_digest": digest})
