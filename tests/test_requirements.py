"""requirements-web.txt and requirements-worker.txt: each service runs with what its own list brings, and no more."""

import contextlib
import json
import re
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from . import brokers, servers
from .fuzz import SMALL_NETWORK

REFUSE = """
import json, os, sys
class Refuse:
    modules = set(json.loads(open(os.path.join(os.path.dirname(__file__), "refused.json")).read()))
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.modules:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Refuse())
"""


def brought_by(lines: list[str]) -> set[str]:
    """The names of the distributions that pip would install for some lines of a requirements file."""
    found: set[str] = set()
    waiting = [Requirement(line) for line in lines]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        extras = requirement.extras or {""}
        wanted = {f"{name}[{extra}]" for extra in extras} | {name}
        if wanted <= found:
            continue
        found |= wanted
        with contextlib.suppress(PackageNotFoundError):  # for another system
            for line in requires(requirement.name) or []:
                needed = Requirement(line)
                if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras | {""}):
                    waiting.append(needed)
    return found


def lines_of(name: str) -> list[str]:
    """The packages that a requirements file names, with those of the files that it names."""
    lines = []
    for line in (servers.ROOT / name).read_text().splitlines():
        line = re.sub(r"\s*#.*", "", line)
        lines += lines_of(line.split()[1]) if line.startswith("-r ") else [line] if line else []
    return lines


def only_what(name: str, folder: Path) -> dict[str, str]:
    """The setting with which Python imports nothing but what a requirements file brings."""
    folder.mkdir()
    brought = brought_by(lines_of(name))
    refused = [
        module
        for module, distributions in packages_distributions().items()
        if not brought.intersection(map(canonicalize_name, distributions))
    ]
    (folder / "refused.json").write_text(json.dumps(refused))
    (folder / "sitecustomize.py").write_text(REFUSE)
    return {"PYTHONPATH": str(folder)}


def test_each_service_runs_with_what_its_own_list_brings(tmp_path, goldfinch):
    web = only_what("requirements-web.txt", tmp_path / "web")
    worker = only_what("requirements-worker.txt", tmp_path / "worker")
    with (
        brokers.started(brokers.redis(tmp_path)) as redis,
        brokers.worker(redis, redis, **SMALL_NETWORK, **worker),
        servers.running(
            servers.GUNICORN, tmp_path / "uploads", BIRD_QUEUE_URL=redis.url, **SMALL_NETWORK, **web
        ) as address,
    ):
        assert "tensorflow" in (tmp_path / "web" / "refused.json").read_text()
        assert "simplejpeg" in (tmp_path / "worker" / "refused.json").read_text()
        assert servers.send_photo(address, goldfinch).status == 200


def test_the_whole_list_pins_every_package_once_and_to_one_version():
    lines = lines_of("requirements-dev.txt")
    pins: dict[str, set[str]] = {}
    for line in lines:
        assert re.fullmatch(r"[\w.-]+(\[[\w,]+\])?==[\w.]+", line), line
        pins.setdefault(line.partition("==")[0], set()).add(line.partition("==")[2])
    assert all(len(versions) == 1 for versions in pins.values()), pins
    assert set(lines_of("requirements-web.txt") + lines_of("requirements-worker.txt")) <= set(
        lines_of("requirements.txt")
    )
