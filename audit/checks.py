"""A model that nobody decided about is an error, not a silence; so is a capture that isn't what it should be."""

import sys
from collections.abc import Sequence
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error

from audit import registry, status
from audit.errors import RegistrationError


def every_model_is_decided(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Fail for each model of a project's own app that is neither tracked nor exempt with a reason (audit.E001)."""
    errors: list[CheckMessage] = []
    try:
        registry.tracked_models()
    except RegistrationError as error:
        errors.append(Error(str(error), id="audit.E002"))
    for app in app_configs or apps.get_app_configs():
        if not status.is_of_the_project(app):
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


def ledger_is_in_place(app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Fail for each drift of the ledger (audit.E003); as Django's database checks, on the named databases alone.

    `migrate` asks this before it begins. It mends drifts, so it isn't kept from its work.
    """
    if sys.argv[1:2] == ["migrate"]:
        return []
    return [
        Error(problem, hint="manage audit_status tells all.", id="audit.E003")
        for alias in databases or ()
        if status.has_ledger(alias)
        for problem in status.read(alias).problems
    ]
