"""What can go wrong in the ledger; the docstring is the message where none is given."""


class AuditError(Exception):
    """The ledger refused."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.__doc__ or "")


class RegistrationError(AuditError):
    """A model is registered with the ledger in a way that contradicts itself."""


class LedgerUnavailableError(AuditError):
    """The ledger can't be written, so the change was not made. Nothing is half-written; try again shortly."""


class PartitionsError(AuditError):
    """No partition could be made. Nothing has changed, and the default partition takes what fits no other."""
