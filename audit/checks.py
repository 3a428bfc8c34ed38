"""A model that nobody decided about is an error, not a silence."""

from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Error

from audit import registry
from audit.errors import RegistrationError


def every_model_is_decided(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Fail for each model of a project's own app that is neither tracked nor exempt with a reason (audit.E001)."""
    errors: list[CheckMessage] = []
    try:
        registry.tracked_models()
    except RegistrationError as error:
        errors.append(Error(str(error), id="audit.E002"))
    for app in app_configs or apps.get_app_configs():
        if not _is_of_the_project(app):
            continue
        for model in app.get_models():
            if not registry.tracking_of(model) and not registry.exemption_of(model):
                errors.append(
                    Error(
                        f"{model._meta.label} is neither tracked by the ledger nor exempt from it.",
                        hint='Decorate it with @audit.track() or with @audit.exempt(reason="…").',
                        obj=model,
                        id="audit.E001",
                    )
                )
    return errors


def _is_of_the_project(app: AppConfig) -> bool:
    return app.name != "audit" and not {"site-packages", "dist-packages"} & set(Path(app.path).parts)
