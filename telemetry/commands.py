"""Management commands and the shell: a context for the whole process."""

import getpass
from collections.abc import Sequence
from contextlib import AbstractContextManager

from telemetry.context import Actor, Context, new_request_id, use


def command_context(argv: Sequence[str]) -> AbstractContextManager[Context]:
    """Return the block in which a command line runs: its request id, its name, and the person at the machine."""
    name = argv[1] if len(argv) > 1 else "help"
    try:
        account = getpass.getuser()
    except (KeyError, OSError):  # an id without a name, as in some containers
        account = ""
    return use(
        Context(
            request_id=new_request_id(),
            origin="shell" if name in {"shell", "shell_plus", "dbshell"} else "command",
            operation=name[:100],
            actor_source=Actor(type="system", id=account, label=account),
        )
    )
