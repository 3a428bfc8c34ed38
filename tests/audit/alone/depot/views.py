"""The depot's pages."""

from django.db import transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse

from depot.models import Article, Delivery


@transaction.atomic
def deliver(request: HttpRequest, pk: int) -> HttpResponse:
    """Take one more of an article into stock."""
    Article.objects.filter(pk=pk).update(stock=F("stock") + 1)
    Delivery.objects.create(article_id=pk, quantity=1)
    return HttpResponse("done")


async def deliver_async(request: HttpRequest, pk: int) -> HttpResponse:
    """The same, as a coroutine."""
    await request.auser()  # type: ignore[attr-defined]
    await Article.objects.filter(pk=pk).aupdate(stock=F("stock") + 1)
    return HttpResponse("done")
