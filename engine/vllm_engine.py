"""The real ``Engine``: vLLM's ``AsyncLLM``, driven by token ids. Its continuous batching is the only batching."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress
from typing import Any

from engine.replies import Assembler, read_output
from engine.sampling import is_greedy, sampling_params
from engine.served import ServedModel
from engine.settings import EngineSettings
from engine.tokenizer import HFTokenizer
from engine.transcript import Transcript
from engine.vllm_errors import engine_errors
from mcts.errors import PromptTooLong
from mcts.ports import Continuation, SampleRequest
from mcts.together import together

WARM_UP_TOKENS = 8

ABORT_SECONDS = 0.05
"""Longest wait for vLLM's word on a request that was aborted. It is given in the same turn of the event loop."""

DEFAULTS = {
    "enable_prefix_caching": True,
    # Where any white space is allowed between the parts of JSON, a model that knows no JSON writes nothing else until
    # its limit; and where an object may have properties that its schema does not list, it makes some up, without end.
    # Of the two backends that can forbid the first, guidance compiles more schemas. Both forbid the second as xgrammar,
    # vLLM's usual choice, does.
    "structured_outputs_config": {
        "backend": "guidance",
        "disable_any_whitespace": True,
        "disable_additional_properties": True,
    },
}
"""Arguments of a generating engine, which the operator's own win over."""


class VllmEngine(ServedModel):
    """Implements ``ports.Engine``. Cancelling a call aborts it in the engine.

    Args:
        settings: How to start it.
        tokenizer: Loaded already; None loads the model's own.

    Raises:
        StartupError: The model folder is missing, is no model, or does not generate text.
    """

    def __init__(self, settings: EngineSettings, tokenizer: HFTokenizer | None = None) -> None:
        super().__init__(settings, "generate", lambda: dict(DEFAULTS), tokenizer)

    async def warm_up(self) -> None:
        """Runs one small batch, so that the first request does not pay for kernels that are made on first use."""
        prefix = tuple(self.tokenizer.encode("1 + 1 =")) or (0,)
        await self.sample(SampleRequest(prefix, n=2, max_tokens=WARM_UP_TOKENS, seed=0, top_logprobs=5))

    async def sample(self, request: SampleRequest) -> Sequence[Continuation]:
        """Draws ``request.n`` continuations, in the order of their seeds. Cancelling the task aborts them.

        Raises:
            PromptTooLong: The prefix leaves no room for a token.
            InvalidRequest: vLLM refuses a sampling parameter.
            EngineCallFailed: This call failed.
            EngineDead: The engine is gone.
        """
        self._check_length(request)
        if request.n == 1 or not is_greedy(request):
            return await self._draw(request, request.n)
        draws = await together(self._draw(request, 1) for _ in range(request.n))  # vLLM refuses n > 1 without chance
        return [draw[0] for draw in draws]

    async def stream(self, request: SampleRequest) -> AsyncIterator[Continuation]:
        """Draws one continuation piece by piece. Closing the iterator aborts.

        Raises:
            PromptTooLong: The prefix leaves no room for a token.
            InvalidRequest: vLLM refuses a sampling parameter.
            EngineCallFailed: This call failed.
            EngineDead: The engine is gone.
        """
        self._check_length(request)
        assembler = Assembler(request, self._transcript(request), self.info.eos_ids)
        async with (
            engine_errors(self.process),
            aclosing(self._outputs(request, 1, self._name(request), stream=True)) as outputs,
        ):
            async for reply in outputs:
                (output,) = reply.outputs
                assembler.add(output.token_ids, output.logprobs)
                cached = reply.num_cached_tokens or 0
                if output.finish_reason is not None:
                    yield assembler.last(output.finish_reason, output.stop_reason, cached)
                elif (piece := assembler.piece(cached)) is not None:
                    yield piece

    async def _draw(self, request: SampleRequest, n: int) -> list[Continuation]:
        async with engine_errors(self.process):
            reply = await self._finished(request, n)
            cached, eos = reply.num_cached_tokens or 0, self.info.eos_ids
            return [
                read_output(request, self._transcript(request), output, cached, eos)
                for output in sorted(reply.outputs, key=lambda output: int(output.index))
            ]

    async def _finished(self, request: SampleRequest, n: int) -> Any:
        """The last output for a request. Cancelled, it lets vLLM abort the request and tell how far it was.

        Were the generator of the outputs cancelled instead, vLLM would throw that away.
        """
        name = self._name(request)
        last = asyncio.create_task(_last(self._outputs(request, n, name, stream=False)), name=name)
        try:
            return await asyncio.shield(last)
        except asyncio.CancelledError:
            request.spent.tokens += await self._aborted(name, last)
            raise

    async def _aborted(self, name: str, last: asyncio.Task[Any]) -> int:
        """Aborts a request; the tokens that it had generated, 0 where vLLM does not tell at once."""
        try:
            with suppress(Exception):  # of an engine that is dead, which every other call reports
                await self.process.llm.abort(name)
            await asyncio.wait({last}, timeout=ABORT_SECONDS)
        finally:
            last.cancel()  # where vLLM did not know the request yet
        failed = not last.done() or last.cancelled() or last.exception() is not None
        return 0 if failed else sum(len(output.token_ids) for output in last.result().outputs)

    def _outputs(self, request: SampleRequest, n: int, name: str, *, stream: bool) -> Any:
        from vllm.inputs.engine import tokens_input

        params = sampling_params(request, n=n, stream=stream)
        return self.process.llm.generate(tokens_input(list(request.prefix)), params, name)

    def _name(self, request: SampleRequest) -> str:
        return self._request_id(request.search_id or "call")

    def _transcript(self, request: SampleRequest) -> Transcript:
        skip_special = request.sampling.skip_special_tokens
        return Transcript(self.tokenizer, request.prefix, skip_special=skip_special)

    def _check_length(self, request: SampleRequest) -> None:
        limit = self.info.max_model_len
        if len(request.prefix) >= limit:
            raise PromptTooLong(f"The prompt has {len(request.prefix)} tokens; this model reads and writes {limit}.")


async def _last(outputs: Any) -> Any:
    """The last thing that a generator gives; one at least. It is closed whatever happens."""
    async with aclosing(outputs):
        replies = [reply async for reply in outputs]
    return replies[-1]
