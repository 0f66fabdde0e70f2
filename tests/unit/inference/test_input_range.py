"""inference/input_range.py: what first layers do to a pixel value tells which range they want."""

import pytest

from inference.input_range import InputRange, choose_range, nearest_range

ZERO_TO_ONE, ZERO_TO_255, MINUS_ONE_TO_ONE = InputRange
IMAGENET = {"mean": 0.449, "deviation": 0.226}  # means over the channels, of values from 0 to 1


def chain(*layers: tuple[float, float]) -> list[tuple[float, float]]:
    """The scale and offset of each layer together with those before it."""
    maps = [(1.0, 0.0)]
    for scale, offset in layers:
        maps.append((scale * maps[-1][0], scale * maps[-1][1] + offset))
    return maps


def standardizing(mean: float, deviation: float) -> tuple[float, float]:
    """``Normalization(mean=mean, variance=deviation**2)``."""
    return 1 / deviation, -mean / deviation


@pytest.mark.parametrize(
    ("layers", "wanted"),
    [
        ([(1 / 255, 0)], ZERO_TO_255),
        ([(1 / 256, 0)], ZERO_TO_255),
        ([(1 / 127.5, -1)], ZERO_TO_255),
        ([(1 / 127.5, 0), (1, -1)], ZERO_TO_255),
        ([(1 / 128, -1)], ZERO_TO_255),
        ([(1 / 255, -0.5)], ZERO_TO_255),
        ([(1 / 255, 0), standardizing(**IMAGENET)], ZERO_TO_255),
        ([(1 / 255, 0), (1, 0), (1 / 0.226**0.5, 0)], ZERO_TO_255),  # EfficientNet, its Normalization not adapted
        ([(1, -114.8)], ZERO_TO_255),  # caffe
        ([(1, -128), (1 / 128, 0)], ZERO_TO_255),
        ([standardizing(120, 65)], ZERO_TO_255),
        ([standardizing(30, 20)], ZERO_TO_255),  # of photos at night
        ([(1 / 255, 0), (1 / 255, 0)], ZERO_TO_255),  # a mistake, but the network learned with it
        ([standardizing(**IMAGENET)], ZERO_TO_ONE),
        ([standardizing(0.12, 0.08)], ZERO_TO_ONE),
        ([(2, -1)], ZERO_TO_ONE),
        ([(1, -0.5)], ZERO_TO_ONE),
        ([(1, -0.5), (2, 0)], ZERO_TO_ONE),
        ([(255, 0)], ZERO_TO_ONE),
        ([(255, 0), (1 / 127.5, 0), (1, -1)], ZERO_TO_ONE),
        ([(255, 0), (1 / 255, 0)], ZERO_TO_ONE),  # EfficientNet in a script that divides by 255
        ([(255, 0), (1, -114.8)], ZERO_TO_ONE),
        ([(0.5, 0.5)], MINUS_ONE_TO_ONE),
        ([(1, 1), (127.5, 0)], MINUS_ONE_TO_ONE),
        ([(127.5, 127.5), (1 / 127.5, -1)], MINUS_ONE_TO_ONE),  # MobileNetV3 in a script that scales to [-1, 1]
        ([standardizing(-0.1, 0.45)], MINUS_ONE_TO_ONE),
    ],
)
def test_the_range_that_layers_bring_to_a_usual_one_is_wanted(layers, wanted):
    assert nearest_range(chain(*layers)) is wanted


def test_layers_that_change_nothing_say_nothing():
    assert nearest_range([]) is None
    assert nearest_range(chain((1, 0), (1, 0))) is None
    assert nearest_range(chain((0.2989 + 0.587 + 0.114, 0))) is None  # made gray
    assert nearest_range(chain((1 / 1.001**0.5, 0))) is None  # a BatchNormalization that was not trained


def test_all_branches_of_an_ensemble_are_heard():
    raw, efficientnet = chain(), chain((255, 0), (1 / 255, 0))
    assert nearest_range(raw + efficientnet) is ZERO_TO_ONE
    assert nearest_range(chain((1 / 255, 0)) + chain((1 / 127.5, -1)) + raw) is ZERO_TO_255


@pytest.mark.parametrize(
    ("setting", "found", "chosen", "sentence"),
    [
        (ZERO_TO_ONE, ZERO_TO_255, ZERO_TO_ONE, "pixel values from 0 to 1, as BIRD_INPUT_RANGE says."),
        (None, ZERO_TO_255, ZERO_TO_255, "pixel values from 0 to 255, as its first layers ask for."),
        (None, MINUS_ONE_TO_ONE, MINUS_ONE_TO_ONE, "pixel values from -1 to 1, as its first layers ask for."),
        (None, None, ZERO_TO_ONE, "pixel values from 0 to 1: its first layers do not say what it wants."),
    ],
)
def test_the_setting_wins_and_without_a_hint_0_to_1_is_assumed(setting, found, chosen, sentence):
    input_range, reason = choose_range(setting, found)
    assert input_range is chosen
    assert reason.startswith(f"The network is given {sentence}")
