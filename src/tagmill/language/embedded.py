"""llama.cpp in this process: a GGUF file behind the same door as any server.

`xllamacpp` runs llama.cpp's own server in threads of this process and listens on a free port of
the loopback interface; what is asked never leaves the machine.
"""

from __future__ import annotations

from typing import Any

from tagmill.errors import LanguageModelError, MissingExtra
from tagmill.language.client import Request, ServerModel
from tagmill.records import Reply
from tagmill.settings import LanguageModelSettings

__all__ = ["EmbeddedModel", "start_server"]

_CONTEXT = 8192  # tokens of one request and its answer
_SLOTS = 4  # requests decoded together
_SMALL = 100_000_000  # bytes of a file below which threads only wait for one another


class EmbeddedModel:
    """A model in a GGUF file. Raises MissingExtra, LanguageModelError where it cannot be loaded."""

    where = ""

    def __init__(self, settings: LanguageModelSettings) -> None:
        assert settings.gguf is not None
        self.name = settings.model or settings.gguf.name
        self._server = start_server(settings)
        url = f"{self._server.listening_address}/v1"
        self.door = ServerModel(
            settings.model_copy(update={"base_url": url, "model": self.name, "api_key": None})
        )

    async def ask(self, request: Request) -> Reply:
        """See `LanguageModel.ask`."""
        return await self.door.ask(request)

    async def close(self) -> None:
        """Give up the connections; the model stays loaded as long as this object."""
        await self.door.close()


def start_server(settings: LanguageModelSettings) -> Any:  # noqa: ANN401
    """llama.cpp's server with the model of `settings.gguf`; it runs while the object is kept."""
    try:
        import xllamacpp
    except ImportError as error:
        raise MissingExtra("llm.gguf", "xllamacpp", "local") from error
    path = settings.gguf
    if path is None or not path.is_file():
        raise LanguageModelError(f"There is no model file {path}. Set llm.gguf to a GGUF file")
    slots = min(_SLOTS, settings.max_concurrency)
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {settings.model or path.name}
    params.n_ctx = _CONTEXT * slots  # divided among the slots
    params.n_parallel = slots
    params.n_threads_http = slots + 1
    if path.stat().st_size < _SMALL:
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.hostnames = ["127.0.0.1"]
    params.port = 0  # a free one
    params.ui = params.endpoint_slots = params.warmup = False
    params.offline = True
    params.verbosity = -1
    params.cache_ram_mib = 0
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise LanguageModelError(f"llama.cpp cannot load {path}: {error}") from error
