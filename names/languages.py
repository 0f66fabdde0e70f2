"""The languages that there are names in."""

from collections.abc import Collection

ENGLISH = "en"

#: Each language in its own words, by the code that the table has for it.
LANGUAGES = {
    ENGLISH: "English",
    "ca": "Català",
    "cs": "Čeština",
    "da": "Dansk",
    "de": "Deutsch",
    "es": "Español",
    "et": "Eesti",
    "fi": "Suomi",
    "fr": "Français",
    "hr": "Hrvatski",
    "hu": "Magyar",
    "it": "Italiano",
    "ja": "日本語",
    "lt": "Lietuvių",
    "nl": "Nederlands",
    "no": "Norsk",
    "pl": "Polski",
    "pt": "Português",
    "ru": "Русский",
    "sk": "Slovenčina",
    "sr": "Srpski",
    "sv": "Svenska",
    "tr": "Türkçe",
    "uk": "Українська",
    "zh": "中文（简体）",
    "zh_TW": "中文（繁體）",
}

#: What browsers call some of them.
_OTHER_CODES = {"nb": "no", "nn": "no", "zh-tw": "zh_TW", "zh-hk": "zh_TW", "zh-mo": "zh_TW", "zh-hant": "zh_TW"}


def languages_for(tags: Collection[str]) -> tuple[str, ...]:
    """The languages asked for that there are names in; English if there is none.

    :param tags: language tags such as ``pt-BR``, the one liked best first.
    """
    found = dict.fromkeys(filter(None, map(_code, tags)))
    return tuple(found) or (ENGLISH,)


def _code(tag: str) -> str | None:
    parts = tag.casefold().replace("_", "-").split("-")[:3]
    for length in range(len(parts), 0, -1):
        code = "-".join(parts[:length])
        code = _OTHER_CODES.get(code, code)
        if code in LANGUAGES:
            return code
    return None
