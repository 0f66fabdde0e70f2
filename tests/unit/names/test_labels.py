"""names/labels.py and names/own.py: what labels are called, and what the maker of a model says of that."""

import csv
import logging

import pytest

from names.labels import find_names
from names.languages import LANGUAGES, languages_for
from names.matching import How
from names.own import MAX_SIZE
from names.table import FILE, read_species
from names.write_table import COLUMNS, write_table

LABELS = ("Gray Catbird", "BARN SWALLOW", "061.Heermann_Gull", "red_knot", "Emu", "KIWI", "background")


@pytest.fixture
def own_file(tmp_path):
    return tmp_path / "names.csv"


def test_a_species_has_a_name_in_each_language_and_else_the_english_one():
    names = find_names(LABELS)
    swallow = names["BARN SWALLOW"]
    assert swallow.species.scientific == "Hirundo rustica"
    assert (swallow.species.family, swallow.species.order) == ("Hirundinidae", "Passeriformes")
    assert [swallow.name_in(each) for each in ("en", "de", "sv", "zh_TW")] == [
        "Barn Swallow",
        "Rauchschwalbe",
        "Ladusvala",
        "家燕",
    ]
    assert all(swallow.name_in(language) for language in LANGUAGES)
    assert names["Emu"].name_in("da") == "Emu"  # the same as in English


def test_a_label_that_people_would_write_so_is_the_english_name():
    names = find_names(LABELS)
    assert [names[label].name_in("en") for label in LABELS] == [
        "Gray Catbird",
        "Barn Swallow",
        "Heermann's Gull",
        "Red Knot",
        "Emu",
        "Kiwi",
        "background",
    ]


def test_several_species_that_a_label_means_are_named_by_what_they_share():
    kiwi = find_names(LABELS)["KIWI"].species
    assert (kiwi.scientific, kiwi.family, kiwi.order) == ("Apteryx", "Apterygidae", "Apterygiformes")


def test_a_label_of_another_model_is_its_own_name():
    assert find_names(LABELS)["Dodo"].name_in("de") == "Dodo"


def test_what_the_maker_says_counts_more(own_file):
    own_file.write_text(
        "label,scientific,de,en\n"
        "Emu,,Laufvogel,\n"
        "KIWI,apteryx rowi,,Rowi\n"
        "background,Nihil nihil,Nichts,\n"
        "red_knot,,,\n",
        encoding="utf-8-sig",
    )
    names = find_names(LABELS, own_file.parent)
    assert (names["Emu"].name_in("de"), names["Emu"].species.scientific) == ("Laufvogel", "Dromaius novaehollandiae")
    assert (names["KIWI"].name_in("en"), names["KIWI"].name_in("fr")) == ("Rowi", "Kiwi d’Okarito")
    assert (names["background"].name_in("de"), names["background"].name_in("fr")) == ("Nichts", "background")
    assert names["red_knot"].species is None
    assert names["red_knot"].how is How.OWN


def test_a_file_that_a_spreadsheet_wrote_with_semicolons_is_read(own_file):
    own_file.write_text("label;de\r\nEmu;Laufvogel\r\n", encoding="utf-8")
    assert find_names(LABELS, own_file.parent)["Emu"].name_in("de") == "Laufvogel"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xff\xfe\x00", "it is not in UTF-8; it is not used."),
        (b"", "it has no column named label; it is not used."),
        (b"name,de\nEmu,Emu\n", "it has no column named label; it is not used."),
        (
            b"label,de,how\nEmu,Laufvogel,so\n",
            "1 column that is no language (such as 'how'); 1 of its labels are",
        ),
        (
            b"label,de\nDodo,Dodo\nEmu,X\nEmu,Y\n",
            "1 label that the model does not have (such as 'Dodo'); 1 label",
        ),
        (b"label,de\nEmu\n", None),
        (b"label,de\nEmu,a,b,c\n", None),
        (b'label,de\nEmu,"a\n', None),
        (b"label,de\nEmu,\x00\n", None),
        (b"label," + b"x" * 200_000, "field larger than field limit (131072); it is not used."),
    ],
)
def test_mistakes_in_the_file_are_one_line_in_the_log(own_file, caplog, content, sentence):
    own_file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        find_names(LABELS, own_file.parent)
    assert len(caplog.messages) == (sentence is not None)
    if sentence:
        assert sentence in caplog.text


def test_a_file_that_cannot_be_read_is_one_line_in_the_log(own_file, caplog):
    own_file.mkdir()
    find_names(LABELS, own_file.parent)
    assert caplog.messages == [f"{own_file}: Is a directory; it is not used."]


def test_a_huge_file_is_not_read(own_file, caplog):
    with own_file.open("wb") as file:
        file.truncate(MAX_SIZE + 1)
    find_names(LABELS, own_file.parent)
    assert caplog.messages == [f"{own_file}: it is larger than 16 MB; it is not used."]


@pytest.mark.parametrize(
    ("tags", "languages"),
    [
        (["de"], ("de",)),
        (["pt-BR", "en"], ("pt", "en")),
        (["de-AT", "de", "en"], ("de", "en")),
        (["zh-Hant-HK"], ("zh_TW",)),
        (["zh-TW"], ("zh_TW",)),
        (["zh-CN"], ("zh",)),
        (["nb-NO"], ("no",)),
        (["xx", "fr"], ("fr",)),
        (["xx", "*", ""], ("en",)),
        ([], ("en",)),
    ],
)
def test_the_languages_are_those_that_there_are_names_in(tags, languages):
    assert languages_for(tags) == languages


def rows_of(number, file=FILE):
    """The first rows of a table as they stand in the source."""
    species = read_species(range(number), file)
    return [
        [each.english, each.scientific, each.family, each.order, *(each.names.get(code, "") for code in COLUMNS[4:])]
        for each in species.values()
    ]


def write_source(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return path


def test_the_table_is_written_the_same_each_time(tmp_path):
    rows = rows_of(50)
    source = write_source(tmp_path / "names.csv", rows)
    written = [tmp_path / "1.xz", tmp_path / "2.xz"]
    assert [write_table(source, target) for target in written] == [50, 50]
    assert written[0].read_bytes() == written[1].read_bytes()
    assert rows_of(50, written[0]) == rows


@pytest.mark.parametrize(
    ("change", "sentence"),
    [(("english", "anglais"), "lacks the columns english"), (("Common Ostrich", "Common\tOstrich"), "a tab")],
)
def test_a_source_that_would_break_the_table_is_refused(tmp_path, change, sentence):
    source = write_source(tmp_path / "names.csv", rows_of(1))
    source.write_text(source.read_text(encoding="utf-8").replace(*change), encoding="utf-8")
    with pytest.raises(ValueError, match=sentence):
        write_table(source, tmp_path / "names.xz")
