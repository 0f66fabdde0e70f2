"""From a wrong answer to a right one: corrections, review, export, training and promotion, with nothing stood in for.

Only the network is a small one, which learns colors in seconds (``tests/support/small_pair.py``).
"""

import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from inference import LABELS_FILE, MODEL_FILE
from inference.classifier import Classifier
from inference.loader import load_classifier
from inference.pair import check_pair
from inference.photo import open_photo
from tests.support import servers
from tests.support.browsing import cards
from tests.support.pictures import draw_pictures

REVIEW_KEY = "a key for the tests, long enough"
KEEP = "You may keep this photo and use it to train the model."
COUNT = 14  # photos of a species that the model does not know: a fifth of them, by chance, is not learned from


@dataclass
class Site:
    """A folder with everything, and an app that serves the pair in it.

    :ivar links: under which visitors can delete their corrections, in the order in which they came in.
    """

    folder: Path
    address: str = ""
    process: subprocess.Popen[bytes] | None = None
    links: list[str] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, str]:
        """The environment variables of the app."""
        kept = self.folder / "kept"
        return {
            "BIRD_MODEL": str(self.folder / "models" / MODEL_FILE),
            "BIRD_LABELS": str(self.folder / "models" / LABELS_FILE),
            "BIRD_FEEDBACK": "1",
            "BIRD_DATABASE_URL": f"sqlite:///{kept / 'feedback.db'}",
            "BIRD_PHOTO_STORE": str(kept / "photos"),
            "BIRD_REVIEW_KEY": REVIEW_KEY,
            "BIRD_SECRET_KEY": "the same before and after a reload",
        }

    def run(self, *command: str) -> str:
        """Run a command of the project to its successful end; what it printed."""
        environment = servers.environment(1, self.folder / "uploads", **self.settings)
        ended = subprocess.run(
            [sys.executable, "-m", *command], cwd=servers.ROOT, env=environment, capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout + ended.stderr

    def train(self, *options: str) -> str:
        """Train on the data in the folder; what training printed."""
        models = str(self.folder / "models")
        return self.run("tests.support.small_pair", str(self.folder / "data"), "--output", models, *options)

    def export(self) -> str:
        """Export the accepted corrections; what the command printed."""
        return self.run("flask", "--app", "application", "feedback", "export", str(self.folder / "export"))

    def exported(self) -> list[Path]:
        """The photos in the export."""
        return sorted((self.folder / "export").glob("*/*.jpg"))

    def photos_kept(self) -> int:
        """How many photos are in the store."""
        return len(list((self.folder / "kept" / "photos").glob("*.jpg")))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose model knows blue and amber lights, and photos of green ones."""
    site = Site(tmp_path_factory.mktemp("loop"))
    for seed, (split, count) in enumerate([("train", 16), ("validation", 6), ("test", 6)]):
        draw_pictures(site.folder / "data" / split / "Blue Light", count, "blue", seed)
        draw_pictures(site.folder / "data" / split / "Amber Light", count, "orange", seed)
    draw_pictures(site.folder / "green", COUNT + 1, "lime", 7)
    site.train("--weights", "none", "--epochs", "4")
    port = servers.free_port()
    site.address = f"http://127.0.0.1:{port}"
    environment = servers.environment(port, site.folder / "uploads", **site.settings)
    site.process = subprocess.Popen(servers.GUNICORN, cwd=servers.ROOT, env=environment)
    try:
        servers.wait_until_it_answers(site.address, site.process)
        yield site
    finally:
        site.process.terminate()
        site.process.wait(timeout=40)


def ask(page: Page, photo: Path) -> str:
    """Send a photo; the label that the app gives to it."""
    page.locator("#bird_image").set_input_files(photo)
    card = cards(page).last
    expect(card.get_by_text("Predicted : ")).to_be_attached()
    return card.get_by_text("Predicted : ").text_content().removeprefix("Predicted : ")


def correct(page: Page, species: str) -> str:
    """Say of the last answer what it should have been, and let the photo be kept; the link to delete that."""
    form = cards(page).last.locator(".feedback")
    form.get_by_label(KEEP).check()
    form.get_by_text("No, it is …").click()
    form.get_by_label("Which bird is it?").fill(species)
    form.get_by_role("button", name="Send", exact=True).click()
    return form.locator("a.address").inner_text()


def delete(page: Page, link: str) -> None:
    """Delete a correction under its link."""
    page.goto(link)
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_role("heading", name="Deleted")).to_be_visible()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(link)


def sign_in(page: Page, address: str) -> None:
    """Open the review page."""
    page.goto(f"{address}/review")
    page.get_by_label("Review key").fill(REVIEW_KEY)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def names(classifier: Classifier, photo: Path) -> str:
    """What a network says that a photo shows."""
    return classifier.classify(open_photo(photo).pixels()).label


def test_corrections_become_a_model_that_gives_the_right_answer(browser: Browser, site: Site):
    page = browser.new_context().new_page()
    page.goto(site.address)
    *photos, unseen = sorted((site.folder / "green").glob("*.jpg"))
    assert ask(page, unseen) != "Green Light"

    # Visitors correct wrong answers. One of them deletes that before anybody has looked at it.
    for photo in photos:
        assert ask(page, photo) in ("Blue Light", "Amber Light")
        site.links.append(correct(page, "Green Light"))
    assert site.photos_kept() == COUNT
    visitor = browser.new_context().new_page()
    delete(visitor, site.links[0])
    assert site.photos_kept() == COUNT - 1

    # The operator accepts the others. One of them is deleted by its visitor afterwards.
    assert "Written: 0 photos." in site.export()
    assert not site.exported()
    reviewer = browser.new_context().new_page()
    sign_in(reviewer, site.address)
    articles = reviewer.get_by_role("article")
    expect(articles).to_have_count(COUNT - 1)
    for article in articles.all():
        article.get_by_role("checkbox").check()
    reviewer.keyboard.press("l")  # the model does not know this name, so the operator chooses a label
    reviewer.keyboard.type("Green Light")
    reviewer.keyboard.press("Enter")
    expect(reviewer.locator("#done")).to_contain_text(f"Accepted: {COUNT - 1} corrections.")
    delete(visitor, site.links[1])

    # The export has the rest; one that is deleted after it goes with the next one.
    site.export()
    assert len(site.exported()) == COUNT - 2
    assert {photo.parent.name for photo in site.exported()} == {"Green Light"}
    delete(visitor, site.links[2])
    site.export()
    assert len(site.exported()) == site.photos_kept() == COUNT - 3

    # Training goes on from the pair in use, and the new one takes its place because it is better.
    models = site.folder / "models"
    printed = site.train("--more", str(site.folder / "export"), "--weights", str(models / MODEL_FILE), "--epochs", "8")
    assert "corrections held out 0 → " in printed
    assert "Promoted." in printed
    before = load_classifier(check_pair(models / "previous" / MODEL_FILE, models / "previous" / LABELS_FILE))
    assert names(before, unseen) != "Green Light"

    # The site takes it without a pause, and now gives the right answer.
    assert site.process is not None
    site.process.send_signal(signal.SIGHUP)
    servers.until(lambda: answer_to(browser, site, unseen) == "Green Light", seconds=60)

    # Who deletes a correction now, deletes the photo and its copy in the export; the next training is without it.
    delete(visitor, site.links[3])
    site.export()
    assert len(site.exported()) == site.photos_kept() == COUNT - 4


def answer_to(browser: Browser, site: Site, photo: Path) -> str:
    """What the site says of a photo in a new window."""
    page = browser.new_context().new_page()
    page.goto(site.address)
    try:
        return ask(page, photo)
    finally:
        page.context.close()
