"""inference/sentences.py: English that can be translated later."""

import json
import pickle

import pytest

from inference.errors import TooManyPixelsError
from inference.sentences import Sentence, counted, sentence_of

NESTED = Sentence("%(what)s Try %(times)s times.", what=counted("1 photo.", "%(num)s photos.", 3), times=2)


def test_it_is_english():
    assert NESTED == "3 photos. Try 2 times."
    assert [counted("1 photo.", "%(num)s photos.", number) for number in (0, 1)] == ["0 photos.", "1 photo."]
    assert Sentence("100 % right.") == "100 % right."
    assert Sentence("About %(share)s %%.", share=2.5) == "About 2.5 %."


def test_a_constant_gets_its_values_later():
    assert Sentence("It is %(what)s.").given(what="red") == "It is red."


@pytest.mark.parametrize("sentence", [NESTED, Sentence("100 % right.")])
def test_it_survives_a_journey_as_json_and_to_another_process(sentence):
    for copy in (Sentence.from_json(json.loads(json.dumps(sentence.to_json()))), pickle.loads(pickle.dumps(sentence))):
        assert (copy, copy.text, copy.many, copy.values) == (sentence, sentence.text, sentence.many, sentence.values)


def test_an_error_keeps_its_sentence():
    error = TooManyPixelsError(2_500_000)
    assert str(error) == sentence_of(error)
    assert "more than 2.5 million pixels" in str(error)
    assert sentence_of(error).values == {"millions": 2.5}
    assert sentence_of(ValueError()) == ""
