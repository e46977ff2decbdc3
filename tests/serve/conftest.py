"""A real server of a small shop, on a socket."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from fastapi import FastAPI

from tagmill.serve import Server, Shop, create_app, open_server
from tagmill.settings import Settings
from tagmill.store import Store
from tests.discover.shop import fill_shop


@dataclass(frozen=True)
class Answer:
    """An answer of the service: status, headers, and its body if that is JSON."""

    status: int
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Service:
    """A running service, and what it serves."""

    url: str
    shop: Shop
    store: Store

    def get(self, path: str, headers: dict[str, str] | None = None, **query: object) -> Answer:
        """Ask for `/v1/path`."""
        asked = f"?{urlencode(query, doseq=True)}" if query else ""
        return self.ask("GET", f"/v1/{quote(path)}{asked}", headers=headers)

    def post(self, path: str, body: object, headers: dict[str, str] | None = None) -> Answer:
        """Send JSON to `/v1/path`."""
        sent = {"Content-Type": "application/json"} | (headers or {})
        return self.ask("POST", f"/v1/{path}", json.dumps(body).encode(), sent)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send a request, and read the answer whatever its status."""
        request = urllib.request.Request(self.url + path, body, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return self._read(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            return self._read(error.code, dict(error.headers), error.read())

    @staticmethod
    def _read(status: int, headers: dict[str, str], raw: bytes) -> Answer:
        is_json = "json" in headers.get("content-type", "")
        return Answer(status, headers, json.loads(raw) if is_json else raw.decode())


@contextmanager
def serving(store: Store, folder: Path, key: str | None = None) -> Iterator[Service]:
    """A service of a store, on a port of its own."""
    shop = Shop(Settings(root=folder), store)
    server = open_server(shop, "127.0.0.1", 0, key)
    thread = Thread(target=server.run)
    thread.start()
    try:
        yield Service(server.url, shop, store)
    finally:
        server.stop()
        thread.join()
        shop.close()


@contextmanager
def mounted(service: Service) -> Iterator[Service]:
    """The same shop, below /shop of another app."""
    outer = FastAPI()
    outer.mount("/shop", create_app(service.shop))
    server = Server(outer, socket.create_server(("127.0.0.1", 0)))
    thread = Thread(target=server.run)
    thread.start()
    try:
        yield Service(f"{server.url}/shop", service.shop, service.store)
    finally:
        server.stop()
        thread.join()


@pytest.fixture
def service(store: Store, tmp_path: Path) -> Iterator[Service]:
    """The shop of the tests of search, served."""
    fill_shop(store)
    with serving(store, tmp_path) as running:
        yield running
