"""The page that finds posts by their words."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from blog.search.queries import search as find


@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """Show the published posts that have some words, the best first."""
    number = request.GET.get("page", "1")
    found = find(request.GET.get("q", ""), number=int(number) if number.isascii() and number[:6].isdigit() else 1)

    def page(number: int) -> str:
        return urlencode({"q": found.words, "page": str(number)})

    context = {
        "found": found,
        "previous": page(found.number - 1) if found.number > 1 else "",
        "next": page(found.number + 1) if found.number < found.pages else "",
    }
    return render(request, "blog/search.html", context)
