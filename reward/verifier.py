"""Asks a worker process whether two expressions are the same, remembers what it said, and replaces it when it hangs.

``Verifier`` belongs to a server, ``SearchVerifier`` to one search, whose time for comparisons is limited. Neither ever
raises because of what is asked: what is not known to be the same, for whatever reason, counts as different.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import OrderedDict
from pathlib import Path

from reward.verifier_process import WORKER, TooHard, VerifierProcess

_log = logging.getLogger(__name__)

PAIR_SECONDS = 1.0
"""Longest comparison of two expressions, in processor time. Most take a few hundredths of a second."""

PATIENCE_SECONDS = 3.0
"""Longest wait for it, on a machine that is busy with other things."""

START_SECONDS = 60.0
"""Longest start of a worker, which imports sympy."""

START_TRIES = 3
"""Starts in a row that may fail before no more are made."""

REMEMBERED = 10_000
"""Verdicts kept, the latest used."""

SEARCH_SECONDS = 10.0
"""How long one search may wait for comparisons, all together."""

SEARCH_PAIRS = 256
"""Pairs that one search may ask about: enough for 23 answers of which no two are the same."""

Pair = tuple[str, str]
"""Two expressions in LaTeX. The order counts: the first is what math-verify calls gold."""


class Verifier:
    """Compares expressions in a worker process, one pair at a time, in the order in which they are asked about.

    All of it happens in one event loop, which is never held up: the worker is waited for, and killed when it takes too
    long. A killed worker is replaced at once; so is one that ended by itself, and then the pair is asked again.

    Args:
        seconds: Longest comparison of a pair in processor time, above 0. Higher values decide harder pairs and let
            hostile ones hold up the others longer.
        patience: Longest wait for it, above ``seconds``. Higher values bear more load from others on the machine.
        program: The worker's file.
        remembered: How many verdicts are kept.
    """

    def __init__(
        self,
        seconds: float = PAIR_SECONDS,
        patience: float = PATIENCE_SECONDS,
        program: Path = WORKER,
        remembered: int = REMEMBERED,
    ) -> None:
        self._seconds, self._patience, self._program, self._remembered = seconds, patience, program, remembered
        self._verdicts: OrderedDict[Pair, bool] = OrderedDict()
        self._deciding: dict[Pair, asyncio.Task[bool]] = {}
        self._turn = asyncio.Lock()
        self._worker: asyncio.Task[VerifierProcess | None] | None = None
        self._failed_starts = 0
        self._closed = False

    def warm(self) -> None:
        """Begins to start the worker, where there is none, without waiting for it."""
        if self._worker is None and not self._closed and self._failed_starts < START_TRIES:
            starting = VerifierProcess.start(self._program, START_SECONDS)
            self._worker = asyncio.create_task(starting, name="verifier")

    def known(self, gold: str, answer: str) -> bool | None:
        """The verdict on a pair, where there is one already."""
        verdict = self._verdicts.get((gold, answer))
        if verdict is not None:
            self._verdicts.move_to_end((gold, answer))
        return verdict

    async def same(self, gold: str, answer: str) -> bool:
        """Whether two expressions in LaTeX are the same.

        Cancelling it leaves the worker alone: what is being decided is decided, and remembered.

        Args:
            gold: What is taken for right. math-verify is not symmetric: ``x ≤ 3`` is found in ``(-∞, 3]``, and not
                the other way round.
            answer: What is compared with it.
        """
        pair = (gold, answer)
        verdict = self.known(gold, answer)
        if verdict is not None or self._closed:
            return bool(verdict)
        task = self._deciding.get(pair)
        if task is None:
            task = self._deciding[pair] = asyncio.create_task(self._decided(pair), name="comparison")
            task.add_done_callback(lambda _: self._deciding.pop(pair, None))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Ends the worker. Whatever is asked from now on is not known to be the same."""
        self._closed = True
        tasks = list(self._deciding.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        starting, self._worker = self._worker, None
        if starting is not None:
            starting.cancel()  # of no effect on one that has started
            started = (await asyncio.gather(starting, return_exceptions=True))[0]
            if isinstance(started, VerifierProcess):
                await started.kill()

    async def _decided(self, pair: Pair) -> bool:
        try:
            return await self._decide(pair)
        except asyncio.CancelledError:  # by ``close``: whoever waits for the verdict is not cancelled by that
            return False

    async def _decide(self, pair: Pair) -> bool:
        async with self._turn:
            for _ in range(2):
                worker = await self._started()
                if worker is None:
                    return False  # and not remembered: the next may start
                try:
                    verdict = await worker.ask(*pair, self._seconds, self._patience)
                except TooHard:
                    _log.warning("a comparison of two answers took longer than %g s and was given up", self._seconds)
                    await self._replace(worker)
                    break
                except TimeoutError:
                    _log.warning("no word on two answers for %g s: the comparison was given up", self._patience)
                    await self._replace(worker)
                    return False  # and not remembered: on a machine that is less busy it may be decided
                if verdict is not None:
                    return self._remember(pair, verdict)
                await self._replace(worker)
            return self._remember(pair, verdict=False)

    async def _started(self) -> VerifierProcess | None:
        """The worker, once it is ready; None where it does not start."""
        self.warm()
        if self._worker is None:
            return None
        worker = await self._worker
        if worker is not None:
            self._failed_starts = 0
            return worker
        self._worker = None
        self._failed_starts += 1
        if self._failed_starts == START_TRIES:
            _log.error("math-verify does not start: from now on answers are compared exactly only")
        return None

    async def _replace(self, worker: VerifierProcess) -> None:
        """Kills a worker and starts another, which the next pair waits for."""
        self._worker = None
        await worker.kill()
        self.warm()

    def _remember(self, pair: Pair, verdict: bool) -> bool:
        self._verdicts[pair] = verdict
        if len(self._verdicts) > self._remembered:
            self._verdicts.popitem(last=False)
        return verdict


class SearchVerifier:
    """A verifier as one search sees it: its pairs and its waiting are limited, and no verdict ever changes.

    Comparisons of one search run one after the other, so that waiting is counted once. When its time or its pairs are
    spent, what nobody has decided yet counts as different.

    Args:
        verifier: Who decides.
        seconds: How long the search may wait in all.
        pairs: How many pairs it may ask about.
        until: Seconds from now after which it waits no more; None is no such limit.
    """

    def __init__(
        self,
        verifier: Verifier,
        seconds: float = SEARCH_SECONDS,
        pairs: int = SEARCH_PAIRS,
        until: float | None = None,
    ) -> None:
        self._verifier, self._seconds, self._pairs = verifier, seconds, pairs
        self._end = math.inf if until is None else asyncio.get_running_loop().time() + until
        self._verdicts: dict[Pair, bool] = {}
        self._turn = asyncio.Lock()

    async def same(self, gold: str, answer: str) -> bool:
        """Whether two expressions in LaTeX are the same, as far as this search can know."""
        async with self._turn:
            pair = (gold, answer)
            if pair not in self._verdicts:
                known = self._verifier.known(gold, answer)
                self._verdicts[pair] = await self._ask(gold, answer) if known is None else known
            return self._verdicts[pair]

    async def _ask(self, gold: str, answer: str) -> bool:
        clock = asyncio.get_running_loop().time
        began = clock()
        left = min(self._seconds, self._end - began)
        if left <= 0 or self._pairs <= 0:
            return False
        self._pairs -= 1
        try:
            async with asyncio.timeout(left):
                return await self._verifier.same(gold, answer)
        except TimeoutError:
            return False
        finally:
            self._seconds -= clock() - began
