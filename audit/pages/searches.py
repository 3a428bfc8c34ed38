"""Saving searches, and deleting saved ones."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from audit.errors import AuditError
from audit.pages.base import for_readers
from audit.reading import searches
from audit.reading.access import Access


@require_POST
@for_readers
def save_search(request: HttpRequest, access: Access) -> HttpResponse:
    """Keep the search that the form names."""
    query = request.POST.get("query", "")
    try:
        saved = searches.save_search(request.user, request.POST.get("name", ""), query, access)
    except AuditError as error:
        messages.error(request, str(error))
        return redirect(f"{reverse('audit:events')}?{query}")
    messages.success(request, f"Saved as “{saved.name}”.")
    return redirect(f"{reverse('audit:events')}?{saved.query}")


@require_POST
@for_readers
def delete_search(request: HttpRequest, access: Access, search_id: int) -> HttpResponse:
    """Delete one of the reader's saved searches."""
    searches.delete_search(request.user, search_id)
    return redirect("audit:events")
