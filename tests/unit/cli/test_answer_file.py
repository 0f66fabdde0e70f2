"""cli.answer_file: the CSV list is complete after each row, and can be continued wherever it was cut off."""

import resource
from codecs import BOM_UTF8
from dataclasses import replace
from pathlib import Path

import pytest

from cli.answer_file import AnswerFile, NotAnAnswerFileError, complete_rows
from cli.outcomes import Outcome
from inference import Candidate, Identification
from inference.regions import Region
from inference.verdict import Verdict
from lists.csv_export import as_csv, header
from names.labels import Names
from web.naming import Naming

NAMING = Naming(Names({}), ("en",))
BIRD = Identification("bird", 1.0, (Candidate("bird", 1.0),))
TWO_BIRDS = replace(BIRD, region=Region(0.1, 0.2, 0.3, 0.4), others=(BIRD,), verdict=Verdict.UNSURE)
ROWS = [
    Outcome(Path("plain.jpg"), BIRD).row(1, NAMING),
    Outcome(Path("two birds.jpg"), TWO_BIRDS).row(1, NAMING),
    Outcome(Path('two\r\nlines, "quoted".jpg'), error="Damaged, they say.").row(1, NAMING),
    Outcome(Path("last.jpg"), error="Damaged.").row(1, NAMING),
]
TEXT = as_csv([header(1), *ROWS])
CONTENT = TEXT.encode("utf-8-sig")
#: The same list as earlier releases wrote it: without its last columns.
EARLIER_TEXTS = [as_csv([row[:-missing] for row in [header(1), *ROWS]]) for missing in (5, 3, 2)]
earlier_texts = pytest.mark.parametrize("text", EARLIER_TEXTS, ids=["release 0.9", "without verdicts", "without names"])


def test_a_list_that_was_cut_off_anywhere_is_continued_to_the_same_list(tmp_path):
    path = tmp_path / "list.csv"
    for cut in range(len(CONTENT) + 1):
        path.write_bytes(CONTENT[:cut])
        with AnswerFile(path, 1, resume=True) as answers:
            for row in ROWS:
                if row[0] not in answers.names:
                    answers.add(row)
        assert path.read_bytes() == CONTENT


def test_a_list_that_is_continued_says_which_photos_it_has_and_which_of_them_failed(tmp_path):
    path = tmp_path / "list.csv"
    path.write_bytes(CONTENT)
    with AnswerFile(path, 1, resume=True) as answers:
        assert answers.names == {row[0] for row in ROWS}
        assert answers.failed == [(ROWS[2][0], "Damaged, they say."), (ROWS[3][0], "Damaged.")]
    assert path.read_bytes() == CONTENT


@earlier_texts
@pytest.mark.parametrize("mark", [b"", BOM_UTF8], ids=["without a mark", "with one"])
def test_a_list_of_an_earlier_release_is_continued_with_the_columns_that_it_has(tmp_path, text, mark):
    path = tmp_path / "list.csv"
    first_line = text.splitlines(keepends=True)[0]
    for cut in range(len(text) + 1):
        path.write_bytes(mark + text[:cut].encode())
        with AnswerFile(path, 1, resume=True) as answers:
            for row in ROWS:
                if row[0] not in answers.names:
                    answers.add(row)
        begun = mark + text.encode() if cut >= len(first_line) else CONTENT
        assert path.read_bytes() == begun


@earlier_texts
def test_a_list_of_an_earlier_release_says_which_photos_it_has_and_which_of_them_failed(tmp_path, text):
    path = tmp_path / "list.csv"
    path.write_bytes(text.encode())
    with AnswerFile(path, 1, resume=True) as answers:
        assert answers.names == {row[0] for row in ROWS}
        assert answers.failed == [(ROWS[2][0], "Damaged, they say."), (ROWS[3][0], "Damaged.")]
    assert path.read_bytes() == text.encode()


@pytest.mark.parametrize("line_ending", ["\n", "\r\n"])
def test_a_list_that_a_spreadsheet_has_saved_is_continued(tmp_path, line_ending):
    path = tmp_path / "list.csv"
    rows = [
        "file,taken,species,confidence,error,region,others",
        '"a.jpg",,"bird",1,,"0.1000,0.2000,0.3000,0.4000",bird 1.0000',
        "'=b.jpg,,bird,1.00,,,",
        "c.jpg,,bird,1\n",
    ]
    path.write_text(line_ending.join(rows), encoding="utf-8-sig", newline="")
    with AnswerFile(path, 1, resume=True) as answers:
        assert answers.names == {"a.jpg", "=b.jpg", "c.jpg"}
        assert answers.failed == []


@pytest.mark.parametrize("earlier", [b"", b"'"], ids=["of an earlier release", "defused"])
def test_a_photo_whose_name_begins_like_a_formula_is_recognised(tmp_path, earlier):
    path = tmp_path / "list.csv"
    row = Outcome(Path("=1+1.jpg"), error="Damaged.").row(1, NAMING)
    path.write_bytes(as_csv([header(1)]).encode() + earlier + b"=1+1.jpg,,,,Damaged.\r\n")
    with AnswerFile(path, 1, resume=True) as answers:
        assert answers.names == {row[0]} == {"=1+1.jpg"}
        assert answers.failed == [("=1+1.jpg", "Damaged.")]


def test_a_new_list_without_a_row_is_removed_and_one_that_was_there_is_not(tmp_path):
    path = tmp_path / "list.csv"
    AnswerFile(path, 1, resume=False).close()
    assert not path.exists()
    path.write_bytes(as_csv([header(1)]).encode())
    AnswerFile(path, 1, resume=True).close()
    assert path.exists()


def test_a_file_that_is_there_is_not_written_over(tmp_path):
    path = tmp_path / "list.csv"
    path.write_bytes(CONTENT)
    with pytest.raises(FileExistsError):
        AnswerFile(path, 1, resume=False)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "content",
    [
        b"a letter",
        b"a letter\n",
        b"\xff\xfe\0\n",
        b"file\n",
        b"\xef\xbb\xbfa",
        b"x" * 200_000 + b"\n",
        TEXT.replace(",", ";").encode(),
        TEXT.replace("plain", "pl\xe4in").encode("cp1252"),
    ],
    ids=["cut", "text", "binary", "columns", "mark", "long", "semicolons", "cp1252"],
)
def test_another_file_is_left_as_it_is(tmp_path, content):
    path = tmp_path / "letter"
    path.write_bytes(content)
    with pytest.raises(NotAnAnswerFileError):
        AnswerFile(path, 1, resume=True)
    assert path.read_bytes() == content


def test_a_list_with_other_columns_is_left_as_it_is(tmp_path):
    path = tmp_path / "list.csv"
    path.write_bytes(CONTENT)
    with pytest.raises(NotAnAnswerFileError):
        AnswerFile(path, 2, resume=True)
    assert path.read_bytes() == CONTENT


def test_a_full_disk_leaves_a_complete_list(tmp_path):
    path = tmp_path / "list.csv"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with AnswerFile(path, 1, resume=False) as answers:
        answers.add(ROWS[3])
        before = path.read_bytes()
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 5, hard))
        try:
            with pytest.raises(OSError, match="No space left on device"):
                answers.add(ROWS[0])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before


@pytest.mark.parametrize(("cut", "count"), [(0, 0), (5, 0), (len(CONTENT) - 1, 4), (len(CONTENT), 5)])
def test_rows_that_are_cut_off_do_not_count(cut, count):
    rows, size = complete_rows(CONTENT[:cut])
    assert rows == [header(1), *ROWS][:count]
    assert size == len(as_csv(rows).encode("utf-8-sig" if rows else "utf-8"))
