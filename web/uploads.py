"""Uploaded photos: where they are kept while they are identified, and which of them are accepted."""

import contextlib
import errno
import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from flask import Request, current_app, request
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import (
    BadRequest,
    ClientDisconnected,
    RequestEntityTooLarge,
    ServiceUnavailable,
    UnprocessableEntity,
    UnsupportedMediaType,
)

from inference.errors import printable
from inference.formats import EXTENSIONS, FORMATS, SIGNATURE, has_accepted_signature
from inference.regions import Region, RegionError
from inference.sentences import Sentence, counted, sentence_of
from jobs import retry_after
from settings import SettingError

from .rate_limit import count_further_photos, most_photos
from .sender import current_sender
from .services import current_services
from .telemetry import stage

MAX_PHOTOS = 20  # in one form
FIELD = "bird_image"
SUFFIX = ".upload"
SHOWN = 20  # characters of an extension or a field that a sentence repeats
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
#: The header with which a proxy (.platform/nginx) says that it does not pass the body on, because it is too large.
#: The page's script sends it, too, to get the answer to a photo that it cannot make small enough to send.
TOO_LARGE = "X-Body-Too-Large"

_USUAL = [f"'{extension}'" for extension in FORMATS]
_PLEASE_SELECT = Sentence(
    "Please select a %(extensions)s, or a %(last)s file.", extensions=", ".join(_USUAL[:-1]), last=_USUAL[-1]
)
UNSUPPORTED_FILE_TYPE = Sentence("The file type you selected: '%(extension)s' is not supported. %(please_select)s")
UNKNOWN_FILE_TYPE = Sentence(
    "The file you selected is of no supported type. %(please_select)s", please_select=_PLEASE_SELECT
)
NO_FILE = Sentence("No file uploaded.")
SEND_A_FORM = Sentence("Please send a form (multipart/form-data) with the photo in its field %(field)s.", field=FIELD)

log = logging.getLogger(__name__)


class UploadRequest(Request):
    """A request whose photos are kept in the uploads folder, under random names, until it has been answered.

    They are written there once, as they arrive. They stay readable even if another process starts meanwhile and
    empties the folder. Files beyond ``MAX_PHOTOS`` are left to Werkzeug, which keeps small ones in memory, so that a
    hundred of them do not take a hundred open files.
    """

    def __init__(self, environ: dict[str, Any], **options: Any) -> None:
        super().__init__(environ, **options)
        self._uploads: list[IO[bytes]] = []

    def _get_file_stream(self, *arguments: Any, **options: Any) -> IO[bytes]:
        if len(self._uploads) == MAX_PHOTOS:
            return super()._get_file_stream(*arguments, **options)
        upload = tempfile.NamedTemporaryFile(  # noqa: SIM115  close() closes it
            dir=current_services().settings.uploads, prefix="", suffix=SUFFIX
        )
        self._uploads.append(upload)
        return upload

    def body(self) -> IO[bytes]:
        """Receive the body, which is a photo and not a form, into a file in the uploads folder."""
        upload = self._get_file_stream()
        shutil.copyfileobj(self.stream, upload)
        upload.flush()
        return upload

    def close(self) -> None:
        """Delete the photos."""
        super().close()
        for upload in self._uploads:
            with contextlib.suppress(OSError):  # it was deleted; or the disk is full, and its last bytes are lost
                upload.close()


class BrokenUploadError(BadRequest):
    """The body of the request is malformed, or was interrupted: there is nothing left to read."""

    description = Sentence("The upload was interrupted or is malformed. Please send it again.")


class RefusedError(BadRequest):
    """The request holds no photo, or too many; the description is a sentence for the person who sent it."""


#: What the sender has done wrong: the form is shown again, with a sentence that says what to do.
SENDER_ERRORS = (RefusedError, RequestEntityTooLarge, UnsupportedMediaType, UnprocessableEntity)


def received_photos() -> list[FileStorage]:
    """The photos in the form that was posted; at least one.

    :raises BusyError: too many photos are waiting.
    :raises UnavailableError: no worker would identify them.
    :raises RefusedError: there is no photo, or there are too many.
    :raises RequestEntityTooLarge: the form is too large.
    :raises TooManyRequests: the client has sent as many photos as it may.
    """
    check_announced_size()
    current_services().check_admission(current_sender())  # before the work of receiving
    with receiving():
        files = request.files
    if FIELD not in files:
        raise RefusedError(_why_no_file())
    photos = [photo for photo in files.getlist(FIELD) if photo.filename]
    if not photos:
        raise RefusedError(Sentence("No file selected to upload."))
    most = min(MAX_PHOTOS, most_photos() or MAX_PHOTOS)
    if len(photos) > most:
        raise RefusedError(
            counted("Please send one photo at a time.", "Please send %(num)s photos at most at once.", most)
        )
    count_further_photos(len(photos) - 1)
    return photos


def received_photo() -> FileStorage:
    """The one photo in the form that was posted.

    :raises RefusedError: there is none, or more than one; and what ``received_photos`` raises.
    """
    photos = received_photos()
    if len(photos) > 1:
        raise RefusedError(Sentence("Please send one photo at a time here."))
    return photos[0]


def received_body() -> BinaryIO:
    """The photo that is the body of the request, or the one in its form.

    :raises RefusedError: there is none, or more than one.
    :raises RequestEntityTooLarge: it is too large.
    :raises UnsupportedMediaType: the body is neither a form nor a photo, or the file in the form is of another kind.
    """
    if request.mimetype == "multipart/form-data":
        return open_upload(received_photo())
    check_announced_size()
    if not request.mimetype and not request.content_length:
        raise RefusedError(NO_FILE)
    if not request.mimetype.startswith("image/"):
        raise UnsupportedMediaType(
            f"{SEND_A_FORM.removesuffix('.')}, or the bytes of the photo with their content type, such as image/jpeg."
        )
    current_services().check_admission(current_sender())
    with receiving():
        body = cast(UploadRequest, request).body()
    if not body.tell():
        raise RefusedError(NO_FILE)
    return cast(BinaryIO, body)


def requested_region() -> Region | None:
    """The part of the photo that the client wants to be looked at, ``crop`` in the address or in the form.

    :raises RefusedError: there is no such part.
    """
    crop = request.args.get("crop") or request.form.get("crop")
    try:
        return Region.parse(crop) if crop else None
    except RegionError as error:
        raise RefusedError(sentence_of(error)) from error


def open_upload(photo: FileStorage) -> BinaryIO:
    """A file from a form, if it is a photo by its content, or at least by its name.

    :raises UnsupportedMediaType: it is of another kind.
    """
    file = cast(BinaryIO, photo.stream)
    is_photo = has_accepted_signature(file.read(SIGNATURE))
    file.seek(0)
    extension = Path(photo.filename or "").suffix.lower()
    if is_photo or extension in EXTENSIONS:
        return file
    if not extension:
        raise UnsupportedMediaType(UNKNOWN_FILE_TYPE)
    shown = printable(extension[:SHOWN])
    raise UnsupportedMediaType(UNSUPPORTED_FILE_TYPE.given(extension=shown, please_select=_PLEASE_SELECT))


def _why_no_file() -> Sentence:
    """The sentence for a request without a file in the field ``FIELD``: why that is, and what to do."""
    if other := next(iter(request.files), None):
        what_to_do = Sentence(
            "Please send the photo in the form's field %(field)s, not in '%(other)s'.",
            field=FIELD,
            other=printable(other[:SHOWN]),
        )
    elif FIELD in request.form:
        what_to_do = Sentence(
            "The field %(field)s holds text. Please send a file in it: curl -F %(field)s=@photo.jpg", field=FIELD
        )
    elif request.mimetype or request.content_length:
        what_to_do = SEND_A_FORM
    else:
        return NO_FILE
    return Sentence("%(sentence)s %(next_sentence)s", sentence=NO_FILE, next_sentence=what_to_do)


def check_announced_size() -> None:
    """Answer as if the photo had arrived, if a proxy or the page's script says that it was too large to be sent.

    :raises RequestEntityTooLarge: it says so.
    """
    if TOO_LARGE in request.headers:
        raise RequestEntityTooLarge


@contextlib.contextmanager
def receiving() -> Iterator[None]:
    """Turn what goes wrong while the block reads the body of the request into HTTP errors.

    :raises BrokenUploadError: the body is not what its headers announce, or it was interrupted.
    :raises ServiceUnavailable: it cannot be stored, which is not the client's mistake.
    """
    try:
        with stage("receive"):
            yield
    except ClientDisconnected as error:
        raise BrokenUploadError from error
    except Exception as error:
        if _is_gunicorns(error):
            raise BrokenUploadError from error
        if not isinstance(error, OSError):
            raise
        current_app.logger.error("BIRD_UPLOADS=%s: %s", current_services().settings.uploads, error.strerror)
        raise ServiceUnavailable(
            Sentence("There is no room for photos at the moment. Please try again later."),
            retry_after=retry_after.DISK_FULL,
        ) from error


def _is_gunicorns(error: Exception) -> bool:
    """Whether gunicorn has raised it over a malformed body. gunicorn cannot be imported on Windows."""
    return type(error).__module__ == "gunicorn.http.errors"


def prepare_folder(folder: Path) -> None:
    """Make the uploads folder, and delete what a killed process left in it.

    :raises SettingError: it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(f"*{SUFFIX}"):
            leftover.unlink(missing_ok=True)
    except OSError as error:
        raise SettingError(f"BIRD_UPLOADS={folder} cannot be used: {error.strerror}.") from error
    try:
        check_writable(folder)
    except OSError as error:
        if error.errno in DISK_FULL:  # the operator can make room while the app is running; /healthz says so
            log.error("BIRD_UPLOADS=%s: %s", folder, error.strerror)
            return
        raise SettingError(f"BIRD_UPLOADS={folder} cannot be written to: {error.strerror}.") from error


def check_writable(folder: Path) -> None:
    """Try to store something in the uploads folder.

    :raises OSError: no photo can be stored there: it is gone, read-only, or the disk is full.
    """
    probe = tempfile.NamedTemporaryFile(dir=folder, prefix="", suffix=SUFFIX)  # noqa: SIM115  closed below
    try:
        probe.write(b"\0")
        probe.flush()
    finally:
        with contextlib.suppress(FileNotFoundError):  # another process that starts has just swept the folder
            probe.close()
