from django.http import HttpRequest, HttpResponse
from django.urls import path

from blog.views.reading import home
from config.urls import *  # noqa: F403
from config.urls import urlpatterns as of_the_platform


def constant(request: HttpRequest) -> HttpResponse:
    """Answer without asking anybody."""
    return HttpResponse("constant")


made_each_time = home.__wrapped__.__wrapped__  # type: ignore[attr-defined]  # under require_safe and shared_page

urlpatterns = [path("constant/", constant), path("made/", made_each_time), *of_the_platform]
