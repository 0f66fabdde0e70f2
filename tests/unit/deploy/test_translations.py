"""translations/: every catalogue is complete, up to date and compiled."""

import re

import pytest
from babel import Locale
from babel.messages.catalog import Catalog

from deploy import translations
from web.languages import INTERFACE

CATALOGUES = sorted(path.name for path in translations.FOLDER.iterdir() if path.is_dir())
PLACES = re.compile(r"%\(\w+\)s|%%|\{\w+\}|</?(?:b|a|code|kbd)\b")


@pytest.fixture(scope="module")
def written():
    """What each file should contain."""
    return {str(file.relative_to(translations.FOLDER)): content for file, content in translations.files()}


@pytest.fixture(params=CATALOGUES)
def catalogue(request) -> Catalog:
    """The catalogue of a language."""
    return translations.read_catalog(translations.FOLDER / request.param / "LC_MESSAGES" / "messages.po", request.param)


def test_the_files_are_what_make_translations_writes(written):
    there = {
        str(file.relative_to(translations.FOLDER)): file.read_bytes()
        for file in translations.FOLDER.rglob("messages.*")
    }
    assert there.keys() == written.keys()
    assert [name for name in there if there[name] != written[name]] == [], "run: make translations"


def test_every_language_of_the_interface_has_a_catalogue():
    assert {*INTERFACE.values()} - {"en"} == {*CATALOGUES}


def test_no_text_is_left_untranslated_or_unsure(catalogue):
    texts = [message for message in catalogue if message.id]
    assert [message.id for message in texts if message.fuzzy or not all(forms(message))] == []


def test_every_plural_has_as_many_forms_as_its_language(catalogue):
    assert catalogue.num_plurals == Catalog(locale=catalogue.locale).num_plurals
    plurals = [message for message in catalogue if message.pluralizable]
    assert {len(forms(message)) for message in plurals} == {catalogue.num_plurals}


def test_values_and_tags_stand_in_every_translation(catalogue):
    for message in catalogue:
        if not message.id:
            continue
        texts = message.id if message.pluralizable else (message.id,)
        wanted = [set(PLACES.findall(text)) for text in texts]
        for form in forms(message):
            found = set(PLACES.findall(form))
            assert found in wanted, form
            assert "%" not in PLACES.sub("", form), f"a percent sign is written %%: {form}"


def test_the_english_quotation_marks_stay_english(catalogue):
    if Locale.parse(catalogue.locale).language == "zh":
        pytest.skip("Chinese has the same")
    for message in catalogue:
        for form in forms(message) if message.id else ():
            assert not re.search(r"“\w[^“]*”", form), form


def forms(message) -> tuple[str, ...]:
    """The translation, or one for each plural form."""
    return tuple(message.string) if message.pluralizable else (message.string,)
