"""cli.answer_file: the CSV list is complete after each row, and can be continued wherever it was cut off."""

import resource
from pathlib import Path

import pytest

from cli.answer_file import AnswerFile, NotAnAnswerFileError, complete_rows
from cli.outcomes import Outcome
from inference import Candidate, Identification
from web.csv_export import as_csv, header

BIRD = Identification("bird", 1.0, (Candidate("bird", 1.0),))
ROWS = [
    Outcome(Path("plain.jpg"), BIRD).row(1),
    Outcome(Path('two\r\nlines, "quoted".jpg'), error="Damaged, they say.").row(1),
    Outcome(Path("last.jpg"), error="Damaged.").row(1),
]
CONTENT = as_csv([header(1), *ROWS]).encode()


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
        assert answers.failed == [(ROWS[1][0], "Damaged, they say."), (ROWS[2][0], "Damaged.")]
    assert path.read_bytes() == CONTENT


def test_a_list_that_a_spreadsheet_saved_with_a_byte_order_mark_is_continued(tmp_path):
    path = tmp_path / "list.csv"
    path.write_bytes(b"\xef\xbb\xbf" + CONTENT)
    with AnswerFile(path, 1, resume=True) as answers:
        assert len(answers.names) == len(ROWS)


def test_a_file_that_is_there_is_not_written_over(tmp_path):
    path = tmp_path / "list.csv"
    path.write_bytes(CONTENT)
    with pytest.raises(FileExistsError):
        AnswerFile(path, 1, resume=False)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("content", [b"a letter", b"a letter\n", b"\xff\xfe\0\n", b"file\n"])
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
        before = path.read_bytes()
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 5, hard))
        try:
            with pytest.raises(OSError, match="No space left on device"):
                answers.add(ROWS[0])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before


@pytest.mark.parametrize(("cut", "count"), [(0, 0), (5, 0), (len(CONTENT) - 1, 3), (len(CONTENT), 4)])
def test_rows_that_are_cut_off_do_not_count(cut, count):
    rows, size = complete_rows(CONTENT[:cut])
    assert rows == [header(1), *ROWS][:count]
    assert size == len(as_csv(rows).encode())
