"""names/matching.py: which species a label means."""

import csv
from pathlib import Path

import pytest

from inference.labels import load_labels
from names.labels import find_names
from names.matching import ALIASES_FILE, How, match_labels
from names.spelling import key
from names.table import read_table
from settings import DEFAULTS

#: With these, most labels are surely birds, so that the rules that are less sure are tried, too.
BIRDS = ("Emu", "Mallard", "Blue Jay", "Barn Swallow")


@pytest.fixture(scope="module")
def table():
    return read_table()


def scientific(table, label):
    """The scientific name of the species or the taxon that a label means, and how it was found."""
    rows, how = match_labels((*BIRDS, label), table).get(label, ((), None))
    return (table.scientific[rows[0]] if len(rows) == 1 else table.taxon(rows)) if rows else None, how


@pytest.mark.parametrize(
    ("label", "name", "how"),
    [
        ("Abbott's Booby", "Papasula abbotti", How.ENGLISH),
        ("005.Crested_Auklet", "Aethia cristatella", How.ENGLISH),
        ("Parus major", "Parus major", How.SCIENTIFIC),
        ("PARUS MAJOR", "Parus major", How.SCIENTIFIC),
        ("Parus_major_newtoni", "Parus major", How.SCIENTIFIC),
        ("00042_Animalia_Chordata_Aves_Passeriformes_Paridae_Parus_major", "Parus major", How.SCIENTIFIC),
        ("ABBOTTS BOOBY", "Papasula abbotti", How.SPELLING),
        ("001.Black_footed_Albatross", "Phoebastria nigripes", How.SPELLING),
        ("093.Clark_Nutcracker", "Nucifraga columbiana", How.SPELLING),
        ("022.Chuck_will_Widow", "Antrostomus carolinensis", How.SPELLING),
        ("122.Harris_Sparrow", "Zonotrichia querula", How.SPELLING),
        ("Gray Catbird", "Dumetella carolinensis", How.SPELLING),
        ("Cream-coloured Woodpecker", "Celeus flavus", How.SPELLING),
        ("AFRICAN OYSTER CATCHER", "Haematopus moquini", How.SPELLING),
        ("Ruppell’s Vulture", "Gyps rueppelli", How.SPELLING),
        ("BLACK TAIL CRAKE", "Zapornia bicolor", How.SPELLING),
        ("BLACK & YELLOW BROADBILL", "Eurylaimus ochromalus", How.SPELLING),
        ("Eared_Grebe", "Podiceps nigricollis", How.ALIAS),
        ("105.Whip_poor_Will", "Antrostomus vociferus", How.ALIAS),
        ("Great Northern Diver", "Gavia immer", How.ALIAS),
        ("Horned Grebe (Breeding)", "Podiceps auritus", How.FORM),
        ("MALLARD DUCK", "Anas platyrhynchos", How.EXTRA_WORD),
        ("141.Artic_Tern", "Sterna paradisaea", How.CORRECTED),
        ("KILLDEAR", "Charadrius vociferus", How.CORRECTED),
        ("DOUBLE BRESTED CORMARANT", "Nannopterum auritum", How.CORRECTED),
        ("GROVED BILLED ANI", "Crotophaga sulcirostris", How.CORRECTED),
        ("KIWI", "Apteryx", How.TAXON),
        ("ALBATROSS", "Diomedeidae", How.TAXON),
        ("Sayornis", "Sayornis", How.TAXON),
        ("COCK OF THE  ROCK", "Rupicola", How.TAXON),
    ],
)
def test_a_label_means_a_species(table, label, name, how):
    assert scientific(table, label) == (name, how)


@pytest.mark.parametrize(
    "label",
    [
        "background",
        "Tree Sparrow",  # two families have one
        "ROBIN",  # so have many
        "LOONEY BIRDS",
        "Blue Wagon",
        "Merlot",  # not a Merlin
        "x" * 255,
        "白鷺",
        "012",
        "",
    ],
)
def test_a_label_that_means_no_species_or_several_is_left_alone(table, label):
    assert scientific(table, label) == (None, None)


def test_a_name_is_not_taken_for_a_similar_one(table):
    assert scientific(table, "Striped Swallow")[0] == "Cecropis"  # and not Striated Swallow


def test_among_labels_of_other_things_nothing_is_taken_for_a_bird_that_only_resembles_one(table):
    assert match_labels(("beagle", "boxer", "crane", "kiwi", "killdear"), table) == {}


def test_the_species_of_each_label_of_the_shipped_model_is_found(table):
    labels = load_labels(Path(DEFAULTS["LABELS"]))
    names = find_names(labels)
    assert [each.label for each in names if not each.species] == []
    assert names["Barn Owl"].species.scientific == "Tyto alba"
    assert names["African Pied Hornbill"].species.scientific == "Lophoceros fasciatus"
    assert names["Carmine Bee-eater"].species.scientific == "Merops nubicoides"
    assert names["Green Violetear"].species.scientific == "Colibri thalassinus"
    assert {each.how for each in names} <= {How.ENGLISH, How.SPELLING, How.ALIAS}


def test_each_alias_names_a_species_and_is_no_name_of_another(table):
    with ALIASES_FILE.open(encoding="utf-8", newline="") as file:
        aliases = list(csv.DictReader(file))
    assert {line["scientific"] for line in aliases} <= set(table.scientific)
    keys = [key(line["name"]) for line in aliases]
    assert len(set(keys)) == len(keys)
    assert not set(keys) & set(map(key, table.english))
