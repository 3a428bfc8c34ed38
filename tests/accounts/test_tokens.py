"""Tokens: made once, stored as digests, used, ended."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts import actions, queries
from accounts.errors import UnknownScopeError
from accounts.models import ApiToken, User, digest_token
from audit.models import Event

pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> User:
    return User.objects.create_user("una", password="pa55")


@pytest.fixture
def other() -> User:
    return User.objects.create_user("otto", password="pa55")


def test_a_token_has_its_mark_and_43_characters_and_is_found_by_its_text(user: User) -> None:
    token, text = actions.create_token(user, actor=user, scopes=["blog:read"])
    assert text.startswith("gh_")
    assert len(text) == 46
    assert token.prefix == text[:8]
    assert queries.token_with_text(text) == token
    assert queries.token_with_text(text[:-1]) is None


def test_the_text_of_a_token_is_stored_nowhere(user: User, superuser: Any) -> None:
    token, text = actions.create_token(user, actor=user, scopes=["blog:read"], name="CI")
    assert token.digest_hex == digest_token(text)
    row = ApiToken.objects.values().get(pk=token.pk)
    assert text not in str(row)
    events = Event.objects.filter(object_type="accounts.apitoken", object_id=str(token.pk))
    assert [event.action for event in events] == ["accounts.apitoken.created"]
    assert text not in str(events[0].changes)
    assert token.digest_hex not in str(events[0].changes)


def test_scopes_are_kept_sorted_and_once_each(user: User) -> None:
    token, _ = actions.create_token(user, actor=user, scopes=["chat:read", "blog:read", "chat:read"])
    assert token.scopes == ["blog:read", "chat:read"]


def test_an_unknown_scope_is_refused_with_the_known_ones_listed(user: User) -> None:
    with pytest.raises(UnknownScopeError, match=r"Unknown scope: blog:fly\. Scopes are: audit:read, audit:export"):
        actions.create_token(user, actor=user, scopes=["blog:fly"])
    assert not ApiToken.objects.exists()


def test_only_its_user_or_a_superuser_makes_and_revokes_a_token(user: User, other: User) -> None:
    with pytest.raises(PermissionError):
        actions.create_token(user, actor=other, scopes=[])
    token, _ = actions.create_token(user, actor=user, scopes=[])
    with pytest.raises(PermissionError):
        actions.revoke_token(token, actor=other)
    other.is_superuser = True
    actions.revoke_token(token, actor=other)
    assert token.revoked_at is not None


def test_a_second_revocation_keeps_the_time_of_the_first(user: User) -> None:
    token, _ = actions.create_token(user, actor=user, scopes=[])
    actions.revoke_token(token, actor=user)
    first = token.revoked_at
    actions.revoke_token(ApiToken.objects.get(pk=token.pk), actor=user)
    assert ApiToken.objects.get(pk=token.pk).revoked_at == first


def test_a_use_is_written_once_a_minute_and_is_no_event(user: User, django_assert_num_queries: Any) -> None:
    token, _ = actions.create_token(user, actor=user, scopes=[])
    events = Event.objects.count()
    actions.note_token_use(token)
    used = ApiToken.objects.get(pk=token.pk)
    assert used.last_used_at is not None
    with django_assert_num_queries(0):
        actions.note_token_use(used)
    actions.note_token_use(token)  # another process, which loaded the token before the first use
    assert ApiToken.objects.get(pk=token.pk).last_used_at == used.last_used_at
    ApiToken.objects.filter(pk=token.pk).update(last_used_at=timezone.now() - timedelta(minutes=2))
    actions.note_token_use(ApiToken.objects.get(pk=token.pk))
    assert ApiToken.objects.get(pk=token.pk).last_used_at > used.last_used_at
    assert Event.objects.count() == events


def test_the_tokens_of_a_user_come_newest_first(user: User, other: User) -> None:
    made = [actions.create_token(user, actor=user, scopes=[])[0] for _ in range(3)]
    actions.create_token(other, actor=other, scopes=[])
    assert list(queries.tokens_of(user)) == made[::-1]


def test_the_admin_shows_tokens_without_digest_and_lets_nobody_change_them(admin_client: Client, user: User) -> None:
    token, _ = actions.create_token(user, actor=user, scopes=["blog:read"])
    assert admin_client.get("/admin/accounts/apitoken/").status_code == 200
    page = admin_client.get(f"/admin/accounts/apitoken/{token.pk}/change/")
    assert page.status_code == 200
    assert token.digest_hex not in page.content.decode()
    assert admin_client.get("/admin/accounts/apitoken/add/").status_code == 403
