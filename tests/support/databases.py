"""PostgreSQL, and moto in place of Amazon S3, as real servers on this machine."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import psycopg
import pytest

from . import brokers, servers

USER, PASSWORD = "birds", "pass%40word"
S3 = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "eu-north-1"}


@dataclass
class PostgreSQL:
    """A cluster of PostgreSQL that can be stopped and started again at the same address."""

    programs: Path
    folder: Path
    port: int

    @property
    def url(self) -> str:
        """For BIRD_DATABASE_URL, of the database that everybody starts with."""
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs, none of which wants to be run by root."""
        as_other = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*as_other, str(self.programs / program), *arguments]
        subprocess.run(command, cwd=self.folder, check=True, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self.run("pg_ctl", "-D", "data", "-l", "log", "-o", options, "-w", "start")

    def stop(self) -> None:
        """Stop the server; connections are closed."""
        self.run("pg_ctl", "-D", "data", "-m", "fast", "-w", "stop")

    def empty(self) -> None:
        """Delete all tables."""
        with psycopg.connect(self.url) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")


@contextlib.contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """Run Debian's PostgreSQL until the block ends."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if not programs:
        pytest.skip("PostgreSQL is not installed")
    # Not in a folder of pytest, into which no other user may look.
    folder = Path(tempfile.mkdtemp(prefix="birds-postgresql-"))
    server = PostgreSQL(programs[-1].parent, folder, servers.free_port())
    (folder / "password").write_text("pass@word")
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    try:
        words = ["-U", USER, "--pwfile", "password", "-A", "scram-sha-256", "--no-sync", "--locale=C.UTF-8"]
        server.run("initdb", "-D", "data", *words)
        server.start()
        try:
            yield server
        finally:
            if (folder / "data" / "postmaster.pid").exists():
                server.stop()
    finally:
        shutil.rmtree(folder)


@dataclass
class Bucket:
    """A bucket of a stand-in for Amazon S3.

    :param environment: what boto3 needs to find it.
    """

    server: brokers.Broker
    environment: dict[str, str]
    name: str = "birds"

    @property
    def place(self) -> str:
        """For BIRD_PHOTO_STORE."""
        return f"s3://{self.name}/from visitors"

    def make(self) -> None:
        """Make the bucket anew: the stand-in keeps nothing when it is stopped."""
        self._client().create_bucket(
            Bucket=self.name, CreateBucketConfiguration={"LocationConstraint": S3["AWS_DEFAULT_REGION"]}
        )

    def photos(self) -> list[str]:
        """The names in it."""
        return [each["Key"] for each in self._client().list_objects_v2(Bucket=self.name).get("Contents", [])]

    def empty(self) -> None:
        """Delete all that is in it."""
        for name in self.photos():
            self._client().delete_object(Bucket=self.name, Key=name)

    def _client(self):
        return boto3.session.Session().client("s3")


@contextlib.contextmanager
def s3(folder: Path) -> Iterator[Bucket]:
    """Run moto with a bucket until the block ends; boto3 in this process finds it meanwhile."""
    server = brokers.sqs(folder)  # moto serves every service of Amazon at the same port
    environment = S3 | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.port}"}
    with brokers.started(server), pytest.MonkeyPatch.context() as here:
        for name, value in environment.items():
            here.setenv(name, value)
        bucket = Bucket(server, environment)
        bucket.make()
        yield bucket
