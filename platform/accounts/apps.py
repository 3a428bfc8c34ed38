from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        import audit
        from accounts import roles

        # Which permissions a role has is as much worth knowing as who has the role.
        audit.register("auth.Group")
        post_migrate.connect(roles.after_migrate, dispatch_uid="accounts.roles")
