"""jobs/retry_after.py: after how many seconds somebody who was refused should come again."""

from jobs.retry_after import when_it_is_back, when_queue_is_empty


def test_those_who_are_refused_together_do_not_come_again_together():
    assert {when_queue_is_empty(33, 0.1) for _ in range(300)} == {4, 5, 6, 7, 8}


def test_a_short_queue_spreads_them_over_three_seconds():
    assert {when_queue_is_empty(1, 0.1) for _ in range(300)} == {1, 2, 3}


def test_those_who_found_nobody_do_not_come_again_together_either():
    assert {when_it_is_back() for _ in range(300)} == {5, 6, 7, 8, 9, 10}
