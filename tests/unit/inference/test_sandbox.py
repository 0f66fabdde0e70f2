"""inference/sandbox.py and decoder.py: photos are decoded in a process of their own, within limits."""

import contextlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image, ImageCms

from inference import MAX_PIXELS, PICTURE_SIDE, decoder
from inference.errors import DamagedError, PhotoError, TooCostlyError
from inference.photo import open_photo
from inference.regions import Region
from inference.sandbox import Sandbox
from tests.support.drawings import encoded
from tests.support.photographs import TOO_COSTLY, progressive_bomb
from tests.support.servers import ROOT, until


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox that has been started."""
    sandbox = Sandbox()
    sandbox.start()
    yield sandbox
    sandbox.process.kill()
    sandbox.process.communicate()


def test_it_gives_what_open_photo_gives(sandbox, goldfinch):
    reading = sandbox.read(io.BytesIO(goldfinch))
    photo = open_photo(io.BytesIO(goldfinch))
    np.testing.assert_array_equal(reading.pixels, photo.pixels())
    assert reading.thumbnail == photo.thumbnail()
    assert reading.taken is None
    assert reading.seconds["decode"] > 0
    assert reading.seconds["thumbnail"] > 0


def test_it_gives_the_time_at_which_a_photo_was_taken(sandbox):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2026:05:03 06:01:02"
    photo = encoded(Image.new("RGB", (60, 40)), "JPEG", exif=exif)
    assert sandbox.read(io.BytesIO(photo)).taken == datetime(2026, 5, 3, 6, 1, 2)


def test_a_file_of_this_machine_is_read_by_its_path_without_a_thumbnail(sandbox, goldfinch, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("bird.jpg").write_bytes(goldfinch)
    reading = sandbox.read_path("bird.jpg")
    np.testing.assert_array_equal(reading.pixels, open_photo("bird.jpg").pixels())
    assert reading.thumbnail == b""


def test_a_path_that_cannot_be_read_gets_a_sentence_and_the_next_one_is_read(sandbox, goldfinch, tmp_path):
    for path in (tmp_path, tmp_path / "none.jpg"):
        with pytest.raises(PhotoError, match=r"^The file cannot be read: .+\.$"):
            sandbox.read_path(path)
    sandbox.read(io.BytesIO(goldfinch))


def test_of_a_region_it_gives_the_pixels_and_the_thumbnail_of_the_whole_photo(sandbox, goldfinch):
    region = Region(0.3333333333333333, 0.1, 0.5, 0.25)
    reading = sandbox.read(io.BytesIO(goldfinch), region)
    photo = open_photo(io.BytesIO(goldfinch), region=region)
    np.testing.assert_array_equal(reading.pixels, photo.pixels())
    assert reading.thumbnail == photo.thumbnail()
    assert reading.size == photo.size
    np.testing.assert_array_equal(
        sandbox.read(io.BytesIO(goldfinch)).pixels, open_photo(io.BytesIO(goldfinch)).pixels()
    )


def test_a_picture_is_read_of_a_file_and_by_its_path(sandbox, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    large = encoded(Image.radial_gradient("L").resize((2400, 1600)), "JPEG")
    Path("bird.jpg").write_bytes(large)
    expected = open_photo("bird.jpg", for_picture=True).picture()
    assert expected.shape == (1195, PICTURE_SIDE, 3)
    file = io.BytesIO(large)
    file.seek(1000)
    for source in (file, "bird.jpg", tmp_path / "bird.jpg"):
        np.testing.assert_array_equal(sandbox.read_picture(source), expected)


def test_a_picture_that_cannot_be_read_gets_a_sentence_and_the_next_one_is_read(sandbox, goldfinch, tmp_path):
    sandbox.read_picture(io.BytesIO(goldfinch))
    reader = sandbox.process
    for path in (tmp_path, tmp_path / "none.jpg"):
        with pytest.raises(PhotoError, match=r"^The file cannot be read: .+\.$"):
            sandbox.read_picture(path)
    for content in (b"", b"no photo", goldfinch[: len(goldfinch) // 2]):
        with pytest.raises(PhotoError):
            sandbox.read_picture(io.BytesIO(content))
    assert sandbox.read_picture(io.BytesIO(goldfinch)).shape == (675, 900, 3)
    assert sandbox.process is reader
    with pytest.raises(TooCostlyError):
        sandbox.read_picture(io.BytesIO(progressive_bomb(5000)))
    sandbox.read_picture(io.BytesIO(goldfinch))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "HEIF"])
def test_a_copy_shows_the_whole_photo_upright_and_without_metadata(sandbox, kind):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held sideways
    exif[0x010F] = "a camera of mine"
    exif.get_ifd(0x8825)[1] = "N"  # GPS
    drawn = Image.radial_gradient("L").resize((2400, 1600)).convert("RGB")
    drawn.paste("red", (0, 0, 1200, 1600))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = encoded(drawn, kind, exif=exif, icc_profile=profile)
    assert b"a camera of mine" in photo
    jpeg = sandbox.copy(io.BytesIO(photo))
    copy = Image.open(io.BytesIO(jpeg))
    assert (copy.format, copy.mode) == ("JPEG", "RGB")
    assert copy.size == (1195, PICTURE_SIDE)
    assert set(copy.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert not copy.getexif()
    assert b"camera" not in jpeg
    assert copy.getpixel((600, 100))[0] > 240
    assert copy.getpixel((600, 1700))[0] < 240


def test_a_copy_is_no_larger_than_its_photo_and_what_is_no_photo_is_refused(sandbox, goldfinch):
    assert Image.open(io.BytesIO(sandbox.copy(io.BytesIO(goldfinch)))).size == (900, 675)
    with pytest.raises(PhotoError):
        sandbox.copy(io.BytesIO(b"no photo"))
    assert sandbox.read(io.BytesIO(goldfinch)).thumbnail


def test_stopping_the_process_ends_the_reading_of_a_photo(sandbox):
    bomb = io.BytesIO(progressive_bomb(5000))  # made before the time starts to run
    threading.Timer(0.5, sandbox.stop).start()
    with pytest.raises(PhotoError):
        sandbox.read(bomb)


def test_a_file_is_read_from_its_start(sandbox, goldfinch):
    file = io.BytesIO(goldfinch)
    file.seek(1000)
    sandbox.read(file)


def test_photos_that_arrive_together_are_read_one_after_the_other(sandbox, goldfinch):
    read = []
    threads = [threading.Thread(target=lambda: read.append(sandbox.read(io.BytesIO(goldfinch)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({reading.thumbnail for reading in read}) == 1
    assert len(read) == 8


@pytest.mark.parametrize(
    ("mode", "size", "file_format", "options"),
    [
        ("RGB", (8320, 6240), "JPEG", {}),
        ("RGB", (8320, 6240), "JPEG", {"progressive": True, "subsampling": 0}),
        ("CMYK", (8320, 6240), "JPEG", {}),
        ("RGB", (6000, 4000), "WEBP", {"method": 0}),
    ],
    ids=["JPEG", "progressive JPEG", "JPEG in four inks", "WebP"],
)
def test_of_a_photo_that_is_accepted_every_region_and_the_picture_can_be_read(
    sandbox, mode, size, file_format, options
):
    image = Image.linear_gradient("L").resize(size).convert(mode)
    content = io.BytesIO(encoded(image, file_format, **options))
    assert sandbox.read(content).size == size
    for region in (Region(0.4, 0.4, 0.1, 0.1), Region(0.5, 0.5, 0.02, 0.02), Region(0, 0.3, 1, 0.02)):
        assert sandbox.read(content, region).pixels.shape == (224, 224, 3)
    assert max(sandbox.read_picture(content).shape) == 1792


def test_what_earlier_photos_have_left_behind_in_memory_is_no_reason_to_refuse_one(sandbox):
    large = io.BytesIO(encoded(Image.new("RGB", (6000, 4000)), "WEBP", method=0))  # takes nearly all that it may
    for side in (1000, 2000, 3000):
        sandbox.read(io.BytesIO(encoded(Image.new("RGB", (side, side)), "PNG")))
        sandbox.read_picture(io.BytesIO(encoded(Image.new("RGB", (2 * side, side)), "JPEG")))
        assert sandbox.read(large).size == (6000, 4000)


def test_a_file_that_takes_too_much_memory_is_refused_by_a_process_that_has_read_others(sandbox, goldfinch):
    inks = Image.new("CMYK", (7000, 7000), (9, 90, 40, 0))
    sandbox.read(io.BytesIO(goldfinch))
    with pytest.raises(PhotoError, match=f"^{TOO_COSTLY}$"):
        sandbox.read(io.BytesIO(encoded(inks, "JPEG", progressive=True)))
    sandbox.read(io.BytesIO(goldfinch))


def test_a_file_that_would_take_minutes_is_refused(sandbox, goldfinch):
    sandbox.read(io.BytesIO(goldfinch))
    reader = sandbox.process
    with pytest.raises(TooCostlyError):
        sandbox.read(io.BytesIO(progressive_bomb(5000)))
    assert reader.returncode == -signal.SIGPROF
    sandbox.read(io.BytesIO(goldfinch))


def test_a_crash_in_a_decoder_is_a_damaged_file_and_the_next_one_is_read(sandbox, goldfinch):
    bomb = io.BytesIO(progressive_bomb(5000))
    sandbox.read(io.BytesIO(goldfinch))
    # No file is known that crashes today's decoders: the signal that a crash would raise stands in for it.
    threading.Timer(0.5, sandbox.process.send_signal, [signal.SIGSEGV]).start()
    with pytest.raises(DamagedError):
        sandbox.read(bomb)
    sandbox.read(io.BytesIO(goldfinch))


def test_after_an_error_while_a_file_is_sent_the_next_file_gets_its_own_answer(sandbox, goldfinch):
    class BrokenDisk(io.BytesIO):
        def read(self, size: int = -1) -> bytes:
            if self.tell() > len(goldfinch) // 2:
                raise OSError("disk failure")
            return super().read(min(size, len(goldfinch) // 4))

    expected = sandbox.read(io.BytesIO(goldfinch)).thumbnail
    with pytest.raises(OSError, match="disk failure"):
        sandbox.read(BrokenDisk(goldfinch))
    assert sandbox.read(io.BytesIO(goldfinch)).thumbnail == expected


def test_a_process_that_was_killed_between_two_photos_is_restarted(sandbox, goldfinch):
    sandbox.read(io.BytesIO(goldfinch))
    reader = sandbox.process
    reader.kill()
    reader.wait()
    sandbox.read(io.BytesIO(goldfinch))
    assert sandbox.process is not reader


def test_it_goes_on_after_sigterm_because_the_app_may_still_have_photos_to_answer(sandbox, goldfinch):
    sandbox.read(io.BytesIO(goldfinch))
    reader = sandbox.process
    reader.terminate()
    sandbox.read(io.BytesIO(goldfinch))
    assert sandbox.process is reader


def test_it_ends_when_the_app_is_killed():
    app = subprocess.Popen(
        [sys.executable, "-c", "from inference.sandbox import Sandbox; Sandbox().start(); input()"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
    )
    deadline = time.monotonic() + 20
    while not (readers := psutil.Process(app.pid).children()):
        assert time.monotonic() < deadline
    app.kill()
    app.communicate()
    _gone, alive = psutil.wait_procs(readers, timeout=20)
    assert alive == []


def test_a_process_that_hangs_is_killed_and_the_next_photo_is_read(sandbox, goldfinch, monkeypatch):
    sandbox.read(io.BytesIO(goldfinch))
    monkeypatch.setattr("inference.sandbox.READ_TIMEOUT", 0.5)
    sandbox.process.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(TooCostlyError):
        sandbox.read(io.BytesIO(goldfinch))
    assert time.monotonic() - started < 10
    monkeypatch.undo()
    sandbox.read(io.BytesIO(goldfinch))


# Linux reports them of a running process; other systems have no such files.
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what a process has given up")


def decoder_of(sandbox: Sandbox, goldfinch: bytes) -> psutil.Process:
    """The decoder process, which has read a photo, so that it is ready."""
    sandbox.read(io.BytesIO(goldfinch))
    return psutil.Process(sandbox.process.pid)


def test_the_decoder_is_not_given_the_secrets_of_the_app(goldfinch, monkeypatch):
    secrets = ("BIRD_SECRET_KEY", "BIRD_QUEUE_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "DATABASE_URL")
    for name in secrets:
        monkeypatch.setenv(name, "hunter2")
    sandbox = Sandbox()
    environment = decoder_of(sandbox, goldfinch).environ()
    assert environment.keys().isdisjoint(secrets)
    assert "hunter2" not in environment.values()
    assert environment["PATH"] == os.environ["PATH"]
    sandbox.stop()
    sandbox.process.communicate()


@on_linux
def test_the_decoder_has_no_descriptors_but_its_pipes_and_standard_error(goldfinch, tmp_path):
    with (tmp_path / "opened by the app").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        sandbox = Sandbox()
        process = decoder_of(sandbox, goldfinch)

    def has_only_those() -> bool:
        files = set()
        for path in Path(f"/proc/{process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # after a photo it looks at its own memory in /proc
                files.add(os.readlink(path))
        pipes = {file for file in files if file.startswith("pipe:")}
        return len(pipes) >= 2 and files - pipes <= {os.readlink("/proc/self/fd/2")}

    until(has_only_those, seconds=5)
    sandbox.stop()
    sandbox.process.communicate()


@on_linux
def test_the_decoder_can_gain_no_privileges_and_has_none_but_to_read_files(sandbox, goldfinch):
    status = Path(f"/proc/{decoder_of(sandbox, goldfinch).pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    assert fields["NoNewPrivs"] == "1"
    dac_override, dac_read_search = 1 << 1, 1 << 2
    for name in ("CapPrm", "CapEff"):
        assert int(fields[name], 16) & ~(dac_override | dac_read_search) == 0


ATTEMPTS = """
import json, os, socket, sys
from inference.confinement import confine_process

def attempt(action):
    try:
        action()
        return "done"
    except OSError as error:
        return type(error).__name__

def write():
    with open(sys.argv[2], "w", buffering=1) as file:
        file.write("text\\n")

confine_process()
print(json.dumps({
    "read a file": attempt(lambda: open(sys.argv[3], "rb").read()),
    "write a file": attempt(write),
    "connect": attempt(lambda: socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5)),
    "read the app's environment": attempt(lambda: open(f"/proc/{os.getppid()}/environ", "rb").read()),
    "read the app's memory": attempt(lambda: open(f"/proc/{os.getppid()}/mem", "rb")),
}))
"""


def attempts(photo: Path, folder: Path) -> dict[str, str]:
    """How a confined process fares that tries to do harm."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        arguments = [str(server.getsockname()[1]), str(folder / "written"), str(photo)]
        done = subprocess.run(
            [sys.executable, "-c", ATTEMPTS, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        )
    return json.loads(done.stdout)


def namespaces_can_be_made(*options: str) -> bool:
    """Whether this user may have a network of its own, as in no container that forbids it."""
    command = shutil.which("unshare")
    return command is not None and subprocess.run([command, *options, "true"], capture_output=True).returncode == 0


@on_linux
def test_a_confined_process_reads_files_but_writes_none_and_reaches_neither_the_network_nor_the_app(tmp_path):
    is_root = os.geteuid() == 0
    photo = tmp_path / "bird.jpg"
    photo.write_bytes(b"a photo")
    photo.chmod(0o600)
    if is_root:
        os.chown(photo, 65534, 65534)  # another user's, which root may read
    found = attempts(photo, tmp_path)
    assert found["read a file"] == "done"
    assert found["write a file"] == "OSError"  # EFBIG
    assert not (tmp_path / "written").read_bytes()
    if is_root:
        assert found["read the app's environment"] == found["read the app's memory"] == "PermissionError"
    if namespaces_can_be_made("--net") if is_root else namespaces_can_be_made("--user", "--net"):
        assert found["connect"] == "OSError"  # the network is unreachable
        assert found["read the app's environment"] == found["read the app's memory"] == "PermissionError"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_worker_gets_a_decoder_of_its_own_and_leaves_its_parents_alone(sandbox, goldfinch):
    expected = sandbox.read(io.BytesIO(goldfinch)).thumbnail
    parents_decoder = sandbox.process
    inbox, outbox = os.pipe()
    if (worker := os.fork()) == 0:
        try:
            sandbox.stop()  # has nothing to stop yet
            read = [sandbox.read(io.BytesIO(goldfinch)).thumbnail for _ in range(20)]
            os.write(outbox, json.dumps([read == [expected] * 20, sandbox.process.pid]).encode())
            sandbox.stop()
        finally:
            os._exit(0)
    os.close(outbox)
    assert all(sandbox.read(io.BytesIO(goldfinch)).thumbnail == expected for _ in range(20))
    with open(inbox, "rb") as results:
        all_equal, workers_decoder = json.loads(results.read())
    os.waitpid(worker, 0)
    assert all_equal
    assert workers_decoder != parents_decoder.pid
    assert sandbox.process is parents_decoder
    assert parents_decoder.poll() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_worker_that_is_forked_while_a_photo_is_read_can_read_photos(sandbox, goldfinch):
    bomb = io.BytesIO(progressive_bomb(5000))
    sandbox.read(io.BytesIO(goldfinch))

    def read_bomb() -> None:
        with pytest.raises(PhotoError):
            sandbox.read(bomb)

    reading = threading.Thread(target=read_bomb)
    reading.start()
    time.sleep(0.5)
    if (worker := os.fork()) == 0:
        try:
            sandbox.read(io.BytesIO(goldfinch))
            sandbox.stop()
            os._exit(7)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == 7
    reading.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_decoder_ends_with_its_app_although_a_forked_worker_lives_on():
    program = (
        "import os, sys, time\n"
        "from inference.sandbox import Sandbox\n"
        "sandbox = Sandbox(); sandbox.start(); print(sandbox.process.pid, flush=True)\n"
        "if os.fork() == 0: print(os.getpid(), flush=True); time.sleep(60); os._exit(0)\n"
        "input()"
    )
    app = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    decoder, worker = (psutil.Process(int(app.stdout.readline())) for _ in range(2))
    app.kill()
    app.wait()
    try:
        _gone, alive = psutil.wait_procs([decoder], timeout=20)
        assert alive == []
    finally:
        worker.kill()
        app.communicate()


def test_a_defect_of_ours_in_the_decoder_is_reported_with_its_traceback(goldfinch):
    # Nothing is known that fails in this way: an encoder that is taken out stands in for it.
    program = "import sys; from PIL import Image; from inference import decoder\nImage.SAVE.pop('JPEG'); decoder.main()"
    request = decoder.REQUEST.pack(False, decoder.Wanted.PIXELS, 0, 0, 1, 1, len(goldfinch)) + goldfinch
    done = subprocess.run(
        [sys.executable, "-c", program, str(MAX_PIXELS)], cwd=ROOT, input=2 * request, capture_output=True, check=True
    )
    replies = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(replies) == 2
    assert all("Traceback" in reply["failed"] and "thumbnail" in reply["failed"] for reply in replies)
