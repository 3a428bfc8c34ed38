"""Whether the ports that the platform is to listen on are free; asked before anything is started."""

import errno
import os
import socket


class PortError(Exception):
    """A port can't be used. The message says why, and what to do."""


def check_free(variable: str, port: int) -> None:
    """Return where `port`, which the environment's `variable` names, can be listened on.

    Raises PortError: somebody listens there already, or this process may not.
    """
    if not 0 < port < 65_536:
        raise PortError(f"{variable}={port} is no port. Set {variable} to a number from 1024 to 65535.")
    advice = f"Set {variable} to a free one: {variable}={_other(port)} make run"
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a closed connection's address may linger
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortError(f"Port {port} is in use. {advice}") from error
            raise PortError(f"Port {port} can't be used ({os.strerror(error.errno or 0)}). {advice}") from error


def _other(port: int) -> int:
    return port + 10 if 1024 <= port < 65_000 else 8010
