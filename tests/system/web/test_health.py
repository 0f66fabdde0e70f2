"""web/health.py on a real server. tests/unit/web/test_health.py has the other reasons not to be healthy."""

from tests.support.split import health


def test_an_app_that_cannot_store_photos_is_not_healthy_until_it_can(server):
    address, uploads = server
    assert health(address)[0] == 200
    uploads.rmdir()
    try:
        uploads.touch()  # a file in the folder's place
        status, about = health(address)
        assert (status, about["reason"]) == (503, "no photo can be stored: Not a directory")
        uploads.unlink()
        assert health(address)[0] == 503
    finally:
        uploads.unlink(missing_ok=True)
        uploads.mkdir()
    assert health(address)[0] == 200
    assert list(uploads.iterdir()) == []
