"""How many traces are kept, where they go, and what happens when that is too much or fails."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import stat
import threading
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from mcts import events
from mcts.errors import StartupError, UnknownSearch
from mcts.ports import Step
from server.metrics import Metrics
from server.traces import store
from server.traces.document import rendered
from server.traces.folder import LineTooLong, TraceFolder, trace_files
from server.traces.recording import Recording
from server.traces.spelling import Spelling
from server.traces.store import MOST_WAITING, SUMMARY_BYTES, Traces
from server.traces.writer import BackgroundWriter
from tests.server.service import CHATS, Service, serving, settings, until
from tests.server.traces import assigned, question, replayed_tree, told_tree

MIB = 2**20
TOKENS = 12


def traces(**changes: Any) -> Traces:
    """A store of its own."""
    return Traces(settings(**changes), Metrics(CollectorRegistry()), now=lambda: 1000.0)


def grow(recording: Recording, nodes: int, text: str = "step") -> None:
    """Feeds a recording the events of a tree of so many nodes, ten children each, every node visited once."""
    numbers = np.arange(TOKENS, dtype=np.int32)
    for number in range(nodes):
        step = Step(
            tuple(16 + number % 50 for _ in range(TOKENS)),
            text,
            np.full(TOKENS, -0.1, dtype=np.float32),
            np.tile(numbers[:5], (TOKENS, 1)),
            np.full((TOKENS, 5), -1.7, dtype=np.float32),
            None,
        )
        parent = (number - 1) // 10 if number else None
        recording(
            events.NodeAdded(
                number, parent, 1, f"{text} {number}", TOKENS, terminal=False, prior=0.9, seconds=number / 1000,
                steps=(step,) if number else (),
            )
        )  # fmt: skip
        recording(events.PathScored(number, 0.123456789, (0.5,), finished=True, seconds=number / 1000))
        recording(events.BackedUp(number, 1, 0.123456789, number / 1000))


def dropped(traces_of: Service, reason: str) -> float:
    """Traces lost for a reason."""
    value = traces_of.runtime.metrics.registry.get_sample_value("mcts_traces_dropped_total", {"reason": reason})
    return value or 0.0


async def listed(service: Service, **query: Any) -> list[dict[str, Any]]:
    """The list of searches."""
    reply = await service.client.get("/v1/searches", params=query)
    assert reply.status_code == 200, reply.text
    return list(reply.json()["data"])


async def test_only_the_latest_searches_are_kept() -> None:
    """The oldest gives way; its trace is a 404 from then on."""
    async with serving(trace_searches=3) as service:
        ids = [(await service.answer(model="abacus:direct"))["search"]["id"] for _ in range(5)]
        assert [each["id"] for each in await listed(service)] == ids[:1:-1]
        gone = await service.client.get(f"/v1/searches/{ids[1]}")
        assert gone.status_code == 404
        assert gone.json()["error"]["code"] == "search_not_found"
        assert (await service.client.get(f"/v1/searches/{ids[2]}")).status_code == 200


def test_memory_is_bounded_by_bytes_too() -> None:
    """Large traces push others out before the count does, unpacked ones by what they take as they are."""
    kept = traces(trace_searches=1000, trace_memory_bytes=MIB)
    for place in range(40):
        recording = kept.begin(assigned(question(search_id=f"s{place}")), 0.0, "")
        grow(recording, 100)
        recording.cancelled()
        assert kept._size <= MIB
    assert kept._size == sum(each.size for each in kept._kept.values())
    kept.close()
    assert list(kept._kept)[-1] == "s39"
    assert all(each.packed for each in kept._kept.values())
    assert kept._size == sum(len(each.packed) + SUMMARY_BYTES for each in kept._kept.values()) <= MIB


def test_a_trace_of_ten_thousand_nodes_is_whole_and_of_bounded_size() -> None:
    """With default settings: all nodes with their tokens, some 640 bytes each as JSON, a tenth of it when packed."""
    kept = traces()
    recording = kept.begin(assigned(question()), 0.0, "")
    grow(recording, 10_000)
    recording.cancelled()
    line = rendered(recording.snapshot(), Spelling(recording.asked.backend.tokenizer), texts=True)
    trace = json.loads(line)
    assert not trace["truncated"]
    assert len(trace["tree"]) == trace["nodes"] == 10_000
    assert len(trace["events"]) == 30_000
    assert replayed_tree(trace) == told_tree(trace)
    assert len(line) < 8 * MIB  # 10,000 x (12 tokens x 17 + 3 events x 80 + 220) bytes
    assert len(line) < recording.cost < 24 * MIB  # what it is taken for in memory is more than what it is as JSON
    assert len(zlib.compress(line, level=1)) < MIB
    kept.close()


def test_what_ends_while_too_many_wait_is_kept_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full queue never makes the server wait: the search stays as it was recorded, and only its line is lost."""
    held, begun = threading.Event(), threading.Event()

    def slow(*args: Any, **more: Any) -> bytes:
        begun.set()
        held.wait(20)
        return rendered(*args, **more)

    monkeypatch.setattr(store, "rendered", slow)
    metrics = Metrics(CollectorRegistry())

    async def main(folder: Path) -> None:
        kept = Traces(settings(trace_searches=1000, trace_folder=str(folder)), metrics, now=lambda: 1000.0)
        kept.begin(assigned(question(search_id="first")), 0.0, "").cancelled()
        assert await asyncio.to_thread(begun.wait, 10)
        for place in range(MOST_WAITING + 5):
            kept.begin(assigned(question(search_id=f"s{place}")), 0.0, "").cancelled()
        assert len(kept.summaries("")) == MOST_WAITING + 6
        assert metrics.registry.get_sample_value("mcts_traces_dropped_total", {"reason": "queue_full"}) == 5
        held.set()
        assert json.loads(await kept.trace(f"s{MOST_WAITING + 4}", ""))["id"] == f"s{MOST_WAITING + 4}"
        kept.close()
        written = [json.loads(line)["id"] for file in trace_files(folder) for line in file.read_bytes().splitlines()]
        assert written == ["first", *(f"s{place}" for place in range(MOST_WAITING))]

    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))


async def test_lines_in_the_folder_are_what_the_api_tells(tmp_path: Path) -> None:
    """One line a search, in the order in which they ended, complete when the server has ended."""
    folder = tmp_path / "made" / "here"
    async with serving(trace_folder=str(folder)) as service:
        ids = [(await service.answer(f"{n} + 1"))["search"]["id"] for n in range(3)]
        told = [(await service.client.get(f"/v1/searches/{each}")).json() for each in ids]
    (file,) = trace_files(folder)
    assert [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n")[:-1]] == told
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_files_are_rotated_and_the_oldest_deleted(tmp_path: Path) -> None:
    """No file is larger than it may be, nor are all together; the newest lines stay; other files are left alone."""
    (tmp_path / "notes.jsonl").write_text("mine")
    folder = TraceFolder(tmp_path, 100, 350, now=lambda: 0.0)
    for place in range(50):
        folder.write(b"%04d" % place + b"x" * 26)  # 31 bytes with its end: three fit a file
        sizes = [each.stat().st_size for each in trace_files(tmp_path)]
        assert max(sizes) <= 100
        assert sum(sizes) <= 350
    folder.close()
    names = [each.name for each in trace_files(tmp_path)]
    assert names == sorted(names)
    assert names[-1] == "searches-19700101T000000Z-0016.jsonl"
    lines = b"".join(each.read_bytes() for each in trace_files(tmp_path)).splitlines()
    assert [int(line[:4]) for line in lines] == list(range(50 - len(lines), 50))
    assert len(lines) >= 9
    assert (tmp_path / "notes.jsonl").read_text() == "mine"


def test_a_restarted_server_goes_on_behind_the_old_files(tmp_path: Path) -> None:
    """What was there counts and is deleted first; a clock that was set back does not change the order."""
    for time, line in ((9_000_000.0, b"old"), (5.0, b"new")):
        folder = TraceFolder(tmp_path, 4, 8, now=lambda time=time: time)  # type: ignore[misc]
        folder.write(line)
        folder.close()
    assert [each.read_bytes() for each in trace_files(tmp_path)] == [b"old\n", b"new\n"]
    folder = TraceFolder(tmp_path, 4, 8, now=lambda: 9_999_999.0)
    folder.write(b"now")
    folder.close()
    assert [each.read_bytes() for each in trace_files(tmp_path)] == [b"new\n", b"now\n"]
    with pytest.raises(LineTooLong):
        folder.write(b"x" * 8)


async def test_a_disk_that_fails_costs_lines_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Answers and traces in memory go on, lost lines are counted and told, and the next one that can be written is."""
    async with serving(trace_folder=str(tmp_path)) as service:
        folder = service.runtime.traces._folder
        assert folder is not None
        opened, real = 0, folder._opened

        def failing() -> Any:
            nonlocal opened
            opened += 1
            if opened <= 2:
                raise OSError(28, "No space left on device")
            return real()

        folder._opened = failing  # type: ignore[method-assign]
        with caplog.at_level(logging.ERROR):
            ids = [(await service.answer(model="abacus:direct"))["search"]["id"] for _ in range(3)]
            await until(lambda: len(trace_files(tmp_path)) == 1)
        assert dropped(service, "write_failed") == 2
        assert "No space left on device" in caplog.text
        assert [each["id"] for each in await listed(service)] == ids[::-1]


async def test_a_trace_that_cannot_be_made_is_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is gone from the lists; the next one is made."""
    async with serving() as service:
        broken = [True]

        def rendered_or_not(*args: Any, **more: Any) -> bytes:
            if broken.pop() if broken else False:
                raise ValueError("no number")
            return rendered(*args, **more)

        monkeypatch.setattr(store, "rendered", rendered_or_not)
        await service.answer(model="abacus:direct")
        await until(lambda: dropped(service, "failed") == 1)
        reply = await service.answer(model="abacus:direct")
        await until(lambda: all(each.packed for each in service.runtime.traces._kept.values()))
        assert [each["id"] for each in await listed(service)] == [reply["search"]["id"]]
    assert "no number" in caplog.text


def test_one_item_that_fails_does_not_end_the_writer(caplog: pytest.LogCaptureFixture) -> None:
    """The thread goes on, in order; closing waits for what waits and then refuses more."""
    done: list[int] = []

    def work(item: int) -> None:
        if item == 1:
            raise RuntimeError("item 1")
        done.append(item)

    writer = BackgroundWriter(work, 10, "worker")
    assert all(writer.offer(item) for item in range(4))
    assert writer.close(10)
    assert done == [0, 2, 3]
    assert "item 1" in caplog.text
    assert not writer.offer(4)
    assert BackgroundWriter(work, 1, "idle").close(0)


@pytest.mark.skipif(os.geteuid() != 0 and not os.access("/proc", os.R_OK), reason="needs /proc")
def test_a_folder_that_cannot_be_made_is_told_at_the_start() -> None:
    """One line that names the setting."""
    with pytest.raises(StartupError, match="trace_folder '/proc/none' cannot be written to"):
        traces(trace_folder="/proc/none")


def test_settings_that_contradict_each_other_are_refused() -> None:
    """A file must fit the folder."""
    with pytest.raises(ValueError, match="trace_file_bytes is above trace_folder_bytes"):
        settings(trace_file_bytes=2 * MIB, trace_folder_bytes=MIB)


@pytest.mark.parametrize(
    ("host", "given", "texts"),
    [
        ("127.0.0.1", None, True),
        ("127.1.2.3", None, True),
        ("::1", None, True),
        ("localhost", None, True),
        ("0.0.0.0", None, False),  # noqa: S104 - nothing listens
        ("::", None, False),
        ("192.168.1.2", None, False),
        ("example.org", None, False),
        ("localhost.example.org", None, False),
        ("0.0.0.0", True, True),  # noqa: S104 - nothing listens
        ("127.0.0.1", False, False),
    ],
)
def test_texts_are_kept_where_only_this_machine_can_ask(host: str, given: bool | None, texts: bool) -> None:
    """By default on a loopback address alone; the setting decides when it is given."""
    assert settings(host=host, trace_texts=given).traces_texts is texts


async def test_traces_can_be_off() -> None:
    """Nothing is recorded, not even while a search runs."""
    async with serving(trace_searches=0) as service:
        reply = await service.answer()
        assert await listed(service) == []
        assert (await service.client.get(f"/v1/searches/{reply['search']['id']}")).status_code == 404
        assert service.runtime.traces._running == {}


async def test_two_hundred_searches_at_once_never_mix() -> None:
    """Each trace holds its own question, its own texts and its own tree, and agrees with its own reply."""
    async with serving(max_searches=200, max_queue=0, trace_searches=200, default_simulations=3) as service:
        asked = [f"What is {place} + 1000?" for place in range(200)]
        bodies = [{"messages": [{"role": "user", "content": each}]} for each in asked]
        replies = await asyncio.gather(*(service.client.post(CHATS, json=body) for body in bodies))
        for text, reply in zip(asked, replies, strict=True):
            search = reply.json()["search"]
            trace = (await service.client.get(f"/v1/searches/{search['id']}")).json()
            assert trace["question"] == text
            assert trace["request_id"] == reply.json()["id"]
            assert all(f"You asked: {text}" in each["text"] for each in trace["candidates"])
            assert {node["text"] for node in trace["tree"] if node["depth"] == 1} == {f"You asked: {text}\n\n"}
            assert len(trace["tree"]) == search["nodes"]
            assert trace["votes"] == search["votes"]
            assert replayed_tree(trace) == told_tree(trace)
        assert len({each["id"] for each in await listed(service, limit=100)}) == 100


async def test_the_store_of_one_key_is_closed_to_others() -> None:
    """Asking for another's search is as asking for none."""
    kept = traces()
    kept.begin(assigned(question(search_id="mine")), 0.0, "key-0").cancelled()
    running = kept.begin(assigned(question(search_id="running")), 0.0, "key-0")
    for search_id in ("mine", "running", "none"):
        with pytest.raises(UnknownSearch):
            await kept.trace(search_id, "key-1")
    assert kept.summaries("key-1") == []
    assert [each["id"] for each in kept.summaries("key-0")] == ["running", "mine"]
    running.cancelled()
    kept.close()
