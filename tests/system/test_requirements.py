"""requirements-web.txt and requirements-worker.txt: each service runs with its own packages and no others."""

import contextlib
import json
import re
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support import brokers, servers
from tests.support.servers import SMALL_NETWORK

#: Python runs this as sitecustomize.py when it starts.
REFUSE_OTHER_PACKAGES = """
import json, os, sys
class Refuse:
    modules = set(json.loads(open(os.path.join(os.path.dirname(__file__), "refused.json")).read()))
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.modules:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Refuse())
"""


def packages_in(name: str) -> list[str]:
    """The packages in a requirements file, those of the files that it refers to included."""
    packages = []
    for line in (servers.ROOT / name).read_text().splitlines():
        line = re.sub(r"\s*#.*", "", line)
        packages += packages_in(line.split()[1]) if line.startswith("-r ") else [line] if line else []
    return packages


def installed_by(packages: list[str]) -> set[str]:
    """The names of the distributions that pip would install for some packages, their dependencies included."""
    found: set[str] = set()
    waiting = [Requirement(package) for package in packages]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        extras = requirement.extras or {""}
        wanted = {f"{name}[{extra}]" for extra in extras} | {name}
        if wanted <= found:
            continue
        found |= wanted
        with contextlib.suppress(PackageNotFoundError):  # it is for another operating system
            for line in requires(requirement.name) or []:
                needed = Requirement(line)
                if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras | {""}):
                    waiting.append(needed)
    return found


def restricted_to(name: str, folder: Path) -> dict[str, str]:
    """An environment variable with which Python can import the packages of one requirements file and no others."""
    folder.mkdir()
    installed = installed_by(packages_in(name))
    refused = [
        module
        for module, distributions in packages_distributions().items()
        if not installed.intersection(map(canonicalize_name, distributions))
    ]
    (folder / "refused.json").write_text(json.dumps(refused))
    (folder / "sitecustomize.py").write_text(REFUSE_OTHER_PACKAGES)
    return {"PYTHONPATH": str(folder)}


def test_each_service_runs_with_the_packages_of_its_own_list(tmp_path, goldfinch):
    web = restricted_to("requirements-web.txt", tmp_path / "web")
    worker = restricted_to("requirements-worker.txt", tmp_path / "worker")
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


def test_the_whole_list_contains_those_of_both_services():
    assert set(packages_in("requirements-web.txt") + packages_in("requirements-worker.txt")) <= set(
        packages_in("requirements.txt")
    )
