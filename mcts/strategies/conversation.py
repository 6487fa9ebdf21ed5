"""The chats that a search holds about an answer: critique, rewriting, grading. Knows neither values nor selection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mcts.errors import InvalidRequest
from mcts.ports import Continuation, Message, Path, Sampling, Step
from mcts.search import Search
from mcts.steps import StepRule
from mcts.strategies.answer_tree import AnswerTree
from mcts.strategy import ChatRenderer

MOST_TURN_TOKENS = 100_000


class NoRoom(Exception):
    """The token budget has no room for another call. Raised within a strategy, which ends its search with it."""


@dataclass(frozen=True, slots=True, eq=False)
class Conversation:
    """The original chat, and turns that follow an answer to it."""

    search: Search
    renderer: ChatRenderer

    @property
    def chat(self) -> tuple[Message, ...]:
        """The client's chat without the start of an answer that the client gave."""
        prompt = self.search.task.prompt
        return prompt.messages[:-1] if prompt.prefill else prompt.messages

    @property
    def question(self) -> str:
        """What was asked, as one text. A chat of more than one turn is told turn by turn, each with its role."""
        if len(self.chat) == 1:
            return self.chat[0].content
        return "\n\n".join(f"{message.role}: {message.content}" for message in self.chat)

    def after(self, path: Path, *turns: str) -> tuple[Message, ...]:
        """The chat, an answer to it, and turns in which user and assistant take over from one another."""
        roles = ("user", "assistant")
        follow = tuple(Message(roles[i % 2], text) for i, text in enumerate(turns))
        return (*self.chat, Message("assistant", path.text), *follow)

    async def first(self, name: str) -> tuple[Step, ...]:
        """An answer to the prompt itself.

        Raises:
            NoRoom: The budget has none.
        """
        drawn = await self.search.calls.sample(self.search.task.prompt.token_ids, f"answer/{name}")
        if not drawn:
            raise NoRoom
        return StepRule().split(drawn[0])

    async def rewritten(
        self, path: Path, name: str, critique_request: str, rewrite_request: str, critique_tokens: int
    ) -> tuple[Step, ...] | None:
        """A better answer: the model criticises the one that is there and then rewrites it.

        A critique that is cut at its limit is used as far as it goes. After a blank one there is nothing to mend, so
        nothing is rewritten.

        Args:
            path: The answer that is there.
            name: Of the new answer, for its seeds.
            critique_request: The turn that asks for the critique.
            rewrite_request: The turn that asks for the new answer.
            critique_tokens: Most tokens of the critique.

        Returns:
            The new answer's steps, none when critique or answer came out blank; None when the model's context has no
            room.

        Raises:
            NoRoom: The budget has none.
        """
        critique = await self.aside(self.after(path, critique_request), f"critique/{name}", critique_tokens)
        if critique is None or not critique.text.strip():
            return None if critique is None else ()
        turns = self.after(path, critique_request, critique.text, rewrite_request)
        steps = await self.answer(turns, f"rewrite/{name}")
        visible = steps is None or any(step.text.strip() for step in steps)
        return steps if visible else ()

    async def answer(self, messages: Sequence[Message], purpose: str) -> tuple[Step, ...] | None:
        """Another answer to the client, drawn as the client wants; it too begins with what the client prefilled.

        Returns:
            Its steps; None when the model's context has no room.

        Raises:
            NoRoom: The budget has none.
        """
        task, prefill = self.search.task, self.search.task.prompt.prefill
        start = (Message("assistant", prefill),) if prefill else ()
        prefix = tuple(await self.renderer.render((*messages, *start), continue_final=bool(start)))
        drawn = await self._ask(prefix, purpose, task.max_tokens, task.sampling, self.search.calls.top_logprobs)
        return StepRule().split(drawn) if drawn else None

    async def aside(self, messages: Sequence[Message], purpose: str, max_tokens: int) -> Continuation | None:
        """A turn that the client never sees. Bounds on the answer's form, such as stop strings, do not apply to it.

        Returns:
            The turn; None when the model's context has no room.

        Raises:
            NoRoom: The budget has none.
        """
        prefix = tuple(await self.renderer.render(messages))
        return await self._ask(prefix, purpose, max_tokens, _unbounded(self.search.task.sampling))

    async def _ask(
        self, prefix: tuple[int, ...], purpose: str, wanted: int, sampling: Sampling, top_logprobs: int = 0
    ) -> Continuation | None:
        calls = self.search.calls
        room = calls.turn_room(prefix, wanted)
        if room < 1:
            return None
        drawn = await calls.ask(prefix, purpose, room, sampling, top_logprobs)
        if drawn is None:
            raise NoRoom
        return drawn


def begin_conversation(search: Search) -> Conversation:
    """The conversation of a search.

    Raises:
        InvalidRequest: The prompt is no chat, or chats cannot be rendered.
    """
    renderer = search.ports.renderer
    if renderer is None or not search.task.prompt.messages:
        raise InvalidRequest(f"The strategy {search.strategy} needs a chat.", "search.strategy")
    return Conversation(search, renderer)


def fall_back_on_unscored(search: Search, tree: AnswerTree) -> None:
    """Where no answer could be scored, those that were written are candidates without a reward, blank ones last."""
    if search.candidates:
        return
    for answer in sorted(tree.answers, key=lambda each: not each.text.strip()):
        search.found(answer.written, None, answer.written.steps, answer)


def _unbounded(sampling: Sampling) -> Sampling:
    """How tokens are drawn, without what shapes or cuts the client's answer."""
    return replace(
        sampling,
        stop=(),
        stop_token_ids=(),
        include_stop=False,
        ignore_eos=False,
        min_tokens=0,
        logit_bias={},
        bad_words=(),
        allowed_token_ids=(),
    )
