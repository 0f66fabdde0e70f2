"""The language of a page: the one that its reader has chosen, or the best of those that the browser asks for."""

from functools import lru_cache
from gettext import NullTranslations
from typing import Any

from babel.core import Locale
from flask import Blueprint, Flask, g, redirect, render_template, request, url_for
from flask_babel import Babel, get_locale, get_translations
from markupsafe import Markup
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response

from inference.sentences import Sentence
from names.languages import ENGLISH, LANGUAGES, languages_for

from .uploads import receiving

COOKIE = "language"
COOKIE_MAX_AGE = 365 * 24 * 60 * 60  # seconds
#: The languages that the interface has, with Babel's name for each. translations/ has a folder for all but English.
INTERFACE = {
    ENGLISH: "en",
    "de": "de",
    "es": "es",
    "fr": "fr",
    "nl": "nl",
    "zh": "zh_Hans",
    "zh_TW": "zh_Hans",  # until somebody translates it, readers of traditional characters get the simplified ones
}

blueprint = Blueprint("languages", __name__)


@blueprint.post("/language")
def choose() -> Response:
    """Remember the language that a reader chooses, and go back to the page."""
    with receiving():
        language, page = request.form.get("language", ""), request.form.get("page", "")
    if language not in LANGUAGES:
        raise BadRequest(Sentence("This site does not have that language. Please choose one from the list."))
    response = redirect(page if _is_local(page) else url_for("index"), 303)
    response.set_cookie(
        COOKIE,
        language,
        max_age=COOKIE_MAX_AGE,
        path=url_for("index"),
        secure=request.is_secure,
        httponly=True,
        samesite="Lax",
    )
    return response


def _is_local(page: str) -> bool:
    """Whether it is the path of a page of this site. Browsers read a backslash as a slash, and skip line breaks."""
    return page.startswith("/") and not page.startswith("//") and page.isprintable() and "\\" not in page


def reader_languages() -> tuple[str, ...]:
    """The languages of names that the reader wants, the best first: as chosen, and as ``Accept-Language`` says.

    Programs choose nothing: for the API only ``Accept-Language`` counts.
    """
    if "reader_languages" not in g:
        tags = [tag for tag, quality in request.accept_languages if quality > 0]
        chosen = None if _is_api() else request.cookies.get(COOKIE)
        g.reader_languages = languages_for([chosen, *tags] if chosen in LANGUAGES else tags)
    languages: tuple[str, ...] = g.reader_languages
    return languages


def _is_api() -> bool:
    return request.path.startswith("/api/")


def _interface_locale() -> str:
    """The first language that the interface has, too, as Babel names it."""
    return next((INTERFACE[language] for language in reader_languages() if language in INTERFACE), INTERFACE[ENGLISH])


def page_locale() -> Locale:
    """The language of the interface, and how it writes numbers and dates."""
    return get_locale() or Locale(INTERFACE[ENGLISH])  # there is none outside of a request


def interface_tag() -> str:
    """The language of the interface, as in the attribute ``lang`` of HTML."""
    if "interface_tag" not in g:  # a page asks dozens of times
        g.interface_tag = str(page_locale()).replace("_", "-")
    tag: str = g.interface_tag
    return tag


def lang_attribute(language: str) -> Markup:
    """The attribute ``lang`` for words in a language of names; nothing if the page is in that language anyway."""
    return _lang_attribute(language, interface_tag())


@lru_cache
def _lang_attribute(language: str, interface: str) -> Markup:
    if INTERFACE.get(language, "").replace("_", "-") == interface and language != "zh_TW":
        return Markup()
    return Markup(' lang="{}"').format({"zh": "zh-Hans", "zh_TW": "zh-Hant"}.get(language, language))


@lru_cache
def _options(chosen: str, interface: str) -> Markup:
    """The options of the form that chooses a language."""
    option = Markup('<option value="{}"{}{} translate="no">{}</option>')
    return Markup().join(
        option.format(code, Markup(" selected" if code == chosen else ""), _lang_attribute(code, interface), name)
        for code, name in LANGUAGES.items()
    )


def _translations() -> NullTranslations:
    """The catalogue of the page, looked up once; Flask-Babel would look it up for each of its texts."""
    if "translations" not in g:
        g.translations = get_translations()
    translations: NullTranslations = g.translations
    return translations


def in_language(text: str, language: str) -> str:
    """Words in a language of names, marked as such if the page is in another one."""
    attribute = lang_attribute(language)
    return Markup("<span{}>{}</span>").format(attribute, text) if attribute else text


def _page_to_return_to() -> str:
    """The path of this page, for the form that chooses a language; the home page if this is the answer to a form."""
    return request.script_root + request.full_path.rstrip("?") if request.method == "GET" else url_for("index")


def _set_vary(response: Response) -> Response:
    """Have caches keep apart what readers of different languages get."""
    if "reader_languages" in g:
        response.vary.update(["Accept-Language"] if _is_api() else ["Accept-Language", "Cookie"])
    return response


def init_app(app: Flask) -> None:
    """Let pages speak the language of their reader."""
    Babel(app, locale_selector=_interface_locale)  # type: ignore[no-untyped-call]
    app.jinja_env.policies["ext.i18n.trimmed"] = True
    i18n: Any = app.jinja_env
    i18n.install_gettext_callables(
        lambda text: _translations().gettext(text),
        lambda one, many, number: _translations().ngettext(one, many, number),
        newstyle=True,
    )
    app.register_blueprint(blueprint)
    app.after_request(_set_vary)
    # No filters: Jinja applies those to constants only once, whatever the language.
    app.add_template_global(lang_attribute)
    app.add_template_global(in_language)
    parts: dict[tuple[str, str], Markup] = {}

    def same_for_all(template: str) -> Markup:
        """A part of a page that depends on nothing but the language of the interface, rendered once for each."""
        key = template, interface_tag()
        if key not in parts or app.debug:
            parts[key] = Markup(render_template(template))
        return parts[key]

    app.add_template_global(same_for_all)
    app.context_processor(
        lambda: {
            "language_options": _options(reader_languages()[0], interface_tag()),
            "interface_tag": interface_tag(),
            "page_to_return_to": _page_to_return_to(),
        }
    )
