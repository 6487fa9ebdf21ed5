"""Whole searches against golden trees; ``golden_trees.py`` says how to write them anew."""

import json

import pytest

from tests.mcts.golden_trees import golden_files, grown


@pytest.mark.parametrize("file", golden_files(), ids=lambda file: file.stem)
def test_a_search_grows_the_golden_tree(file):
    """Same configuration, same seed: the same tree, tallies and costs as ever."""
    golden = json.loads(file.read_text())
    assert grown(golden["configuration"]) == golden["expected"]


def test_there_are_golden_trees():
    """The files were found."""
    assert len(golden_files()) >= 6
