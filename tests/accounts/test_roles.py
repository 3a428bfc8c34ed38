"""Roles are groups that hold what the code says."""

import pytest
from django.contrib.auth.models import Group, Permission

from accounts.demo import DEMO_ACCOUNTS, create_demo_accounts
from accounts.errors import DemoForbiddenError
from accounts.models import User
from accounts.roles import ROLES, sync_roles
from audit.models import Event

pytestmark = pytest.mark.django_db


def permissions_of(group: Group) -> set[str]:
    return {f"{app}.{code}" for app, code in group.permissions.values_list("content_type__app_label", "codename")}


@pytest.mark.parametrize("role", ROLES)
def test_after_migrations_each_role_has_its_permissions(role: str) -> None:
    assert permissions_of(Group.objects.get(name=role)) == set(ROLES[role])


@pytest.mark.django_db(databases=["default", "owner"])
def test_a_sync_repairs_a_role_and_leaves_other_groups_alone() -> None:
    reader = Group.objects.using("owner").get(name="reader")
    auditor = Group.objects.using("owner").get(name="auditor")
    own = Group.objects.using("owner").create(name="own")
    permission = Permission.objects.using("owner").get(codename="unpublish_post")
    unnamed = Permission.objects.using("owner").get(codename="view_session")
    for group in (reader, own):
        group.permissions.add(permission, unnamed)
    auditor.permissions.clear()
    sync_roles(using="owner")
    # The roles say nothing of the sessions' app.
    assert permissions_of(reader) == {"images.add_picture", "sessions.view_session"}
    assert permissions_of(auditor) == set(ROLES["auditor"])
    assert permissions_of(own) == {"blog.unpublish_post", "sessions.view_session"}


def test_a_permission_given_to_a_role_is_in_the_ledger() -> None:
    group = Group.objects.get(name="reader")
    group.permissions.add(Permission.objects.get(codename="unpublish_post"))
    event = Event.objects.get(object_type="auth.group", object_id=str(group.pk))
    assert event.action == "auth.group.updated"
    assert "permissions" in event.changes


def test_the_demo_accounts_have_their_roles_and_the_password() -> None:
    create_demo_accounts("s3cret")
    users = {user.username: user for user in User.objects.prefetch_related("groups")}
    assert set(users) == {account.username for account in DEMO_ACCOUNTS}
    assert users["admin"].is_superuser
    assert users["admin"].name == "Ada Admin"
    assert {name for name, user in users.items() if user.is_staff} == {"admin", "operator", "developer"}
    assert ROLES.keys() - users.keys() == {"contributor"}
    for name in ROLES.keys() & users.keys():
        assert [group.name for group in users[name].groups.all()] == [name]
    assert all(user.check_password("s3cret") for user in users.values())
    assert users["auditor"].has_perm("audit.view_event")
    assert not users["reader"].has_perm("audit.view_event")
    assert users["developer"].has_perm("accounts.view_request_page")


def test_making_demo_accounts_twice_changes_nothing() -> None:
    create_demo_accounts("s3cret")
    before = list(User.objects.order_by("id").values())
    create_demo_accounts("another")
    assert list(User.objects.order_by("id").values()) == before


def test_demo_accounts_are_forbidden_without_a_demo_password(settings: pytest.FixtureRequest) -> None:
    settings.DEMO_PASSWORD = None
    with pytest.raises(DemoForbiddenError):
        create_demo_accounts("s3cret")
    assert not User.objects.exists()


def test_a_user_without_display_name_is_called_by_the_username() -> None:
    assert User(username="una").name == "una"
    assert User(username="una", display_name="Una U.").name == "Una U."
