"""Rules of the command line."""

from __future__ import annotations

import pytest

from evals.__main__ import arguments, problems_of


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
