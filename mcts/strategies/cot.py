"""Chain of thought: plain decoding of a chat that asks for its reasoning step by step.

Sources: Wei et al. (2201.11903) for the chain of thought, Kojima et al. (2205.11916) for asking without examples. The
wording is that of Qwen2.5-Math's system turn.

The instruction is a turn of the chat, so it is put there before the chat is rendered, by whoever renders it (the
server, through the ``Tokenizer`` port): the template lays it out, it counts as prompt, and a prompt that it makes too
long is refused before the search begins. The strategy itself only sees that it is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mcts.errors import InvalidRequest
from mcts.options import require
from mcts.ports import Message
from mcts.result import SearchResult, Task
from mcts.strategies.direct import DirectOptions, direct
from mcts.strategy import Ports

INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."
LONGEST_INSTRUCTION = 4000


@dataclass(frozen=True, slots=True)
class CotOptions:
    """Options of ``cot``.

    Args:
        instruction: What asks for the reasoning; 1 to 4000 characters, not only blanks.
    """

    instruction: str = INSTRUCTION

    def __post_init__(self) -> None:
        fits = bool(self.instruction.strip()) and len(self.instruction) <= LONGEST_INSTRUCTION
        message = f"search.instruction must have 1 to {LONGEST_INSTRUCTION} characters, not only blanks."
        require(fits, message, "search.instruction")


def instructed(messages: Sequence[Message], instruction: str) -> tuple[Message, ...]:
    """A chat with the instruction in its system turn: after what stands there, or as a new first turn."""
    first = messages[0] if messages else None
    if first is None or first.role != "system":
        return (Message("system", instruction), *messages)
    return (replace(first, content=f"{first.content}\n\n{instruction}"), *messages[1:])


async def cot(task: Task, ports: Ports, options: CotOptions) -> SearchResult:
    """Decodes plainly, as ``direct`` does, what ``instructed`` has prepared.

    Raises:
        InvalidRequest: The prompt does not carry the instruction, so this would be plain decoding under another name.
        NoAnswerInTime, EngineError: As ``direct``.
    """
    if not any(options.instruction in message.content for message in task.prompt.messages):
        raise InvalidRequest("The strategy cot needs a chat that its instruction was put into.", "search.strategy")
    return await direct(task, ports, DirectOptions(), "cot")
