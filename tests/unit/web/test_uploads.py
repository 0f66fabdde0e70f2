"""web/uploads.py: where a photo lies while it is identified, and which files are accepted."""

import io
import os
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from tests.support.clients import MIB
from tests.support.disk import no_room
from tests.support.pages import sentence_on, species_on
from tests.support.servers import FORM_HEADERS, form, leftovers
from web.uploads import MAX_PHOTOS, prepare_folder


def post(client, content: bytes, name: str = "bird.png", field: str = "bird_image") -> TestResponse:
    return client.post("/", data={field: (io.BytesIO(content), name)}, follow_redirects=True)


def test_the_upload_lies_in_the_folder_under_another_name_while_it_is_identified(make_client, uploads, photo, sandbox):
    seen = []

    def read(file):
        if not isinstance(file, io.BytesIO):  # those are of the warm-up
            seen.append((Path(file.name), leftovers(uploads), file.read()))
        return sandbox.read(file)

    assert species_on(post(make_client(read=read), photo, "goldfinch.png").text) == "Goldfinch"
    [(path, names, content)] = seen
    assert path.parent == uploads
    assert names == [path.name]
    assert "goldfinch" not in path.name
    assert content == photo
    assert leftovers(uploads) == []


def test_a_process_that_starts_meanwhile_and_sweeps_the_folder_does_no_harm(make_client, uploads, photo, sandbox):
    def read(file):
        prepare_folder(uploads)
        return sandbox.read(file)

    answer = post(make_client(read=read), photo)
    assert (answer.status_code, species_on(answer.text)) == (200, "Goldfinch")


@pytest.mark.parametrize("size", [1000, 100_000], ids=["in the buffer", "beyond it"])
def test_a_full_disk_is_not_called_the_clients_mistake(client, uploads, size, caplog):
    with no_room():
        answer = post(client, b"x" * size)
    assert answer.status_code == 503
    assert sentence_on(answer.text) == "There is no room for photos at the moment. Please try again later."
    assert answer.headers["Retry-After"] == "60"
    assert f"BIRD_UPLOADS={uploads}: File too large" in caplog.text
    assert leftovers(uploads) == []
    assert not open_uploads(uploads)


def open_uploads(uploads: Path) -> list[str]:
    """The files of an uploads folder that this process holds open, deleted ones included."""
    targets = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            targets.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        except FileNotFoundError:  # it was that of the folder /proc/self/fd
            continue
    return [target for target in targets if target.startswith(str(uploads))]


def test_a_folder_that_is_gone_is_not_called_the_clients_mistake(client, uploads, photo):
    uploads.rmdir()
    answer = post(client, photo)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    uploads.mkdir()
    assert post(client, photo).status_code == 200


def test_a_form_of_too_many_photos_is_refused_and_opens_few_files(client, uploads, photo):
    class Body(io.BytesIO):
        """The body of a request; it counts the files in the folder whenever it is read."""

        most = 0

        def readinto(self, buffer: bytearray) -> int:
            Body.most = max(Body.most, len(leftovers(uploads)))
            return super().readinto(buffer)

        def read(self, size: int = -1) -> bytes:
            Body.most = max(Body.most, len(leftovers(uploads)))
            return super().read(size)

    part = b'--f9d2c7\r\nContent-Disposition: form-data; name="bird_image"; filename="bird.jpg"\r\n\r\n'
    body = (part + bytes(50_000) + b"\r\n") * 90 + b"--f9d2c7--\r\n"
    client.post("/", input_stream=Body(body), headers=FORM_HEADERS)
    assert sentence_on(client.get("/").text) == "Please send 20 photos at most at once."
    assert Body.most == MAX_PHOTOS == 20
    assert leftovers(uploads) == []


def test_a_form_may_bring_an_empty_field_beside_the_photo(client, photo):
    # The page has two fields of that name: one for the camera, one for files.
    answer = client.post("/", data={"bird_image": [(io.BytesIO(b""), ""), (io.BytesIO(photo), "bird.png")]})
    assert species_on(answer.text) == "Goldfinch"
    assert '<p class="name">bird' not in answer.text


SEND_A_FORM = "Please send a form (multipart/form-data) with the photo in its field bird_image"


def test_an_empty_post_is_refused(client):
    assert sentence_on(client.post("/", follow_redirects=True).text) == "No file uploaded."


@pytest.mark.parametrize("path", ["/", "/cards", "/api/v1/identifications"])
def test_a_photo_in_another_field_is_refused_by_naming_the_right_one(client, uploads, photo, path):
    fields = {"image": (io.BytesIO(photo), "bird.png"), "file": (io.BytesIO(photo), "bird.png")}
    answer = client.post(path, data=fields, follow_redirects=True)
    assert "No file uploaded. Please send the photo in the form" in answer.text
    assert "bird_image, not in " in answer.text
    assert answer.status_code == (200 if path == "/" else 400)
    assert leftovers(uploads) == []


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"\xff\xd8\xff" * 300, "image/jpeg"),
        (b"\xff\xd8\xff" * 300, "application/x-www-form-urlencoded"),  # as curl --data-binary sends it
        (b"\xff\xd8\xff" * 300, None),
        (b'{"bird_image": "/9j/4AAQSkZJRg=="}', "application/json"),
        (b"image=bird.jpg", "application/x-www-form-urlencoded"),
        (b"--f9d2c7--\r\n", "multipart/form-data; boundary=f9d2c7"),
        (form(b"bird", "bird.jpg"), "multipart/form-data; boundary=another"),
        (form(b"bird", "bird.jpg"), "multipart/form-data"),
    ],
    ids=["image", "curl --data-binary", "no type", "JSON", "urlencoded", "empty form", "wrong boundary", "no boundary"],
)
def test_a_post_that_holds_no_file_says_how_to_send_one(client, body, content_type):
    answer = client.post("/", data=body, content_type=content_type, follow_redirects=True)
    assert sentence_on(answer.text) == f"No file uploaded. {SEND_A_FORM}."


@pytest.mark.parametrize("multipart", [True, False], ids=["-F bird_image=bird.jpg", "-d bird_image=@bird.jpg"])
def test_the_name_of_a_file_instead_of_the_file_gets_curls_spelling(client, multipart):
    content_type = "multipart/form-data" if multipart else "application/x-www-form-urlencoded"
    answer = client.post("/", data={"bird_image": "bird.jpg"}, content_type=content_type, follow_redirects=True)
    assert sentence_on(answer.text) == (
        "No file uploaded. The field bird_image holds text. Please send a file in it: curl -F bird_image=@photo.jpg"
    )


def test_a_form_without_a_chosen_file_is_refused(client):
    answer = client.post("/", data=form(b"", ""), headers=FORM_HEADERS, follow_redirects=True)
    assert sentence_on(answer.text) == "No file selected to upload."


PLEASE_SELECT = "Please select a '.jpg', '.jpeg', '.gif', '.png', '.webp', '.heic', '.heif', or a '.avif' file."


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("bird.txt", ".txt"),
        ("bird.TIF", ".tif"),
        ("bird.jpg.exe", ".exe"),
        ("a.<b>&", ".<b>&"),
        ("bird.jpg\0.sh", ".sh"),
        ("bird.g\0ifs", ".gifs"),
        ("bird.\u202etxt", ".txt"),  # shown as "bird.txt" written backwards
        ("bird." + "x" * 5000, "." + "x" * 19),
    ],
)
@pytest.mark.parametrize("content", [b"a goldfinch", b"II*\0\x08\0\0\0", b"\0\0\0\x20ftypisom\0\0\2\0", b""])
def test_a_file_of_another_kind_is_refused_by_its_extension(client, uploads, content, name, extension):
    assert sentence_on(post(client, content, name).text) == (
        f"The file type you selected: '{extension}' is not supported. {PLEASE_SELECT}"
    )
    assert leftovers(uploads) == []


@pytest.mark.parametrize("name", ["blob", "1000012345", "../../etc/passwd", ".jpg"])
def test_a_file_of_another_kind_without_an_extension_is_refused(client, name):
    assert sentence_on(post(client, b"a goldfinch", name).text) == (
        f"The file you selected is of no supported type. {PLEASE_SELECT}"
    )


@pytest.mark.parametrize(
    "name",
    [
        "bird.JPG",
        "bird.jfif",
        "bird.JPE",
        "bird.jpg_large",
        "DSC00012.HIF",
        "bird.jpg?width=200",
        "bird.jpg.crdownload",
        "IMG_1.JPG ",
        "bird.png.",
        "bird.txt",
        "blob",
        "../../bird",
        "a\0b.gif",
        "x" * 5000 + ".jpg",
    ],
)
def test_a_photo_is_identified_whatever_its_name(client, uploads, photo, name):
    assert species_on(post(client, photo, name).text) == "Goldfinch"
    assert leftovers(uploads) == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"<html>", "is not a picture"), (b"", "is not a picture"), (None, "is damaged or cut short")],
)
def test_a_file_that_is_no_whole_image_is_refused(client, uploads, photo, content, sentence):
    content = photo[: len(photo) // 2] if content is None else content
    assert sentence in sentence_on(post(client, content).text)
    assert leftovers(uploads) == []


def test_a_form_of_ten_thousand_parts_or_with_a_long_field_is_refused(client, uploads):
    part = '--f9d2c7\r\nContent-Disposition: form-data; name="bird_image"; filename="bird.jpg"\r\n\r\n'
    field = '--f9d2c7\r\nContent-Disposition: form-data; name="comment"\r\n\r\n'
    many_parts = (part + "x\r\n") * 10_000 + "--f9d2c7--\r\n"
    long_field = field + "x" * 600_000 + "\r\n--f9d2c7--\r\n"
    for body in (many_parts, long_field):
        answer = client.post("/", data=body.encode(), headers=FORM_HEADERS, follow_redirects=True)
        assert sentence_on(answer.text) == (
            "The upload holds too many or too long fields. Please send photos and nothing else."
        )
    assert leftovers(uploads) == []


def test_the_extensions_and_limits_in_the_page_are_those_that_the_app_accepts(make_client):
    page = make_client(env={"BIRD_MAX_CONTENT_LENGTH": str(3 * MIB)}).get("/").text
    assert 'accept=".jpg,.jpeg,.gif,.png,.webp,.heic,.heif,.avif,.jfif,' in page
    assert ">.jpg, .jpeg, .gif, .png, .webp, .heic, .heif, .avif<" in page
    assert f'data-bytes="{3 * MIB}"' in page
    assert f'data-most="{MAX_PHOTOS}"' in page
