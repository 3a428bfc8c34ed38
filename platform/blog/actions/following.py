"""What people follow: they are told of its news until they unfollow it."""

from typing import Any

from django.db import transaction

from accounts.models import User
from blog import rules
from blog.models import Category, Post, Subscription

Followed = User | Category | Post


def follow(what: Followed, *, actor: User) -> Subscription:
    """Have `actor` told of the news of an author, a category or a post; once is enough."""
    rules.require(rules.can_follow, actor, what, action="follow")
    with transaction.atomic():
        subscription, _ = Subscription.objects.get_or_create(user=actor, **_as_field(what))
    return subscription


def unfollow(what: Followed, *, actor: User) -> None:
    """Have `actor` told no longer; what they don't follow, they don't."""
    with transaction.atomic():
        Subscription.objects.filter(user=actor, **_as_field(what)).delete()


def _as_field(what: Followed) -> dict[str, Any]:
    if isinstance(what, User):
        return {"author": what}
    return {"category": what} if isinstance(what, Category) else {"post": what}
