"""How rows that `manage seed_data` made are told from all others, so that it can take away its own and nothing else."""

import uuid

# Of people: a domain that no mail reaches, whoever sends it (RFC 2606).
EMAIL_ENDING = "@seed-data.invalid"

# Of rows that have a UUID by which they're written once: the first half says who wrote them. No random one begins so.
_HALF = int.from_bytes(b"seeddata", "big")
FIRST_ID = uuid.UUID(int=_HALF << 64)
LAST_ID = uuid.UUID(int=(_HALF << 64) | (2**64 - 1))


def marked_id(number: int) -> uuid.UUID:
    """Return the marked UUID for `number`."""
    return uuid.UUID(int=(_HALF << 64) | number)
