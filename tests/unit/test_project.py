"""The project's own files agree with each other: packages, settings, imports, documents."""

import ast
import re
from pathlib import Path

import pytest

import settings
from deploy import requirements

ROOT = Path(requirements.ROOT)
ROOMS = (
    "application",
    "cli",
    "web",
    "feedback",
    "jobs",
    "lists",
    "names",
    "inference",
    "training",
    "settings",
    "logs",
    "queue_addresses",
)
DOCUMENTS = [
    path for path in ROOT.rglob("*.md") if not {part for part in path.relative_to(ROOT).parts if part.startswith(".")}
]


def imported_rooms(module: Path) -> set[str]:
    """The rooms of this project that a module imports from, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name.partition(".")[0] for name in names} & set(ROOMS)


@pytest.mark.parametrize(("name", "text"), requirements.contents((ROOT / "pyproject.toml").read_text()).items())
def test_the_requirements_files_say_what_pyproject_says(name, text):
    assert (ROOT / name).read_text() == text, "run: make requirements"


def test_every_package_is_pinned_to_one_version():
    files = requirements.contents((ROOT / "pyproject.toml").read_text())
    lines = {line for text in files.values() for line in text.splitlines() if not line.startswith(("#", "-r "))}
    for line in lines:
        assert re.fullmatch(r"[\w.-]+(\[[\w,]+\])?==[\w.]+", line), line
    names = [line.partition("==")[0] for line in lines]
    assert len(names) == len(set(names))
    assert {"-r requirements-web.txt", "-r requirements-worker.txt"} <= set(files["requirements.txt"].splitlines())


def test_the_settings_import_nothing_but_inference():
    assert imported_rooms(ROOT / "settings.py") <= {"inference", "queue_addresses"}


@pytest.mark.parametrize("module", ["logs.py", "queue_addresses.py"])
def test_it_imports_nothing_of_the_project(module):
    assert not imported_rooms(ROOT / module)


def test_every_setting_is_documented_with_its_default():
    table = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    described = dict(re.findall(r"^\| `BIRD_(\w+)` \| ([^|]+) \|", table, re.MULTILINE))
    # Flask's own; changing it would only weaken the cookie.
    assert set(settings.DEFAULTS) - {"SESSION_COOKIE_SAMESITE"} <= set(described)
    for name in ("MAX_CONTENT_LENGTH", "MAX_PIXELS", "MAX_WAITING", "MAX_FORM_PARTS", "MAX_FORM_MEMORY_SIZE",
                 "PRECISION", "PROXIES", "RESULT_WAIT", "STRICTNESS"):  # fmt: skip
        assert described[name].strip() == f"`{settings.DEFAULTS[name]}`"


@pytest.mark.parametrize(
    "room", ["web", "cli", "feedback", "inference", "inference/keras_files", "jobs", "lists", "names", "training"]
)
def test_the_architecture_names_every_file(room):
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = re.search(rf"^{room}/ .*\n((?:    .*\n)+)", text, re.MULTILINE)
    assert section is not None
    named = set(re.findall(r"^    (\S+\.py)\b", section[1], re.MULTILINE))
    there = {path.name for path in (ROOT / room).glob("*.py")} - {"__init__.py", "__main__.py"}
    assert named - {"__init__.py", "__main__.py"} == there


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document):
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if not link.startswith(("http://", "https://", "#")):
            assert (document.parent / link.partition("#")[0]).exists(), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_name_only_make_targets_that_exist(document):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = document.read_text(encoding="utf-8")
    named = re.findall(r"(?:`|^)make ([a-z]+(?: [a-z]+)*)", text, re.MULTILINE)
    assert {target for line in named for target in line.split()} <= targets
