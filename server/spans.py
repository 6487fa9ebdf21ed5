"""Spans of searches and of their calls, in the words of OpenTelemetry's conventions for generative AI (``gen_ai.*``).

    POST /v1/chat/completions          the request (server.request_spans)
    └── chat abacus                    the search
        ├── text_completion abacus     a call to the engine
        └── score prm                  a call to the reward

Calls become spans when they have ended, from the events that metrics are fed from, so nothing is measured twice. At
most so many of a search do; the others are counted on its span. The conventions are in development: the names are those
of ``opentelemetry-semantic-conventions`` 0.66.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Span, SpanContext, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from mcts import events
from mcts.result import SearchResult
from server.assignments import Assignment
from server.metric_observer import NOT_NEEDED
from server.replies import finish_reason
from server.settings import Settings
from server.version import version

_log = logging.getLogger(__name__)

PROVIDER = "espalier"
TRACES_PATH = "/v1/traces"
MOST_WAITING = 16_384
"""Spans that wait to be sent; further ones are dropped, never waited for."""

CLOSE_SECONDS = 5.0
"""How long the last spans may take to be sent when the server ends."""

NOTHING_SAID = Status(StatusCode.UNSET)

Attributes = dict[str, Any]


class Tracing:
    """Makes spans.

    Args:
        provider: Of the SDK; it is closed with this. Never the global one, which belongs to whoever embeds us.
        processor: What it hands ended spans to.
        most: Spans of calls that one search may have.
        texts: Whether spans of searches hold prompts and answers.
    """

    def __init__(self, provider: TracerProvider, processor: SpanProcessor, *, most: int, texts: bool) -> None:
        provider.add_span_processor(processor)
        self._provider, self._texts = provider, texts
        self._calls = CallSpans(provider, processor, most)
        self.tracer: Tracer = provider.get_tracer(PROVIDER, version())
        self.propagator = TraceContextTextMapPropagator()

    @contextmanager
    def search(self, assignment: Assignment, waited: float) -> Iterator[SearchSpan]:
        """The span of one search, and the current one while it lasts; it ends with the context.

        Args:
            assignment: What is searched.
            waited: Seconds that it waited for a place.
        """
        attributes = _asked(assignment) | {"espalier.search.waited_seconds": waited}
        if self._texts:
            attributes["gen_ai.input.messages"] = _input(assignment)
        name = f"{attributes['gen_ai.operation.name']} {assignment.model}"
        span = self.tracer.start_span(name, kind=SpanKind.INTERNAL, attributes=attributes)
        watched = SearchSpan(self._calls, span, assignment, texts=self._texts)
        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                yield watched
        except BaseException as error:
            watched.failed(error)
            raise
        finally:
            watched.end()

    async def close(self) -> None:
        """Sends what is left, within a few seconds."""
        closing = asyncio.create_task(asyncio.to_thread(self._provider.shutdown))
        _, late = await asyncio.wait({closing}, timeout=CLOSE_SECONDS)
        if late:
            _log.warning("the last spans could not be sent within %g s", CLOSE_SECONDS)


class CallSpans:
    """Makes spans of calls that have ended, all at once: half the cost of a span that is begun, filled and ended.

    Args:
        provider: Whose resource they have.
        processor: Where they go.
        most: Of one search.
    """

    def __init__(self, provider: TracerProvider, processor: SpanProcessor, most: int) -> None:
        self.most = most
        self._resource, self._new_id, self._ended = provider.resource, provider.id_generator, processor.on_end
        self._scope = InstrumentationScope(PROVIDER, version())

    def add(self, parent: SpanContext, name: str, start: int, end: int, attributes: Attributes, status: Status) -> None:
        """A span below another, which is sampled; times are nanoseconds since 1970."""
        own = self._new_id.generate_span_id()
        placed = SpanContext(parent.trace_id, own, False, parent.trace_flags, parent.trace_state)
        self._ended(
            ReadableSpan(
                name,
                placed,
                parent,
                self._resource,
                attributes,
                kind=SpanKind.INTERNAL,
                status=status,
                start_time=start,
                end_time=end,
                instrumentation_scope=self._scope,
            )
        )


class SearchSpan:
    """One search's span, an observer of its events."""

    def __init__(self, calls: CallSpans, span: Span, assignment: Assignment, *, texts: bool) -> None:
        self._calls, self._span, self._assignment, self._texts = calls, span, assignment, texts
        self._context = span.get_span_context()
        self._left = calls.most if span.is_recording() else 0
        self._dropped = 0
        self._began = time.time_ns()

    def __call__(self, event: events.Event) -> None:
        """Makes spans of calls that have ended."""
        if isinstance(event, events.EngineCalled):
            self._call(f"text_completion {self._assignment.model}", event, self._engine_call(event))
        elif isinstance(event, events.RewardCalled):
            reward = self._assignment.plan.reward or "none"
            own = {"espalier.reward.name": reward, "espalier.reward.paths": event.paths}
            self._call(f"score {reward}", event, own)
        elif isinstance(event, events.SearchStarted):
            self._began = time.time_ns() - _nanoseconds(event.seconds)
        elif isinstance(event, events.SearchFinished):
            self._span.set_attribute("espalier.search.stop_reason", event.stop_reason.value)

    def answered(self, result: SearchResult, answer_tokens: int) -> None:
        """Tells what the search found and what it took. ``answer_tokens`` are those that stand in the answers."""
        generated = result.generated_tokens
        self._span.set_attributes(
            {
                "gen_ai.response.finish_reasons": [finish_reason(winner) for winner in result.winners],
                "gen_ai.usage.output_tokens": generated,
                "gen_ai.usage.reasoning.output_tokens": max(0, generated - answer_tokens),
                "gen_ai.usage.cache_read.input_tokens": result.cached_tokens,
                "espalier.search.simulations": result.simulations,
                "espalier.search.nodes": result.nodes,
                "espalier.search.depth": result.depth,
                "espalier.search.engine_calls": result.engine_calls,
                "espalier.search.reward_calls": result.reward_calls,
            }
        )
        if self._texts:
            told = [_message("assistant", "".join(s.text for s in winner.path.steps)) for winner in result.winners]
            self._span.set_attribute("gen_ai.output.messages", json.dumps(told))

    def failed(self, error: BaseException) -> None:
        """Tells which class of error it ended with, and nothing of its message, which may quote the prompt."""
        name = type(error).__name__
        self._span.set_attribute("error.type", name)
        self._span.set_status(Status(StatusCode.ERROR, name))

    def end(self) -> None:
        """Ends the span."""
        self._span.set_attribute("espalier.spans.dropped", self._dropped)
        self._span.end()

    def _call(self, name: str, event: events.EngineCalled | events.RewardCalled, attributes: Attributes) -> None:
        if not self._left:
            self._dropped += 1
            return
        self._left -= 1
        end = self._began + _nanoseconds(event.seconds)
        start = end - _nanoseconds(event.duration)
        status = NOTHING_SAID
        if event.failed:
            attributes["error.type"] = event.failed
            status = status if event.failed in NOT_NEEDED else Status(StatusCode.ERROR, event.failed)
        self._calls.add(self._context, name, start, end, attributes, status)

    def _engine_call(self, event: events.EngineCalled) -> Attributes:
        return {
            "gen_ai.operation.name": "text_completion",
            "gen_ai.provider.name": PROVIDER,
            "gen_ai.request.model": self._assignment.model,
            "gen_ai.request.choice.count": event.continuations,
            "gen_ai.usage.input_tokens": event.prefix_tokens,
            "gen_ai.usage.cache_read.input_tokens": event.cached_tokens,
            "gen_ai.usage.output_tokens": event.generated_tokens,
        }


def exporting(settings: Settings) -> Tracing:
    """Tracing that sends spans to the collector that the settings or OpenTelemetry's environment name."""
    named = settings.otlp_endpoint.rstrip("/")
    endpoint = named if named.endswith(TRACES_PATH) else f"{named}{TRACES_PATH}"
    exporter = OTLPSpanExporter(endpoint=endpoint if named else None)
    resource = Resource.create({"service.name": PROVIDER, "service.version": version()})  # the environment's wins
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    processor = BatchSpanProcessor(exporter, max_queue_size=MOST_WAITING)
    return Tracing(provider, processor, most=settings.otlp_spans, texts=settings.otlp_texts)


def _asked(assignment: Assignment) -> Attributes:
    task, plan = assignment.task, assignment.plan
    sampling, budget = task.sampling, plan.budget
    told = {
        "gen_ai.operation.name": "chat" if task.prompt.messages else "text_completion",
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.request.model": assignment.model,
        "gen_ai.response.model": assignment.model,
        "gen_ai.response.id": assignment.id,
        "gen_ai.output.type": "json" if sampling.form else "text",
        "gen_ai.request.max_tokens": task.max_tokens,
        "gen_ai.request.choice.count": task.n,
        "gen_ai.request.temperature": sampling.temperature,
        "gen_ai.request.top_p": sampling.top_p,
        "gen_ai.request.seed": task.seed,
        "gen_ai.usage.input_tokens": len(task.prompt.token_ids),
        "espalier.search.id": assignment.search_id,
        "espalier.search.strategy": plan.strategy,
        "espalier.search.reward": plan.reward,
        "espalier.search.vote": plan.vote,
        "espalier.search.budget.simulations": budget.simulations,
        "espalier.search.budget.tokens": budget.tokens,
        "espalier.search.budget.seconds": budget.seconds,
    }
    return {name: value for name, value in told.items() if value is not None}


def _input(assignment: Assignment) -> str:
    prompt = assignment.task.prompt
    turns = [_message(turn.role, turn.content) for turn in prompt.messages or ()]
    return json.dumps(turns or [_message("user", prompt.text)])


def _message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
