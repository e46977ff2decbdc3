"""A real HTTP server that speaks the chat protocol, and every way of failing at it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

# What the server does with a request: (status, headers, body), or a coroutine's name of it.
Behaviour = Callable[[dict[str, Any]], "Response"]


@dataclass(frozen=True)
class Response:
    """An answer as it goes over the wire. `drops`: the connection ends in the middle of it."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = "application/json"
    wait: float = 0.0
    drops: bool = False


def chat(
    text: str | None, *, finish: str = "stop", logprobs: object = None, **message: object
) -> Response:
    """A chat completion."""
    choice = {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", "content": text, **message},
        "logprobs": logprobs,
    }
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "prompt_tokens_details": {"cached_tokens": 60},
    }
    return Response(json.dumps({"choices": [choice], "usage": usage}).encode())


def error(status: int, message: str = "no", **headers: str) -> Response:
    """An error of the protocol."""
    body = json.dumps({"error": {"message": message}}).encode()
    return Response(body, status, headers)


class ChatServer:
    """Answers each request with the next behaviour; the last one again and again."""

    def __init__(self, *responses: Response | Callable[[dict[str, Any]], Response]) -> None:
        self.responses = list(responses)
        self.requests: list[dict[str, Any]] = []
        self.headers: list[bytes] = []
        self.models: list[str] = []  # what `GET /models` lists
        self.most_at_once = 0
        self._now = 0

    @contextmanager
    def running(self) -> Iterator[str]:
        """Serve in a thread; gives the base URL."""
        loop = asyncio.new_event_loop()
        server = loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        port = server.sockets[0].getsockname()[1]
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            asyncio.run_coroutine_threadsafe(self._stop(server), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
            loop.close()

    async def _stop(self, server: asyncio.Server) -> None:
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"GET"):
                    await self._list(writer)
                    continue
                lines = head.lower().split(b"\r\n")
                size = next(int(i.split(b":")[1]) for i in lines if i.startswith(b"content-length"))
                body = json.loads(await reader.readexactly(size))
                await self._answer(head, body, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _list(self, writer: asyncio.StreamWriter) -> None:
        body = json.dumps({"data": [{"id": name} for name in self.models]}).encode()
        writer.write(b"HTTP/1.1 200 X\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    async def _answer(
        self, head: bytes, body: dict[str, Any], writer: asyncio.StreamWriter
    ) -> None:
        self.requests.append(body)
        self.headers.append(head)
        next_one = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
        response = next_one if isinstance(next_one, Response) else next_one(body)
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        await asyncio.sleep(response.wait)
        self._now -= 1
        headers = {
            "Content-Type": response.kind,
            "Content-Length": str(len(response.body)),
            **response.headers,
        }
        text = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        data = response.body[: len(response.body) // 2] if response.drops else response.body
        writer.write(f"HTTP/1.1 {response.status} X\r\n{text}\r\n".encode() + data)
        await writer.drain()
        if response.drops:
            raise ConnectionError
