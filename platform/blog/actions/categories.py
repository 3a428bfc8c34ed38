"""The shelves of the blog: made, changed and taken away by those who look after them."""

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError, transaction

from accounts.models import User
from blog import rules
from blog.errors import InvalidError, OvertakenError
from blog.models import Category


def create_category(*, actor: User, name: str, slug: str, description: str = "") -> Category:
    """Put up another shelf.

    Raises:
        InvalidError: on the field that isn't acceptable, or that another category has.
    """
    rules.require(rules.can_manage_categories, actor, None, action="create_category")
    category = Category(name=_line(name), slug=slug.strip(), description=_line(description))
    _save(category)
    return category


def update_category(
    category: Category,
    *,
    actor: User,
    name: str | None = None,
    slug: str | None = None,
    description: str | None = None,
    is_as_read: bool = False,
) -> Category:
    """Change what is given of a category; what is None stays.

    Raises:
        InvalidError: as `create_category`.
        OvertakenError: with `is_as_read`, where it isn't any more what `category` says.
    """
    rules.require(rules.can_manage_categories, actor, category, action="update_category")
    with transaction.atomic():
        now = _locked(category, is_as_read=is_as_read)
        given = {
            "name": None if name is None else _line(name),
            "slug": None if slug is None else slug.strip(),
            "description": None if description is None else _line(description),
        }
        changed = {key: value for key, value in given.items() if value is not None and value != getattr(now, key)}
        for key, value in changed.items():
            setattr(now, key, value)
        if changed:
            _save(now)
    return now


def delete_category(category: Category, *, actor: User, is_as_read: bool = False) -> None:
    """Take a category away; its posts stay, without one. `is_as_read` as in `update_category`."""
    rules.require(rules.can_manage_categories, actor, category, action="delete_category")
    with transaction.atomic():
        _locked(category, is_as_read=is_as_read).delete()


def _locked(read: Category, *, is_as_read: bool) -> Category:
    now = Category.objects.select_for_update().get(pk=read.pk)
    is_same = all(getattr(now, name) == getattr(read, name) for name in ("name", "slug", "description"))
    if is_as_read and not is_same:
        raise OvertakenError(OvertakenError.__doc__)
    return now


def _save(category: Category) -> None:
    try:
        category.full_clean()
        with transaction.atomic():
            category.save()
    except ValidationError as error:
        told = {("name" if name == NON_FIELD_ERRORS else name): " ".join(t) for name, t in error.message_dict.items()}
        raise InvalidError(**told) from error
    except IntegrityError as error:  # somebody was faster
        raise InvalidError(name="Another category has this name or address by now.") from error


def _line(text: str) -> str:
    line = " ".join(text.split())
    if "\x00" in line:
        raise InvalidError(name="This holds a NUL character; remove it.")
    return line
