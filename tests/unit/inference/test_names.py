"""inference/names.py: labels that were written for programs, as names for people."""

import pytest

from inference.names import species_name, species_names


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("003.Sooty_Albatross", "Sooty Albatross"),
        ("001.Black_footed_Albatross", "Black footed Albatross"),
        ("Sooty_Albatross", "Sooty Albatross"),
        ("american_goldfinch", "american goldfinch"),
        ("n01530575_brambling", "brambling"),
        ("n02085620-Chihuahua", "Chihuahua"),
        ("12_house-sparrow", "house-sparrow"),
        ("0_robin", "robin"),
        ("1. Robin", "Robin"),
        ("012-House Sparrow", "House Sparrow"),
        ("01 - House Sparrow", "House Sparrow"),
        ("003.白鷺", "白鷺"),
        ("American%20Goldfinch", "American Goldfinch"),
        ("00042_Animalia_Chordata_Aves_Passeriformes_Paridae_Parus_major", "Parus major"),
    ],
)
def test_a_label_written_for_programs_is_shown_as_a_name(label, name):
    assert species_name(label) == name


@pytest.mark.parametrize(
    "label",
    [
        "Black-footed Albatross",
        "Clark's Nutcracker",
        "Rüppell's Vulture",
        "St. Helena Plover",
        "3-toed woodpecker",
        "2 Barred Crossbill",
        "C. corax",
        "白鷺",
        "AMERICAN GOLDFINCH",  # which small letters it has is not known: CLARKS NUTCRACKER has lost an apostrophe, too
        "AMGO",
        "bird 5",
        "50% grey",
        "100%25",
        "%E2%80%AEgull",  # would turn the direction of the text after it
        "%ff",
    ],
)
def test_a_name_stays_as_it_is(label):
    assert species_name(label) == label


@pytest.mark.parametrize("label", ["0", "007", "12_34", "n01530575", "___", "4."])
def test_a_label_without_a_word_stays_as_it_is(label):
    assert species_name(label) == label


def test_labels_that_would_have_the_same_name_stay_as_they_are():
    labels = ("001.Gull", "002.gull", "003.Sooty_Albatross")
    assert species_names(labels) == {"001.Gull": "001.Gull", "002.gull": "002.gull", labels[2]: "Sooty Albatross"}


def test_a_number_that_may_belong_to_the_name_stays_where_labels_are_not_numbered():
    labels = ("3_toed_Woodpecker", "2_barred_crossbill", "Sooty_Albatross", "House_Sparrow")
    assert list(species_names(labels).values()) == [
        "3 toed Woodpecker",
        "2 barred crossbill",
        "Sooty Albatross",
        "House Sparrow",
    ]


def test_a_number_before_each_label_is_not_part_of_the_name():
    labels = ("0_crested_tit", "1_robin", "2_wren", "background")
    assert list(species_names(labels).values()) == ["crested tit", "robin", "wren", "background"]
