"""One worker process, such as that which compares expressions, as its parent sees it: started, asked, killed.

The process is started as a program of its own, never forked from this one, which has threads. It talks over pipes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

_log = logging.getLogger(__name__)

WORKER = Path(__file__).with_name("verifier_worker.py")

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "SYSTEMROOT")
"""What the worker sees of the environment: what Python needs, and no keys."""


_OUT_OF_TIME = getattr(signal, "SIGPROF", 0)


class TooHard(Exception):
    """A comparison that takes more processor time than it may, on any machine and whatever else that is at."""


class VerifierProcess:
    """A running worker. Asked one question at a time; whoever got no reply to one must kill it.

    Args:
        process: Its process, with pipes to standard input and output.
    """

    def __init__(self, process: Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("the worker's process has no pipes")
        self._process, self._questions, self._replies = process, process.stdin, process.stdout

    @classmethod
    async def start(cls, program: Path, seconds: float) -> Self | None:
        """Starts a worker and waits until it is ready; None, with a line in the log, where it does not come up.

        Args:
            program: The worker's file.
            seconds: Longest wait.
        """
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        command = (
            sys.executable,
            "-P",
            str(program),
        )  # -P: its folder holds modules that are not for import from there
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=environment, start_new_session=True
            )  # in a session of its own: Ctrl-C in the server's terminal is not meant for it
        except OSError as error:
            _log.warning("the process %s does not start: %s", program.stem, error)
            return None
        worker = cls(process)
        try:
            ready = await worker._reply(seconds)
        except TimeoutError:
            ready = None
        except BaseException:
            await worker.kill()
            raise
        if ready != {"ready": True}:
            await worker.kill()
            _log.warning("the process %s was not ready within %g s, or ended", program.stem, seconds)
            return None
        return worker

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def ask(self, gold: str, answer: str, seconds: float, patience: float) -> bool | None:
        """Whether two expressions in LaTeX are the same; None when the process has ended for no reason of theirs.

        Args:
            gold: What is taken for right.
            answer: What is compared with it.
            seconds: Longest computation, in processor time; the process ends itself after it.
            patience: Longest wait for the reply.

        Raises:
            TooHard: The processor time was not enough.
            TimeoutError: The wait was not enough, which says little about the pair: the machine may be busy.
        """
        reply = await self.reply_to({"gold": gold, "answer": answer, "seconds": seconds}, patience)
        return None if reply is None else reply.get("same") is True

    async def reply_to(self, question: Mapping[str, Any], patience: float) -> dict[str, Any] | None:
        """What it says to any question; None when the process has ended for no reason of the question's.

        Args:
            question: With ``seconds``, its longest computation in processor time.
            patience: Longest wait for the reply.

        Raises:
            TooHard: The processor time was not enough.
            TimeoutError: The wait was not enough.
        """
        try:
            self._questions.write((json.dumps(question) + "\n").encode())
            await self._questions.drain()
            reply = await self._reply(patience)
        except ConnectionError:
            reply = None
        if reply is not None:
            return reply
        async with asyncio.timeout(patience):
            if await self._process.wait() == -_OUT_OF_TIME:
                raise TooHard
        return None

    async def kill(self) -> None:
        """Ends it at once, whatever it is at."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._questions.close()
        await self._process.wait()

    async def _reply(self, seconds: float) -> dict[str, Any] | None:
        """The next line it writes; None when there is none, or it is no reply."""
        async with asyncio.timeout(seconds):
            line = await self._replies.readline()
        try:
            reply = json.loads(line)
        except ValueError:
            return None
        return reply if isinstance(reply, dict) else None
