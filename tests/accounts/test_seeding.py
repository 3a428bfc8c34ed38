"""The people of seeded content."""

from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from accounts.models import ApiToken, User
from accounts.seeding.marks import FIRST_ID, LAST_ID, marked_id
from accounts.seeding.people import MOST_PEOPLE, delete_seeded_people, seed_people
from accounts.seeding.wording import phrase, phrases

UNTIL = datetime(2026, 11, 1, tzinfo=UTC)


def test_a_phrase_has_no_word_twice_and_the_right_article() -> None:
    words = {"thing": ["index", "queue"], "quality": ["odd"]}
    for number in range(20):
        text = phrase(Random(number), "a {thing} is not a {thing}; {quality}", words)
        assert text in ("An index is not a queue; odd", "A queue is not an index; odd")


def test_phrases_are_different_from_each_other_and_no_more_than_there_are() -> None:
    made = phrases(Random(1), ["{thing}", "The {thing}"], {"thing": ["one", "two", "three"]}, 50)
    assert sorted(made) == ["One", "The one", "The three", "The two", "Three", "Two"]


def test_marked_ids_lie_together() -> None:
    assert FIRST_ID == marked_id(0) < marked_id(17) < marked_id(2**63) < LAST_ID


@pytest.mark.django_db
def test_people_differ_and_a_second_run_finds_them() -> None:
    people, new = seed_people(300, writers=10, until=UNTIL)
    assert new == len({person.username for person in people}) == len({person.name for person in people}) == 300
    assert all(person.date_joined < UNTIL for person in people)
    more, new = seed_people(310, writers=10, until=UNTIL)
    assert new == 10
    assert more[:300] == people
    assert MOST_PEOPLE > 2_000


@pytest.mark.django_db
def test_the_first_of_them_are_authors() -> None:
    people, _ = seed_people(5, writers=2, until=UNTIL)
    assert [User.objects.get(pk=person.pk).has_perm("blog.add_post") for person in people] == [True, True, *[False] * 3]


@pytest.mark.django_db
def test_they_log_in_only_where_demo_accounts_may(settings: Any, client: Any) -> None:
    settings.DEMO_PASSWORD = "demo"
    first = seed_people(1, writers=1, until=UNTIL)[0][0]
    assert client.login(username=first.username, password="demo")
    settings.DEMO_PASSWORD = None
    second = seed_people(2, writers=1, until=UNTIL)[0][1]
    assert not second.is_active
    assert not second.has_usable_password()


@pytest.mark.django_db
def test_those_to_whom_something_belongs_stay() -> None:
    other = User.objects.create_user("other", "other@example.com")
    people, _ = seed_people(4, writers=2, until=UNTIL)
    ApiToken.objects.create(user=people[2], prefix="gh_", digest_hex="0")
    assert delete_seeded_people() == 3
    assert set(User.objects.all()) == {other, people[2]}
