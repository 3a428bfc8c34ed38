"""What lies in the depot."""

from django.db import models

import audit

audit.register("auth.User", mask=["password"], exclude=["last_login"])


@audit.track(mask=["cost"])
class Article(models.Model):
    name = models.CharField(max_length=100, unique=True)
    stock = models.IntegerField(default=0)
    cost = models.DecimalField(max_digits=10, decimal_places=2, default=0)

    def __str__(self) -> str:
        return self.name


@audit.track()
class Delivery(models.Model):
    article = models.ForeignKey(Article, on_delete=models.CASCADE)
    quantity = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.quantity} of {self.article_id}"
