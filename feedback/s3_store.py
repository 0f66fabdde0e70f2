"""Photos in a bucket of Amazon S3, or of what speaks like it."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

#: AWS's own variables for the address of another service than Amazon's.
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
NOT_FOUND = "NoSuchKey"


class S3Store:
    """Photos in a bucket: a ``PhotoStore``. Address, region and credentials are those of AWS's own settings.

    :param prefix: of the names of the photos, without a slash at its end; may be empty.
    :raises OSError: the bucket cannot be used.
    """

    def __init__(self, bucket: str, prefix: str) -> None:
        is_amazon = not any(os.environ.get(name) for name in ENDPOINTS)
        config = Config(
            connect_timeout=3,  # seconds
            read_timeout=5,
            retries={"mode": "standard", "total_max_attempts": 2},
            max_pool_connections=32,
            s3={"addressing_style": "auto" if is_amazon else "path"},  # others have no host name for each bucket
            request_checksum_calculation="when_required",  # not all others know the newer ones
            response_checksum_validation="when_required",
        )
        self._bucket, self._prefix = bucket, f"{prefix}/" if prefix else ""
        with _as_os_error():
            self._client = boto3.session.Session().client("s3", config=config)
        self._try_out()

    def write(self, key: str, jpeg: bytes) -> None:
        """Keep a photo."""
        with _as_os_error():
            self._client.put_object(Bucket=self._bucket, Key=self._name(key), Body=jpeg, ContentType="image/jpeg")

    def read(self, key: str) -> bytes | None:
        """A photo."""
        with _as_os_error():
            try:
                response = self._client.get_object(Bucket=self._bucket, Key=self._name(key))
                content: bytes = response["Body"].read()
            except ClientError as error:
                if error.response["Error"]["Code"] == NOT_FOUND:
                    return None
                raise
            return content

    def delete(self, key: str) -> None:
        """Delete a photo."""
        with _as_os_error():
            self._client.delete_object(Bucket=self._bucket, Key=self._name(key))

    def _name(self, key: str) -> str:
        return f"{self._prefix}{key}.jpg"

    def _try_out(self) -> None:
        """:raises OSError: something may not be done here that will have to be."""
        key = f"try-{secrets.token_hex(8)}"
        self.write(key, b"")
        self.read(key)
        self.delete(key)


@contextmanager
def _as_os_error() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError, ValueError) as error:  # ValueError: the address is none
        raise OSError(f"S3: {error}") from error
