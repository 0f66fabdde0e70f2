"""How long the review page takes with many corrections: python -m benchmarks.review

They are written into a temporary SQLite; with BIRD_DATABASE_URL=postgresql://… into that database as well, which must
be empty. The page is asked of the app in this process, with a stand-in for the network.
"""

import logging
import os
import random
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from flask.testing import FlaskClient
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from feedback.limits import now
from feedback.opening import open_database
from feedback.schema import Claim, Correction, Status
from inference.sandbox import Sandbox
from tests.support import seam
from tests.support.corrections import REVIEW_KEY, correction, feedback_settings

CORRECTIONS = 10_000
DAYS = 365
CLIENTS = 2_000
ROUNDS = 20
SPECIES = [f"Species {number}" for number in range(500)]
#: The addresses that are asked for, by what they show.
PAGES = {
    "new": "/review",
    "all": "/review?status=any",
    "of a species": "/review?status=any&species=Species+7",
    "the last": "/review?status=any&after=1",
    "with a photo": "/review?status=any&photo=1",
}


def some_correction(number: int) -> Correction:
    """One of many: most have a photo, some are near-duplicates, and half have been decided about."""
    chance = random.Random(number)
    claim = chance.choice(list(Claim))
    predicted = chance.choice(SPECIES)
    claimed = {Claim.RIGHT: predicted, Claim.SPECIES: chance.choice(SPECIES)}.get(claim, "")
    status = chance.choice([Status.NEW, Status.NEW, Status.ACCEPTED, Status.REJECTED])
    has_photo = chance.random() < 0.8
    return correction(
        number, created=now() - timedelta(days=DAYS * chance.random()), client=f"client {chance.randrange(CLIENTS)}",
        predicted=predicted, confidence=chance.random(), claim=claim, claimed=claimed, is_known=bool(claimed),
        photo=f"{number:032x}" if has_photo else "", photo_bytes=200_000 * has_photo,
        duplicate_of=chance.randrange(1, number) if has_photo and number > 1 and chance.random() < 0.1 else None,
        status=status, label=predicted if status is Status.ACCEPTED else "",
    )  # fmt: skip


def fill(engine: Engine) -> None:
    """Write the corrections.

    :raises SystemExit: the database is not empty.
    """
    with Session(engine) as session, session.begin():
        if session.scalar(select(func.count()).select_from(Correction)):
            sys.exit("BIRD_DATABASE_URL: there are corrections in this database. Give an empty one.")
        session.add_all(some_correction(number) for number in range(1, CORRECTIONS + 1))


def signed_in(folder: Path, url: str, sandbox: Sandbox) -> FlaskClient:
    """A reviewer of an app with this database."""
    env = feedback_settings(folder) | {"BIRD_DATABASE_URL": url}
    app = seam.new_application(folder / "uploads", **env).application
    seam.install(app, sandbox, seam.ColorClassifier())
    client: FlaskClient = app.test_client()
    client.post("/review/key", data={"key": REVIEW_KEY})
    return client


def milliseconds(client: FlaskClient, path: str) -> float:
    """How long a page takes, in the median."""
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        page = client.get(path)
        times.append(1000 * (time.perf_counter() - begun))
        assert page.status_code == 200
        assert "Sign out" in page.text
    return statistics.median(times)


def main() -> None:
    logging.disable(logging.INFO)
    sandbox = Sandbox()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        urls = {"SQLite": f"sqlite:///{folder / 'feedback.db'}", "PostgreSQL": os.environ.get("BIRD_DATABASE_URL", "")}
        for database, url in urls.items():
            if url.startswith(("sqlite:", "postgresql:")):
                fill(open_database(url))
                client = signed_in(folder, url, sandbox)
                pages = ", ".join(f"{what} {milliseconds(client, path):.0f} ms" for what, path in PAGES.items())
                print(f"the review page with {CORRECTIONS:,} corrections in {database}: {pages}", flush=True)


if __name__ == "__main__":
    main()
