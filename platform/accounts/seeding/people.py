"""The people of seeded content: the same ones for every seed, so that a second run finds them."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.text import slugify

from accounts.models import User
from accounts.seeding.marks import EMAIL_ENDING

_GIVEN = (
    *("Aino", "Bram", "Chidi", "Dorte", "Emeka", "Farah", "Goran", "Hana", "Ivo", "Jana", "Kofi", "Lucía", "Malik"),
    *("Nils", "Odile", "Pavel", "Quinn", "Rosa", "Sanna", "Tomás", "Uma", "Vera", "Wanda", "Ximena", "Yusuf", "Zoë"),
    *("Amara", "Benno", "Carys", "Dilan", "Edda", "Fiona", "Gesa", "Hugo", "Ines", "Jonas", "Katya", "Leif", "Mirela"),
    *("Noor", "Oona", "Petra", "Rafael", "Selma", "Tariq", "Ulla", "Viktor", "Wim"),
)
_FAMILY = (
    *("Aalto", "Bauer", "Castell", "Dvorak", "Eriksen", "Fontaine", "Grabowski", "Hassan", "Ibarra", "Jansen"),
    *("Kimura", "Lindqvist", "Moreau", "Nwosu", "Okafor", "Petrov", "Quispe", "Rossi", "Silva", "Tanaka", "Ueda"),
    *("Varga", "Weiss", "Yilmaz", "Zeman", "Adeyemi", "Brandt", "Costa", "Duarte", "Eklund", "Ferrari", "Gallo"),
    *("Horvat", "Ilves", "Jovanovic", "Keller", "Lefevre", "Mensah", "Novak", "Olsen", "Park", "Rahman", "Sato"),
    *("Torres", "Urban", "Vidal", "Wagner", "Abara", "Berg", "Conti", "Demir", "Falk"),
)
MOST_PEOPLE = len(_GIVEN) * len(_FAMILY)
_YEARS_BACK = timedelta(days=3_000)


def seeded_people() -> QuerySet[User]:
    """Return those whom `seed_people` made."""
    return User.objects.filter(email__endswith=EMAIL_ENDING)


@transaction.atomic
def seed_people(count: int, *, writers: int, until: datetime) -> tuple[list[User], int]:
    """Return the first `count` people, those who are missing made anew, and how many that were.

    The first `writers` of them have the role of authors. Where demo accounts are allowed they log in with the demo
    password, so that their drafts and notifications can be seen; elsewhere they're inactive.
    """
    known = {user.email: user for user in seeded_people()}
    password = make_password(settings.DEMO_PASSWORD)  # slow on purpose, and so one for all; of None: none that works
    missing = [
        _person(number, name, count, password, until)
        for number, name in zip(range(count), _names(), strict=False)
        if _email(name) not in known
    ]
    User.objects.bulk_create(missing, batch_size=1_000)
    known |= {user.email: user for user in missing}
    people = [known[_email(name)] for _, name in zip(range(count), _names(), strict=False)]
    authors = Group.objects.get(name="author")
    roles = [User.groups.through(user_id=user.pk, group_id=authors.pk) for user in people[:writers]]
    User.groups.through.objects.bulk_create(roles, ignore_conflicts=True)
    return people, len(missing)


@transaction.atomic
def delete_seeded_people() -> int:
    """Delete those to whom nothing belongs any more, and return how many that were."""
    idle = seeded_people()
    for relation in User._meta.related_objects:
        rows = relation.related_model._base_manager
        idle = idle.exclude(Exists(rows.filter(**{relation.field.name: OuterRef("pk")})))
    _, deleted = User.objects.filter(pk__in=list(idle.values_list("pk", flat=True))).delete()
    return deleted.get("accounts.User", 0)


def _names() -> Iterator[tuple[str, str]]:
    """Give all pairs of names, in an order in which neighbours share neither."""
    for number in range(MOST_PEOPLE):
        round_, given = divmod(number, len(_GIVEN))
        yield _GIVEN[given], _FAMILY[(round_ + 7 * given) % len(_FAMILY)]


def _email(name: tuple[str, str]) -> str:
    return slugify(" ".join(name)) + EMAIL_ENDING


def _person(number: int, name: tuple[str, str], count: int, password: str, until: datetime) -> User:
    return User(
        username=f"seed-{slugify(' '.join(name))}",
        email=_email(name),
        display_name=" ".join(name),
        password=password,
        is_active=settings.DEMO_PASSWORD is not None,
        date_joined=until - _YEARS_BACK + number * _YEARS_BACK / 2 / count,
    )
