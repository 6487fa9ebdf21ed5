"""Checks clients' JSON Schemas in a worker process, under limits in time and memory, before anything else sees them."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from pathlib import Path

from mcts.errors import InvalidRequest, NotReady
from reward.verifier_process import TooHard, VerifierProcess

_log = logging.getLogger(__name__)

WORKER = Path(__file__).with_name("form_worker.py")

CHECK_SECONDS = 0.5
"""Longest check, in processor time. Schemas of everyday use take thousandths of a second."""

PATIENCE_SECONDS = 10.0
"""Longest wait for it, on a machine that is busy with other things."""

START_SECONDS = 60.0
"""Longest start of a worker."""

REMEMBERED = 1000
"""Verdicts kept, the latest used."""

TOO_COMPLEX = "the schema is too complex to be checked in time"


class FormChecker:
    """Tells whether schemas can be used, one at a time. The worker is started by the first that is asked about.

    Args:
        seconds: Longest check of a schema in processor time, above 0. Higher lets larger schemas in and hostile ones
            hold up the others longer.
        patience: Longest wait for it, above ``seconds``.
        program: The worker's file.
    """

    def __init__(
        self, seconds: float = CHECK_SECONDS, patience: float = PATIENCE_SECONDS, program: Path = WORKER
    ) -> None:
        self._seconds, self._patience, self._program = seconds, patience, program
        self._faults: OrderedDict[str, str] = OrderedDict()
        self._turn = asyncio.Lock()
        self._worker: VerifierProcess | None = None

    async def check(self, schema: str, param: str) -> None:
        """Refuses a schema that the engine could not compile, or not in time.

        Args:
            schema: As JSON.
            param: The request's field that it comes from.

        Raises:
            InvalidRequest: It cannot be compiled, or takes too long.
            NotReady: The worker does not start or does not answer.
        """
        async with self._turn:
            if schema not in self._faults:
                self._remember(schema, await self._ask(schema))
            self._faults.move_to_end(schema)
            fault = self._faults[schema]
        if fault:
            raise InvalidRequest(f"{param}: {fault}", param)

    async def close(self) -> None:
        """Ends the worker."""
        worker, self._worker = self._worker, None
        if worker:
            await worker.kill()

    async def _ask(self, schema: str) -> str:
        try:
            worker = self._worker or await self._start()
            reply = await worker.reply_to({"schema": schema, "seconds": self._seconds}, self._patience)
        except TooHard:
            reply = None
        except TimeoutError:  # says little about the schema: the machine may be busy
            await self.close()
            raise NotReady("The process that checks schemas does not answer.") from None
        except BaseException:  # such as a client that goes away: a late reply would be taken for the next one's
            await self.close()
            raise
        if reply is None:  # it ran out of time or of memory, or crashed, by what it was asked
            await self.close()
            return TOO_COMPLEX
        return str(reply.get("fault", ""))

    async def _start(self) -> VerifierProcess:
        self._worker = await VerifierProcess.start(self._program, START_SECONDS)
        if self._worker is None:
            raise NotReady("The process that checks schemas does not start.")
        return self._worker

    def _remember(self, schema: str, fault: str) -> None:
        self._faults[schema] = fault
        if len(self._faults) > REMEMBERED:
            self._faults.popitem(last=False)
        if fault == TOO_COMPLEX:
            _log.warning("a client's JSON Schema was too complex to be checked and was refused")
