"""The capacity calculator, against sums done by hand."""

from __future__ import annotations

import pytest

from k8s.capacity import Engine, Load, main, plan


def test_a_load_worked_out_by_hand() -> None:
    """Two searches a second of 32 simulations, two answers of 300 tokens each: 19,200 tokens a search, 38,400 a second.

    An engine of 8,000 tokens a second, planned to 70%, gives 5,600: 6.86, so seven engines, which bear
    7 x 5,600 / 19,200 = 2.04 searches a second. 64 at once share 8,000 tokens: 64 x 19,200 / 8,000 = 153.6 s each.
    """
    load = Load(searches_per_second=2, answers=64, answer_tokens=300)
    found = plan(load, Engine(tokens_per_second=8000, searches=64, used=0.7))
    assert load.tokens_per_search == 19_200
    assert found.engines == 7
    assert found.capacity == pytest.approx(2.0416667)
    assert found.seconds == pytest.approx(153.6)
    assert found.at_once == pytest.approx(307.2)


def test_an_exact_fit_needs_no_engine_more() -> None:
    """Ten searches of 100 tokens a second fit one engine of 1,000 tokens that is used wholly."""
    assert plan(Load(10, 1, 100), Engine(1000, 8, 1.0)).engines == 1


@pytest.mark.parametrize("load", [Load(0, 1, 1), Load(1, 0, 1), Load(1, 1, -1)])
def test_figures_must_make_sense(load: Load) -> None:
    """Nothing is planned from nothing."""
    with pytest.raises(ValueError, match="above 0"):
        plan(load, Engine(1000, 8, 0.7))


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    """The same figures in the terminal; a faulty call ends with 2."""
    flags = ["--rate", "2", "--engine-tokens", "8000", "--answer-tokens", "300"]
    assert main([*flags, "--simulations", "32"]) == 0
    assert "19,200" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(flags)
    assert ended.value.code == 2
