"""What can go wrong with accounts. The message is for the person who asked."""


class AccountsError(Exception):
    """Accounts can't do what was asked."""


class UnknownScopeError(AccountsError):
    """A scope was asked for that doesn't exist; the message lists those that do."""


class DemoForbiddenError(AccountsError):
    """Demo accounts have a password that everyone knows; these settings forbid them (DEMO_PASSWORD is None)."""
