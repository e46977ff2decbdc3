"""Search and recommendation over HTTP: a JSON API, and a page to see them by."""

from tagmill.serve.app import create_app
from tagmill.serve.server import Server, open_server
from tagmill.serve.shop import Shop

__all__ = ["Server", "Shop", "create_app", "open_server"]
