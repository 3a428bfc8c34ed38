"""The same two models for every library, each captured in the library's own way and with its own defaults."""

from django.conf import settings
from django.db import models

LIBRARY = settings.BENCHMARK_LIBRARY


class ArticleBase(models.Model):
    title = models.CharField(max_length=200)
    slug = models.CharField(max_length=200)
    status = models.CharField(max_length=20, default="draft")
    body = models.TextField()
    views = models.IntegerField()
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class RemarkBase(models.Model):
    text = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True


if LIBRARY == "simple_history":
    from simple_history.models import HistoricalRecords

    class Article(ArticleBase):
        history = HistoricalRecords()

    class Remark(RemarkBase):
        article = models.ForeignKey(Article, on_delete=models.CASCADE)
        history = HistoricalRecords()

elif LIBRARY == "pghistory":
    import pghistory

    # Its default leaves deletes out; all else here records them.
    @pghistory.track(pghistory.InsertEvent(), pghistory.UpdateEvent(), pghistory.DeleteEvent())
    class Article(ArticleBase):
        pass

    @pghistory.track(pghistory.InsertEvent(), pghistory.UpdateEvent(), pghistory.DeleteEvent())
    class Remark(RemarkBase):
        article = models.ForeignKey(Article, on_delete=models.CASCADE)

else:

    class Article(ArticleBase):
        pass

    class Remark(RemarkBase):
        article = models.ForeignKey(Article, on_delete=models.CASCADE)

    if LIBRARY in ("ledger", "ledger_telemetry"):
        import audit

        audit.track()(Article)
        audit.track()(Remark)
    elif LIBRARY == "auditlog":
        from auditlog.registry import auditlog

        auditlog.register(Article)
        auditlog.register(Remark)
    elif LIBRARY == "reversion":
        import reversion

        reversion.register(Article)
        reversion.register(Remark)
