"""Rules of the command line."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from evals.__main__ import arguments, evaluate, problems_of
from evals.measure import Bench, Measured
from reward.answers import StandardAnswers


def test_suites_ask_parts_of_the_count() -> None:
    """300 problems: all in main, half in quarter, 45 in family; parts are rounded up, so that none is empty."""
    options = arguments([])
    assert [problems_of(options, suite) for suite in ("main", "modes", "quarter", "family")] == [300, 45, 150, 45]
    assert problems_of(arguments(["--count", "4"]), "family") == 1


def test_one_suite_can_ask_more() -> None:
    """Its own number takes the place of its part."""
    options = arguments(["--count", "100", "--problems", "family=90", "modes=7"])
    assert [problems_of(options, suite) for suite in ("main", "modes", "family")] == [100, 7, 90]


@pytest.mark.parametrize("wrong", ["family", "family=", "family=0", "family=-1", "all=3", "family=x"])
def test_a_malformed_number_is_refused(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One clear line that says what was expected."""
    with pytest.raises(SystemExit):
        arguments(["--problems", wrong])
    assert "expected SUITE=N" in capsys.readouterr().err


def test_the_help_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    """Asking for help prints it, parts of the count in per cent included."""
    with pytest.raises(SystemExit) as ended:
        arguments(["--help"])
    assert ended.value.code == 0
    assert "main 100%, modes 15%" in " ".join(capsys.readouterr().out.split())


async def test_votes_are_taken_again_with_algebra_as_servers_take_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The evaluation's own verifier is there for a suite and closed after it."""
    seen: list[StandardAnswers] = []

    async def measured(bench: Bench, *_: Any) -> Measured:
        assert isinstance(bench.answers, StandardAnswers)
        assert bench.answers.verifier is not None
        assert not bench.answers.verifier._closed
        seen.append(bench.answers)
        return Measured((), 0.0)

    monkeypatch.setattr("evals.__main__.measure", measured)
    options = arguments(["--count", "1", "--kind", "word", "--out", str(tmp_path)])
    await evaluate(options, "main", "http://test", "s", Console(file=io.StringIO()))
    assert seen[0].verifier is not None
    assert seen[0].verifier._closed
