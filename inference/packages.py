"""Which packages are installed: serving a compiled network needs fewer than compiling or training."""

from importlib.util import find_spec

INSTALL_ALL = "pip install -r requirements.txt"
INSTALL_TO_SERVE = "pip install -r requirements-serve.txt"
INSTALL_FOR_FEEDBACK = "pip install -r requirements-feedback.txt"
INSTALL_FOR_SQS = "pip install -r requirements-sqs.txt"
#: What requirements-feedback.txt installs, as it is imported.
FOR_FEEDBACK = ("sqlalchemy", "alembic", "psycopg", "boto3")
#: What requirements-sqs.txt installs, as it is imported.
FOR_SQS = ("boto3", "pycurl")
#: What requirements.txt installs and requirements-serve.txt does not.
BEYOND_SERVING = ("keras", "matplotlib", "onnx", "tensorflow", "tf2onnx")


def is_installed(package: str) -> bool:
    """Whether a package can be imported; it is not imported for that."""
    return find_spec(package) is not None


def missing_packages(purpose: str) -> str:
    """A sentence that says what is missing for compiling or training, and how to install it; empty if nothing is.

    :param purpose: as at the beginning of a sentence.
    """
    missing = [package for package in BEYOND_SERVING if not is_installed(package)]
    return f"{purpose} needs packages that are not installed ({', '.join(missing)}): {INSTALL_ALL}" if missing else ""
