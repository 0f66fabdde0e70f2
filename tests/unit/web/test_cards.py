"""web/cards.py: what the page shows of each photo."""

import base64
import csv
import io
import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest
from PIL import Image

from jobs.errors import BusyError, JobFailedError
from jobs.pending import Position
from lists import csv_export
from tests.support.drawings import encoded
from tests.support.pages import headings_on, percent_on, species_on, thumbnail_on
from tests.support.seam import COLORS, ColorClassifier, ColorWorkers, HalvesClassifier
from web.cards import NOT_YET


def dated_photo() -> bytes:
    """A blue photo that says when it was taken."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2026:05:03 06:01:02"
    return encoded(Image.new("RGB", (64, 48), "blue"), "JPEG", exif=exif)


def post(client, files: dict[str, bytes], path: str = "/") -> str:
    """Post a form with these files; the page that comes back."""
    return client.post(path, data={"bird_image": [(io.BytesIO(files[name]), name) for name in files]}).text


def csv_list_on(page: str) -> list[list[str]]:
    """The rows of the CSV list that a page offers, the header first."""
    (data,) = re.findall(r'href="data:text/csv;charset=utf-8;base64,([\w+/=]+)"', page)
    return list(csv.reader(io.StringIO(base64.b64decode(data).decode("utf-8-sig"))))


def test_a_card_shows_the_thumbnail_the_species_and_the_confidence(client, photo):
    page = post(client, {"bird.png": photo})
    assert (species_on(page), thumbnail_on(page).size) == ("Goldfinch", (64, 48))
    assert 50 < percent_on(page) < 100
    assert headings_on(page) == ["We think this is: Goldfinch"]


def test_of_several_photos_each_gets_its_card_in_order_though_one_cannot_be_read(client, uploads, photo):
    files = {"first.png": photo, "notes.txt": b"no bird", "<b>.jpg": b"no image", "last.jpg": dated_photo()}
    page = post(client, files)
    assert [unescape(name) for name in re.findall(r'<p class="name"[^>]*>(.+?)</p>', page)] == list(files)
    assert re.findall("Predicted : (.+?)<", page) == ["Goldfinch", "Bluebird"]
    assert len(re.findall(r'role="alert">(.+?)</p>', page)) == 2
    assert list(uploads.iterdir()) == []


def test_the_csv_list_has_a_row_for_each_photo(client, photo):
    files = {"first.png": photo, "notes.txt": b"no bird", "last, but blue.jpg": dated_photo()}
    header, *rows = csv_list_on(post(client, files))
    assert header == csv_export.header()
    assert [row[0] for row in rows] == list(files)
    assert [row[1] for row in rows] == ["", "", "2026-05-03 06:01:02"]
    assert [row[2] for row in rows] == ["Goldfinch", "", "Bluebird"]
    assert [row[header.index("error")] == "" for row in rows] == [True, False, True]


def test_a_card_has_its_row_of_the_csv_list_for_the_pages_script(client):
    page = post(client, {"blue.jpg": dated_photo()}, "/cards")
    (taken,), (answer,) = re.findall(r'data-taken="(.*?)"', page), re.findall(r'data-csv="(.*?)"', page)
    [cells] = csv.reader(io.StringIO(unescape(answer)))
    assert (taken, cells[0]) == ("2026-05-03 06:01:02", "Bluebird")
    assert len(["file", taken, *cells]) == len(csv_export.header())


def test_the_row_of_a_card_has_the_scientific_name_and_the_readers_own_name_of_the_species(make_client, photo):
    client = make_client(
        ColorClassifier(("Blackbird", "Bluebird", "Cardinal", "American Goldfinch", "Greenfinch", "Snow Bunting"))
    )
    form = {"bird_image": (io.BytesIO(photo), "bird.png")}
    page = client.post("/cards", data=form, headers={"Accept-Language": "de, en;q=0.5"}).text
    [answer] = re.findall(r'data-csv="(.*?)"', page)
    assert answer.startswith("American Goldfinch,")
    assert answer.endswith(",Spinus tristis,Goldzeisig")


def boxes_on(page: str, element: str) -> list[str]:
    """Where the elements of this name lie on the photo: x, y, width and height, as far as they are given."""
    return [
        ",".join(re.findall(r'(?:x|y|width|height)="([\d.]+)%"', tag)) for tag in re.findall(f"<{element} .*?>", page)
    ]


def blue_and_yellow() -> bytes:
    """A photo whose left half is blue, and whose right half is yellow."""
    image = Image.new("RGB", (64, 48), "blue")
    image.paste("yellow", (32, 0, 64, 48))
    return encoded(image, "PNG")


def test_the_answer_about_a_part_of_the_photo_marks_it(client):
    answer = client.post("/cards", data={"bird_image": (io.BytesIO(blue_and_yellow()), "b.png"), "crop": "0.6,0,0.3,1"})
    page = answer.text
    assert species_on(page) == "Goldfinch"
    assert boxes_on(page, "rect") == boxes_on(page, "image") == ["60.00,0.00,30.00,100.00"]
    assert 'data-region="0.6000,0.0000,0.3000,1.0000"' in page
    assert "This answer is about the marked part of the photo (right)." in page
    assert thumbnail_on(page).size == (64, 48)


def test_an_answer_about_the_whole_photo_marks_nothing_and_shows_what_the_network_looked_at(client):
    page = post(client, {"bird.png": blue_and_yellow()})
    assert (boxes_on(page, "rect"), boxes_on(page, "image")) == ([], ["100,100"])
    assert "This answer is about" not in page
    assert "Show what it looked at</summary>" in page
    assert re.search(r"<p>It looked .+ of the photo\. The stronger the color, the more that place spoke for", page)


def test_an_answer_of_a_network_without_a_map_has_no_button_for_it(make_client, photo):
    class WithoutMap(ColorClassifier):
        def classify(self, pixels, *arguments, **options):
            return replace(super().classify(pixels), activation=())

    page = post(make_client(WithoutMap()), {"bird.png": photo})
    assert species_on(page) == "Goldfinch"
    assert "what it looked at" not in page
    assert '<svg class="over' not in page


def test_two_birds_are_two_answers_on_one_card_and_programs_read_the_first(make_client):
    page = post(make_client(HalvesClassifier()), {"bird.png": blue_and_yellow()})
    assert "2 birds found" in page
    assert species_on(page) == "Bluebird"
    assert percent_on(page) > 90
    assert headings_on(page) == [
        "1. We think this is: Bluebird",
        "2. We think this is: Goldfinch",
    ]
    assert len(re.findall(r'<p class="confidence">.*?9\d\.\d %', page, re.DOTALL)) == 2
    assert boxes_on(page, "rect") == ["0.00,0.00,50.00,100.00", "50.00,0.00,50.00,100.00"]
    assert re.findall(r"<text .*?>(.+?)</text>", page) == ["1", "2"]
    assert re.findall(r"looked at \((.+?)\)</summary>", page) == ["1.&nbsp;Bluebird", "2.&nbsp;Goldfinch"]
    assert page.count("<meter") == 10
    assert "marked 2 (right)." in page


def test_each_of_two_birds_may_be_unsure(make_client):
    client = make_client(HalvesClassifier(), env={"BIRD_UNSURE_BELOW": "0.9"})
    image = Image.open(io.BytesIO(blue_and_yellow()))
    image.paste((130, 100, 60), (32, 0, 64, 48))
    page = post(client, {"bird.png": encoded(image, "PNG")})
    assert headings_on(page) == [
        "1. We think this is: Bluebird",
        "2. Not sure. It may be any of these:",
    ]


def test_the_row_of_a_card_has_the_part_of_the_photo_that_was_asked_for(client, photo):
    files = {"bird_image": (io.BytesIO(photo), "bird.png"), "crop": "0,0.5,1,0.5"}
    [answer] = re.findall(r'data-csv="(.*?)"', client.post("/cards", data=files).text)
    [cells] = csv.reader(io.StringIO(unescape(answer)))
    assert dict(zip(csv_export.header()[2:], cells, strict=True))["region"] == "0.0000,0.5000,1.0000,0.5000"


def test_labels_with_markup_are_escaped(make_client, photo):
    client = make_client(ColorClassifier(tuple(f"<b>{label}</b>" for label in COLORS)))
    page = post(client, {"bird.png": photo})
    assert "Predicted : &lt;b&gt;Goldfinch" in page
    assert "<b>" not in page


def test_a_label_written_for_programs_is_shown_and_looked_up_as_a_name_and_stays_in_what_programs_read(
    make_client, photo
):
    client = make_client(ColorClassifier(tuple(f"{number:03}.{bird}_Bird" for number, bird in enumerate(COLORS))))
    page = post(client, {"bird.png": photo})
    assert headings_on(page) == ["We think this is: Goldfinch Bird"]
    assert "<title>Goldfinch Bird – " in page
    assert "search=Goldfinch%20Bird" in page
    assert ">Look up in Wikipedia<" in page
    assert page.count("003.Goldfinch_Bird") == 2  # by contract, and in the row of the CSV list
    assert species_on(page) == "003.Goldfinch_Bird"
    assert 'data-csv="003.Goldfinch_Bird,' in page


def test_the_species_are_sorted_by_their_names_and_found_by_name_and_by_label(make_client):
    client = make_client(ColorClassifier(("9.Auk", "8.Wren", "7.Red_Kite", "6.Tit", "5.Emu", "4.Owl")))

    def found(query: str) -> list[str]:
        return re.findall(r'rel="noreferrer"[^>]*>(.+?)</a>', client.get(f"/species?q={query}").text)

    assert found("") == ["Auk", "Emu", "Owl", "Red Kite", "Tit", "Wren"]
    assert found("red+kite") == found("red_kite") == found("7.red") == ["Red Kite"]


@pytest.mark.parametrize(
    ("position", "sentences"),
    [
        (Position(None, 1), ("It is being looked at now.", "The answer should be here in a second.")),
        (Position(0, 2), ("It is the next one.", "The answer should be here in about 2 seconds.")),
        (Position(1, 3), ("1 photo is before it.", "The answer should be here in about 3 seconds.")),
        (Position(7, 9), ("7 photos are before it.", "The answer should be here in about 9 seconds.")),
    ],
)
def test_a_photo_that_waits_for_a_worker_is_shown_with_its_position(make_client, photo, position, sentences):
    workers = ColorWorkers()
    client = make_client(workers)
    workers.found = position
    card = post(client, {"bird.png": photo}, "/cards")
    assert all(sentence in card for sentence in sentences)
    assert 'data-job="/cards/job" data-pending' in card
    assert thumbnail_on(card).size == (64, 48)
    assert NOT_YET in card
    workers.found = ColorClassifier().classify(np.full((224, 224, 3), (255, 255, 0), "uint8"))
    later = client.get("/cards/job").text
    assert species_on(later) == "Goldfinch"
    assert "data-pending" not in later


def test_one_photo_that_waits_for_a_worker_gets_a_page_of_its_own(make_client, photo):
    workers = ColorWorkers()
    client = make_client(workers)
    workers.found = Position(3, 30)
    answer = client.post("/", data={"bird_image": (io.BytesIO(photo), "bird.png")})
    assert (answer.status_code, answer.location) == (303, "/identifications/job")
    page = client.get(answer.location)
    assert page.status_code == 200
    assert "3 photos are before it." in page.text
    assert '<meta http-equiv="refresh" content="10">' in page.text
    assert page.headers["Cache-Control"] == "no-store"


def test_of_several_photos_only_the_first_is_waited_for(make_client, photo):
    waits = []

    class Watched(ColorWorkers):
        def classify(self, pixels, wait=None, **options):
            waits.append(wait)
            return super().classify(pixels, wait)

    workers = Watched()
    workers.found = Position(0, 1)
    page = post(make_client(workers), {f"{number}.png": photo for number in range(3)})
    assert page.count("It is the next one.") == 3
    assert waits == [None, 0, 0]


def test_what_a_worker_fails_on_is_said_on_the_card_of_that_photo_alone(make_client, photo):
    class FailsOnBlue(ColorWorkers):
        def classify(self, pixels, wait=None, **options):
            if pixels.mean(axis=(0, 1))[2] > 200:
                raise JobFailedError
            return super().classify(pixels, wait)

    page = post(make_client(FailsOnBlue()), {"blue.jpg": dated_photo(), "yellow.png": photo})
    assert str(JobFailedError()) in page
    assert species_on(page) == "Goldfinch"


def test_when_the_queue_is_full_the_other_photos_of_a_form_are_not_tried(make_client, photo):
    tried = []

    class Full(ColorWorkers):
        def classify(self, pixels, wait=None, **options):
            tried.append(pixels)
            raise BusyError(3, 1.0)

    page = post(make_client(Full()), {f"{number}.png": photo for number in range(4)})
    assert page.count('role="alert">The app is busy: 3 photos are in line.') == 4
    assert len(tried) == 1
