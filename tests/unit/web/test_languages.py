"""web/languages.py: which language a reader gets, and the choice that is remembered."""

import io
import re

import pytest

from tests.support.seam import ColorClassifier
from web import languages
from web.languages import lang_attribute, reader_languages
from web.wording import decimal, long_date, percent


@pytest.fixture
def read(app_module):
    """Look at something as a reader with this Accept-Language and this cookie."""

    def read(look, accept="", chosen="", path="/"):
        headers = {"Accept-Language": accept} | ({"Cookie": f"language={chosen}"} if chosen else {})
        with app_module.application.test_request_context(path, headers=headers):
            return look()

    return read


@pytest.mark.parametrize(
    ("accept", "chosen", "names", "interface"),
    [
        ("", "", ("en",), "en"),
        ("*", "", ("en",), "en"),
        ("de-CH, fr;q=0.5", "", ("de", "fr"), "de"),
        ("fi, sv;q=0.9, nl;q=0.5", "", ("fi", "sv", "nl"), "nl"),
        ("fi", "", ("fi",), "en"),
        ("de", "fr", ("fr", "de"), "fr"),
        ("de", "fi", ("fi", "de"), "de"),
        ("", "zh_TW", ("zh_TW",), "zh-Hans"),
        ("zh-CN", "", ("zh",), "zh-Hans"),
        ("de;q=0, es", "", ("es",), "es"),
        ("de", "klingon", ("de",), "de"),
    ],
)
def test_what_was_chosen_counts_more_than_what_the_browser_asks_for(read, accept, chosen, names, interface):
    assert read(reader_languages, accept, chosen) == names
    assert read(languages.interface_tag, accept, chosen) == interface


def test_the_api_goes_by_accept_language_alone(read):
    assert read(reader_languages, "de", chosen="fr", path="/api/v1/species") == ("de",)


def choose(client, language="fr", page="/about", **options):
    return client.post("/language", data={"language": language, "page": page}, **options)


def test_a_choice_is_remembered_and_leads_back_to_the_page(client):
    answer = choose(client, page="/species?q=owl")
    assert (answer.status_code, answer.location) == (303, "/species?q=owl")
    assert '<html lang="fr">' in client.get("/about", headers={"Accept-Language": "de"}).text


def test_only_a_page_whose_answers_a_change_of_the_language_removes_says_so(make_client, photo):
    client, notice = make_client(ColorClassifier()), 'id="removes">Changing the language removes the answers'
    assert notice in client.post("/", data={"bird_image": (io.BytesIO(photo), "bird.png")}).text
    assert notice not in client.get("/").text


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_cookie_is_for_this_site_alone(client, scheme):
    (cookie,) = choose(client, base_url=f"{scheme}://localhost").headers.getlist("Set-Cookie")
    attributes = cookie.split("; ")
    assert {"language=fr", "Max-Age=31536000", "HttpOnly", "SameSite=Lax", "Path=/"} <= {*attributes}
    assert ("Secure" in attributes) == (scheme == "https")


@pytest.mark.parametrize("page", ["https://example.org/", "//example.org", "/\\example.org", "/a\r\nb", "about", ""])
def test_a_choice_leads_to_no_other_site(client, page):
    assert choose(client, page=page).location == "/"


@pytest.mark.parametrize("language", ["", "klingon", "eo", "../de"])
def test_a_language_that_the_site_does_not_have_is_refused(client, language):
    answer = choose(client, language)
    assert answer.status_code == 400
    assert "Please choose one from the list." in answer.text
    assert "Set-Cookie" not in answer.headers


def test_the_form_returns_to_the_page_that_it_is_on(client):
    assert 'name="page" value="/species?q=a%20b"' in client.get("/species?q=a%20b").text
    assert 'name="page" value="/"' in client.post("/about").text  # which cannot be opened again


def test_under_a_prefix_a_choice_stays_there(client):
    site = {"base_url": "http://localhost/birds"}
    (page,) = re.findall('name="page" value="([^"]+)"', client.get("/species?q=owl", **site).text)
    answer = choose(client, page=page, **site)
    assert answer.location == "/birds/species?q=owl"
    assert "; Path=/birds/;" in answer.headers["Set-Cookie"]


def test_a_file_that_comes_with_a_choice_is_not_kept(client, uploads):
    form = {"language": "fr", "page": "/", "bird_image": (io.BytesIO(b"a" * 100_000), "a.jpg")}
    assert client.post("/language", data=form).status_code == 303
    assert not [*uploads.glob("*")]


def test_caches_keep_each_language_apart(client):
    assert {"Accept-Language", "Cookie"} <= {*client.get("/about").vary}
    assert client.get("/api/v1/species").headers["Vary"] == "Accept-Language"
    with client.get("/static/style.css") as style:
        assert not style.vary


def test_words_in_another_language_than_the_page_say_so(read):
    assert read(lambda: lang_attribute("de"), "de") == ""
    assert read(lambda: lang_attribute("fi"), "de") == ' lang="fi"'
    assert read(lambda: lang_attribute("en"), "de") == ' lang="en"'
    assert read(lambda: lang_attribute("zh_TW"), "zh") == ' lang="zh-Hant"'


def test_numbers_and_dates_are_written_as_in_the_language(read):
    def look():
        return percent(0.945, 1), percent(0.05, 0, 1), decimal(1234.5, 1), long_date("2026-05-03")

    assert read(look) == ("94.5 %", "5 %", "1,234.5", "3 May 2026")
    assert read(look, "de") == ("94,5\N{NO-BREAK SPACE}%", "5\N{NO-BREAK SPACE}%", "1.234,5", "3. Mai 2026")
    assert read(look, "zh") == ("94.5%", "5%", "1,234.5", "2026年5月3日")


def test_the_species_are_listed_and_found_by_their_names_in_the_readers_language(make_client):
    client = make_client(
        ColorClassifier(("European Robin", "Eurasian Wren", "Goldcrest", "Firecrest", "Moggy", "Dunnock"))
    )
    german = {"Accept-Language": "de"}
    page = client.get("/species", headers=german).text
    assert page.index(">Heckenbraunelle<") < page.index(">Rotkehlchen<") < page.index(">Zaunkönig<")
    assert ' lang="en" translate="no">Moggy</a>' in page
    assert "Zaunkönig" in client.get("/species?q=zaunkoenig", headers=german).text
    for words in ("rotkehl", "robin"):
        found = client.get(f"/species?q={words}", headers=german).text
        assert ("Rotkehlchen" in found, "Zaunkönig" in found) == (True, False)
    choose(client, "fi")
    assert ' lang="fi" translate="no">Punarinta</a>' in client.get("/species").text
