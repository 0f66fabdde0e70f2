"""settings.py: a setting that cannot be used stops the start with one line. tests/unit/test_settings.py has all."""

import pytest

from tests.support.servers import one_line_refusal


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"BIRD_MAX_CONTENT_LENGTH": "10MB"}, "BIRD_MAX_CONTENT_LENGTH must be a number of bytes, not '10MB'."),
        ({"BIRD_MAX_PIXELS": "50MP"}, "BIRD_MAX_PIXELS must be a number of pixels, not '50MP'."),
        ({"BIRD_MAX_FORM_MEMORY_SIZE": "65536"}, "BIRD_MAX_FORM_MEMORY_SIZE must be at least 131072"),
        ({"BIRD_MAX_WAITING": "many"}, "BIRD_MAX_WAITING must be a number of photos, not 'many'."),
        ({"BIRD_MAX_WAITING": "-1"}, "BIRD_MAX_WAITING must be a number of photos, not -1."),
        ({"BIRD_PRECISION": "float16"}, "BIRD_PRECISION must be auto or one of int8, float32, bfloat16"),
        ({"PORT": "http"}, "PORT must be a number from 1 to 65535, not 'http'."),
        ({"BIRD_MODEL": ""}, "BIRD_MODEL is empty."),
        ({"BIRD_UPLOADS": "/dev/null/uploads"}, "BIRD_UPLOADS=/dev/null/uploads cannot be used: Not a directory."),
        ({"BIRD_RATE_LIMIT": "60 photos"}, "BIRD_RATE_LIMIT must be a number of uploads in a time, such as 60 per min"),
        ({"BIRD_UNSURE_BELOW": "40 %"}, "BIRD_UNSURE_BELOW must be a confidence from 0 to 1, not '40 %'."),
        ({"BIRD_PROXIES": "-1"}, "BIRD_PROXIES must be a number of proxies, not -1."),
    ],
)
def test_a_setting_that_cannot_be_used_stops_the_start(tmp_path, options, sentence):
    assert sentence in one_line_refusal(tmp_path / "uploads", **options)
