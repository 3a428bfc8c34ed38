"""The two views that are measured."""

from django.http import HttpRequest, JsonResponse

from shop.models import Item


def show(request: HttpRequest, item_id: int) -> JsonResponse:
    """Answer with one row, found by its key."""
    return _as_json(Item.objects.get(pk=item_id))


def restock(request: HttpRequest, item_id: int) -> JsonResponse:
    """Change one row: read it, and save it with one more in stock."""
    item = Item.objects.get(pk=item_id)
    item.stock += 1
    item.save()
    return _as_json(item)


def _as_json(item: Item) -> JsonResponse:
    return JsonResponse({"id": item.pk, "title": item.title, "stock": item.stock, "description": item.description})
