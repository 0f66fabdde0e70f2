"""Write the requirements files from pyproject.toml: ``python -m deploy.requirements``.

People and Elastic Beanstalk install from these files with plain pip; only pyproject.toml is edited by hand.
"""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
WRITTEN = "# Written by `make requirements` from pyproject.toml, which says why each package is here. Do not edit."
PYTHON = "Python 3.11, 3.12 or 3.13."


def contents(pyproject: str) -> dict[str, str]:
    """What the requirements files contain.

    :param pyproject: the text of pyproject.toml.
    :return: the text of each file, by its name.
    """
    project = tomllib.loads(pyproject)["project"]
    shared: list[str] = project["dependencies"]
    groups: dict[str, list[str]] = project["optional-dependencies"]
    # Elastic Beanstalk copies one of the first three over requirements.txt: neither may refer to another file.
    files = {
        "requirements-web.txt": (f"The web process of a split deployment, {PYTHON}", shared + groups["web"]),
        "requirements-serve.txt": (
            f"The whole app, or a worker, with a compiled network; no TensorFlow. {PYTHON}",
            shared + groups["web"] + groups["compiled"],
        ),
        "requirements-feedback.txt": (
            "What BIRD_FEEDBACK=1 needs, beside one of the other lists.",
            groups["feedback"],
        ),
        "requirements-sqs.txt": (
            "What BIRD_QUEUE_URL=sqs:// needs, beside one of the other lists.",
            groups["sqs"],
        ),
        "requirements-worker.txt": (f"The worker of a split deployment, {PYTHON}", shared + groups["worker"]),
        "requirements.txt": (
            f"The whole app, in one process or as two services, and training. {PYTHON}",
            ["-r requirements-web.txt", "-r requirements-worker.txt", *groups["training"]],
        ),
        "requirements-dev.txt": (
            "Tests, checks, benchmarks and `make up`.",
            ["-r requirements.txt", "-r requirements-feedback.txt", "-r requirements-sqs.txt", *groups["dev"]],
        ),
    }
    return {name: "\n".join([f"# {purpose}", WRITTEN, *lines, ""]) for name, (purpose, lines) in files.items()}


def main() -> None:
    """Write the files that differ, so that make does not install the others again."""
    for name, text in contents((ROOT / "pyproject.toml").read_text(encoding="utf-8")).items():
        file = ROOT / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
