"""The pages for logging in and out."""

from typing import Any

from django.conf import settings
from django.contrib.auth import views
from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpRequest, HttpResponse, HttpResponseBase

import audit
from accounts import login_throttle
from accounts.demo import DEMO_ACCOUNTS
from telemetry import context

__all__ = ["LoginView", "LogoutView"]


class LoginView(views.LoginView):
    """Logs a person in, and sends them on to `next` where that is a page of this site."""

    template_name = "accounts/login.html"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self._attempt = request.POST.get("username", ""), _address(request)
        wait = login_throttle.seconds_to_wait(*self._attempt)
        if wait:
            return self._refuse(wait)
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        login_throttle.forget_attempts(*self._attempt)
        return super().form_valid(form)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        accounts = DEMO_ACCOUNTS if settings.DEMO_PASSWORD else ()
        return super().get_context_data(
            demo_accounts=accounts, demo_password=settings.DEMO_PASSWORD, wait_minutes=None, **kwargs
        )

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        response = super().render_to_response(context, **kwargs)
        response.headers["Cache-Control"] = "no-store"
        return response

    def _refuse(self, wait_seconds: int) -> HttpResponse:
        audit.record("accounts.login.throttled", outcome="denied", changes={"wait_seconds": wait_seconds})
        # An unbound form: nothing of what was typed is tried, not even whether it's right.
        page = self.get_context_data(form=AuthenticationForm(self.request))
        page["wait_minutes"] = -(-wait_seconds // 60)
        return self.render_to_response(page, status=429, headers={"Retry-After": str(wait_seconds)})


class LogoutView(views.LogoutView):
    """Logs a person out, and has the browser forget what it keeps for them, such as drafts."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().post(request, *args, **kwargs)
        response.headers["Clear-Site-Data"] = '"storage"'
        return response


def _address(request: HttpRequest) -> str:
    return context.current().client_address or request.META.get("REMOTE_ADDR", "")


def login_for_admin(request: HttpRequest) -> HttpResponseBase:
    """Send the admin's own login page to the one login page, which has the brake."""
    from django.contrib.auth.views import redirect_to_login

    return redirect_to_login(request.GET.get("next", "/admin/"))
