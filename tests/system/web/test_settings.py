"""A setting that cannot be used stops the start with one line."""

import pytest

from tests.support.servers import one_line_refusal


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"BIRD_RATE_LIMIT": "60 photos"}, "BIRD_RATE_LIMIT must be a number of uploads in a time, such as 60 per min"),
        ({"BIRD_UNSURE_BELOW": "40 %"}, "BIRD_UNSURE_BELOW must be a confidence from 0 to 1, not '40 %'."),
        ({"BIRD_PROXIES": "-1"}, "BIRD_PROXIES must be a number of proxies, not -1."),
    ],
)
def test_a_setting_that_cannot_be_used_stops_the_start(tmp_path, options, sentence):
    assert sentence in one_line_refusal(tmp_path / "uploads", **options)
