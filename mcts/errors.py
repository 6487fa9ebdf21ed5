"""Every error Espalier raises on purpose, split by who is at fault.

    EspalierError
    ├── ClientError                 the request is wrong; repeating it unchanged is pointless
    │   ├── InvalidRequest          a field is malformed, out of range or unsupported (names the field)
    │   ├── PromptTooLong           prompt plus requested tokens do not fit the model
    │   ├── Unauthorized            no key, or a wrong one
    │   ├── UnknownModel            no such model or preset
    │   └── UnknownSearch           no search of that id is kept
    └── ServerError                 the machine is at fault
        ├── StartupError            settings, model folder or memory: the server cannot start
        ├── NotReady                starting or draining
        ├── Overloaded              no room for another search
        ├── NoAnswerInTime          the deadline passed before any candidate existed
        ├── EngineError             the generation engine failed
        │   ├── EngineCallFailed    this call failed; another may succeed
        │   └── EngineDead          no call will succeed until the engine is restarted
        └── RewardError             the reward engine failed
            ├── RewardCallFailed    this call failed; another may succeed
            ├── RewardDead          no call will succeed until it is restarted
            ├── StepMismatch        a reward model gave another number of scores than there are steps
            ├── VerdictUnreadable   a judge wrote no score that can be read
            └── OutOfTokens         the budget has no room for a judge's verdict; ends the search like any limit

Only ``server`` knows HTTP statuses; it maps this tree in one place. A fact about the text (too long, no answer) is data
on the result, never an exception.
"""


class EspalierError(Exception):
    """Base of all errors raised on purpose. ``str(error)`` is safe to show to a client."""


class ClientError(EspalierError):
    """The request is at fault."""


class InvalidRequest(ClientError):
    """A field of the request is malformed, out of range or unsupported.

    Args:
        message: What is wrong and what would be right, in one sentence.
        param: The field's dotted name, such as ``search.budget.seconds``; None when no single field is at fault.
    """

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class PromptTooLong(InvalidRequest):
    """The prompt and the tokens asked for do not fit the model's context."""


class Unauthorized(ClientError):
    """No key, or a wrong one."""


class UnknownModel(ClientError):
    """No such model or preset is served."""


class UnknownSearch(ClientError):
    """No search of that id is kept: there was none, or its trace has given way to later ones."""


class ServerError(EspalierError):
    """The machine is at fault."""


class StartupError(ServerError):
    """The server cannot start: settings, model folder, architecture or memory."""


class NotReady(ServerError):
    """The server is starting or draining."""


class Overloaded(ServerError):
    """There is no room for another search now.

    Args:
        message: One sentence.
        retry_after: Seconds after which trying again is sensible; at least 1.
    """

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NoAnswerInTime(ServerError):
    """The deadline or budget ended before any candidate existed."""


class EngineError(ServerError):
    """The generation engine failed."""


class EngineCallFailed(EngineError):
    """One call to the engine failed; another may succeed."""


class EngineDead(EngineError):
    """The engine is gone: no call will succeed until it is restarted."""


class RewardError(ServerError):
    """The reward engine failed."""


class RewardCallFailed(RewardError):
    """One call to the reward engine failed; another may succeed."""


class PathTooLong(RewardCallFailed):
    """A path is longer than the reward model reads. Asking again is of no use."""


class RewardDead(RewardError):
    """The reward engine is gone: no call will succeed until it is restarted."""


class StepMismatch(RewardError):
    """A reward model gave another number of scores than there are steps. Never papered over with a neutral score."""


class VerdictUnreadable(RewardError):
    """A judge was asked repeatedly and wrote no score that can be read. Never papered over with a neutral score."""


class OutOfTokens(RewardError):
    """The search's token budget has no room for what a reward would have to write."""
