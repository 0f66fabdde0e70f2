"""benchmarks/table.py: the table that the benchmarks print."""

import pytest

from benchmarks.table import APP, PLAIN, TENSORFLOW, compare, ratios


@pytest.mark.parametrize(("word", "ratio"), [("as fast", "2.00"), ("as many", "0.50"), ("as much", "0.50")])
def test_the_app_is_compared_with_each_of_the_others_by_medians(word, ratio):
    values = {PLAIN: [1, 20, 500], TENSORFLOW: [20], APP: [10]}
    assert ratios(values, word) == [f"{ratio} times {word}"] * 2


def test_what_was_not_measured_has_an_empty_cell(capsys):
    compare("answer", {TENSORFLOW: [30.0, 20.0, 50.0], APP: [10.0]})
    compare("bfloat16", {TENSORFLOW: [20.0]})
    assert capsys.readouterr().out.splitlines() == [
        "| answer |  | 30 ms (20 to 50) | 10.00 ms (10.00 to 10.00) |  | 3.00 times as fast |",
        "| bfloat16 |  | 20 ms (20 to 20) |  |  |  |",
    ]
