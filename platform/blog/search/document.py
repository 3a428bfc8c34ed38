"""What posts are found by: a document that PostgreSQL derives from each one, and what is asked of it.

A document is large and for searching alone, so nothing ever reads it: neither a query nor the answer to an INSERT.
"""

from typing import Any

from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.db.models import F, Func, Value
from django.db.models.functions import Left

CONFIG = "english"
# A document may weigh a megabyte at most: with words that are all different, much less of a text is as much already.
_SEARCHED_CHARACTERS = 200_000


class DerivedDocument(models.GeneratedField):
    """A column that PostgreSQL computes, and that no INSERT gives back."""

    db_returning = False  # type: ignore[assignment]


def document_of_post() -> DerivedDocument:
    """Return the field: words of the title weigh most, then those of the description."""
    return DerivedDocument(
        expression=SearchVector("title", weight="A", config=CONFIG)
        + SearchVector("description", weight="B", config=CONFIG)
        + SearchVector(Left(without_tags("body_html"), _SEARCHED_CHARACTERS), weight="D", config=CONFIG),
        output_field=SearchVectorField(),
        db_persist=True,
    )


def without_tags(name: str) -> Func:
    """Return the text of a column of HTML: tags hold addresses, names of classes and the like, which nobody reads."""
    return Func(F(name), Value("<[^>]*>"), Value(" "), Value("g"), function="regexp_replace")


class Undocumented(models.Manager[Any]):
    """Rows without their document."""

    def get_queryset(self) -> models.QuerySet[Any]:
        """Return all rows."""
        return super().get_queryset().defer("document")
