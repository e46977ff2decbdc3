"""Requests per second at a server that answers in 50 ms, and memory: for a process of its own.

    python benchmarks/asking_speed.py [--requests 100000] [--concurrency 64]

The stub serves in a process of its own. Prints JSON: the rate, the ideal one (concurrency / 50 ms),
their ratio, and how much the peak memory grew from the first thousand requests on; first the rate
of the bare HTTP client (aiohttp, as many loops as requests at once), which does nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import socket
import socketserver
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

import aiohttp

from tagmill.language import Asker, Question, Request, open_model
from tagmill.records import Reply
from tagmill.settings import LanguageModelSettings
from tagmill.store import open_store

WAIT = 0.05
_ANSWER = json.dumps(
    {
        "choices": [{"message": {"content": '{"tags": []}'}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 400, "completion_tokens": 5},
    }
).encode()
_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(_ANSWER),
    _ANSWER,
)


class _Stub(socketserver.BaseRequestHandler):
    """Answers each request of a connection 50 ms after it came.

    A thread a connection that sleeps: a loop of timers would wake up to a millisecond late.
    """

    def setup(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def handle(self) -> None:
        read = b""
        while True:
            while b"\r\n\r\n" not in read:
                if not (part := self.request.recv(65536)):
                    return
                read += part
            head, _, read = read.partition(b"\r\n\r\n")
            size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            while len(read) < size:
                read += self.request.recv(65536)
            read = read[size:]
            time.sleep(WAIT)
            self.request.sendall(_RESPONSE)


class _Server(socketserver.ThreadingTCPServer):
    request_queue_size = 1024
    daemon_threads = True


def serve(port: Connection) -> None:
    """The stub; its port goes back through `port`."""
    with _Server(("127.0.0.1", 0), _Stub) as server:
        port.send(server.server_address[1])
        server.serve_forever()


def questions(count: int) -> Iterator[Question[int, str]]:
    """So many different requests of about 400 tokens."""
    for number in range(count):
        text = f"product {number}: " + "a red cotton dress for summer " * 40
        request = Request([{"role": "user", "content": text}], 64)
        yield Question(number, str(number), request, _text)


def _text(reply: Reply) -> str:
    return reply.text


async def bare(url: str, count: int, concurrency: int) -> float:
    """Requests a second of aiohttp alone, with the same bodies."""
    asked = questions(count)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as client:

        async def loop() -> None:
            for question in asked:
                body = question.request.body("stub")
                async with client.post(f"{url}/chat/completions", json=body) as response:
                    json.loads(await response.read())

        start = time.perf_counter()
        await asyncio.gather(*(loop() for _ in range(concurrency)))
        return count / (time.perf_counter() - start)


def peak_mb() -> float:
    """Peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure with and without the store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--concurrency", type=int, default=64)
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ours.recv()}/v1"
    ideal = options.concurrency / WAIT
    alone = asyncio.run(bare(url, options.requests, options.concurrency))
    print(json.dumps({"bare": round(alone), "share": round(alone / ideal, 3)}), flush=True)
    for stored in (False, True):
        settings = LanguageModelSettings(
            base_url=url, model="stub", max_concurrency=options.concurrency
        )
        with tempfile.TemporaryDirectory() as folder:
            store = open_store(f"sqlite:///{folder}/replies.db", create=True) if stored else None
            asker = Asker(open_model(settings), settings, store.replies if store else None)
            first, start = 0.0, time.perf_counter()
            for number, _ in enumerate(asker.ask_all(questions(options.requests))):
                if number == 1000:
                    first = peak_mb()
            rate = options.requests / (time.perf_counter() - start)
            if store:
                store.close()
        found = {
            "stored": stored, "per_second": round(rate), "ideal": round(ideal),
            "share": round(rate / ideal, 3), "grown_mb": round(peak_mb() - first),
        }  # fmt: skip
        print(json.dumps(found), flush=True)
    server.terminate()


if __name__ == "__main__":
    main()
