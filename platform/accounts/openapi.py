"""Tells the API's schema of bearer tokens. `config.api_root` imports it, in the web process alone."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from accounts.scopes import SCOPES


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Tells the API's schema of bearer tokens."""

    target_class = "accounts.authentication.BearerAuthentication"
    name = "bearerToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        scopes = " ".join(f"`{name}`: {meaning}" for name, meaning in SCOPES.items())
        return {
            "type": "http",
            "scheme": "bearer",
            "description": f"A token from `manage create_token`, which names its scopes. {scopes}",
        }
