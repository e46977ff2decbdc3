"""An HTTP server (uvicorn) for the app, on a socket that is open before it starts."""

from __future__ import annotations

import errno
import ipaddress
import socket
from contextlib import suppress

import uvicorn
from fastapi import FastAPI

from tagmill.errors import SettingsError
from tagmill.serve.app import LOCAL_NAMES, create_app
from tagmill.serve.shop import Shop

__all__ = ["Server", "open_server"]

_STOPPING = 10  # seconds in which requests that were begun are answered


class Server:
    """A server whose `url` is known; `run` serves until it is stopped by a signal or `stop`."""

    def __init__(self, app: FastAPI, listening: socket.socket) -> None:
        self.url = f"http://{_name_of(listening)}:{listening.getsockname()[1]}"
        self._socket = listening
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, lifespan="off",
            timeout_graceful_shutdown=_STOPPING,
        )  # fmt: skip
        self._server = uvicorn.Server(config)

    def run(self) -> None:
        """Serve; requests that were begun are answered before this ends."""
        try:
            with suppress(KeyboardInterrupt):  # as it is raised once more behind the last answer
                self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()

    def stop(self) -> None:
        """End `run`, from another thread."""
        self._server.should_exit = True


def open_server(shop: Shop, host: str, port: int, key: str | None = None) -> Server:
    """A server of a shop; port 0 is any free one.

    Raises SettingsError where the address cannot be had, and for one that others can reach
    without a `key`.
    """
    listening = _listen(host, port)
    address = ipaddress.ip_address(listening.getsockname()[0])
    if not address.is_loopback and key is None:
        listening.close()
        raise SettingsError(
            f"{host} can be reached from other machines, and whoever reaches it may read and "
            "delete. Set a key with TAGMILL_SERVE__KEY, which callers must send"
        )
    hosts = (*LOCAL_NAMES, host, _name_of(listening))
    return Server(create_app(shop, key, hosts), listening)


def _name_of(listening: socket.socket) -> str:
    address: str = listening.getsockname()[0]
    return f"[{address}]" if ":" in address else address


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Of a socket without its protocol asyncio does not see that it is TCP, and leaves Nagle's
    # algorithm on: every answer then waits 40 ms for the client's acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise SettingsError(
                f"Port {port} of {host} is taken. Give others with: --host, --port"
            ) from error
        why = error.strerror or error
        raise SettingsError(
            f"Port {port} of {host} cannot be had ({why}). Give others with: --host, --port"
        ) from error
    listening.listen(128)  # who asks before the server runs waits
    return listening
