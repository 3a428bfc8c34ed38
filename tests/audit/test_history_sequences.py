"""Whatever was done in whichever order: the state at any time is what was there."""

from datetime import datetime
from typing import Any

import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.history import folding, present, states
from audit.models import Event
from tests.audit.everything.events import execute
from tests.audit.everything.models import (
    Tag,
    Thing,
)
from tests.audit.histories import TAG, THING, clock

KEYS_TRIED = st.integers(1, 3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("create"), KEYS_TRIED, st.one_of(st.none(), KEYS_TRIED)),
        st.tuples(st.just("save"), KEYS_TRIED, st.integers(0, 3)),
        st.tuples(st.just("raw"), KEYS_TRIED, st.text(max_size=3).filter(lambda text: "\x00" not in text)),
        st.tuples(st.just("delete"), KEYS_TRIED, st.none()),
        st.tuples(st.just("tag"), KEYS_TRIED, st.none()),
        st.tuples(st.just("untag"), KEYS_TRIED, st.none()),
        st.tuples(st.just("link"), KEYS_TRIED, st.sets(KEYS_TRIED)),
        st.tuples(st.just("unlink"), KEYS_TRIED, KEYS_TRIED),
    ),
    max_size=14,
)


def do(verb: str, key: int, value: Any) -> None:
    match verb:
        case "create" if not Thing.objects.filter(pk=key).exists():
            parent = Thing.objects.filter(pk=value).first() if value else None
            Thing.objects.create(pk=key, name=f"thing {key}", parent=parent)
        case "save" if thing := Thing.objects.filter(pk=key).first():
            thing.number = value
            thing.save()
        case "raw":
            execute("UPDATE everything_thing SET note = %s WHERE id <= %s", value, key)
        case "delete":
            Thing.objects.filter(pk=key).delete()  # and its children
        case "tag":
            Tag.objects.get_or_create(pk=key, defaults={"name": f"tag {key}"})
        case "untag":
            Tag.objects.filter(pk=key).delete()
        case "link" if tag := Tag.objects.filter(pk=key).first():
            tag.things.set(Thing.objects.filter(pk__in=value))
        case "unlink" if thing := Thing.objects.filter(pk=value).first():
            thing.tags.remove(*Tag.objects.filter(pk=key))


def snapshot() -> dict[tuple[str, str], dict[str, Any]]:
    """All things and tags as they are, by the ORM."""
    found: dict[tuple[str, str], dict[str, Any]] = {(THING, str(row["id"])): row for row in Thing.objects.values()}
    for tag in Tag.objects.all():
        things = sorted(tag.things.values_list("pk", flat=True))
        found[TAG, str(tag.pk)] = {"id": tag.pk, "name": tag.name, "things": things}
    return found


@pytest.mark.django_db
@given(STEPS)
@settings(max_examples=60)
def test_the_state_at_any_time_is_what_was_there(steps: list[tuple[str, int, Any]]) -> None:
    with transaction.atomic():
        latest = Event.objects.order_by("-id").values_list("id", flat=True).first() or 0
        times = [(clock(), snapshot())]
        for step in steps:
            do(*step)
            times.append((clock(), snapshot()))

        for object_type in (THING, TAG):
            keys = [str(key) for key in range(1, 4)]
            for at, there in times:
                found = states.states_at(object_type, keys, at)
                assert {key: dict(one.fields) for key, one in found.items() if one.exists} == {
                    key: there[object_type, key] for key in keys if (object_type, key) in there
                }
                assert not any(one.unknown for one in found.values())
            for key in keys:
                tell_from_the_middle(object_type, key, latest, times)
        transaction.set_rollback(True)


def tell_from_the_middle(object_type: str, key: str, latest: int, times: list[tuple[datetime, Any]]) -> None:
    """However late the ledger began, from then on the state is what was there."""
    model = present.tracked_model(object_type)
    assert model
    events = Event.objects.filter(object_type=object_type, object_id=key, id__gt=latest).order_by("id")
    steps = [folding.Step(one.pk, one.recorded_at, one.action.rpartition(".")[2], one.changes or {}) for one in events]
    rows = present.rows(model, [key], using="default")
    members = present.members(model, [key], using="default")
    for count in range(1, len(steps)):
        for at, there in times:
            if at > steps[count - 1].recorded_at:
                found = folding.fold(steps[count:], at)
                unknown = folding.complete(
                    found, present.columns_of(model), present.links_of(model), rows.get(key), members.get(key)
                )
                wanted = there.get((object_type, key))
                # No event tells a key.
                assert {**found.values, **({"id": int(key)} if found.exists else {})} == (wanted or {})
                assert unknown <= {"id"}
