"""Finding a port that nobody uses."""

import socket

__all__ = ["free_port"]


def free_port(preferred: int = 0) -> int:
    """``preferred`` if it is free on 127.0.0.1, else any port that is."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            # As servers do, or a port would count as used for a minute after its last connection.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise OSError("127.0.0.1 has no free port")
