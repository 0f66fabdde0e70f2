"""nginx in front of the app, with the configuration for a host of one's own."""

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .servers import ROOT, answers, free_port, until

#: Debian keeps it in a folder that is only on the PATH of root.
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
HTTP = """
pid nginx.pid;
worker_processes auto;
events {{
    worker_connections 768;
}}
http {{
    include /etc/nginx/mime.types;
    access_log off;
    include {site};
}}
"""
DOOR = ROOT / ".platform" / "nginx" / "conf.d" / "birds.conf"
APP = "127.0.0.1:8000"  # where the configuration looks for the app


def places() -> int:
    """How many photos nginx hands to the app at the same time."""
    [number] = re.findall(r"max_conns=(\d+)", DOOR.read_text())
    return int(number)


@contextlib.contextmanager
def running(folder: Path, port: int) -> Iterator[None]:
    """Run nginx until the block ends.

    :param folder: holds its nginx.conf.
    :param port: the port on which that nginx.conf lets it listen.
    """
    user = ["user root;"] if os.geteuid() == 0 else []  # any other user could not read a test's folder
    command = [str(NGINX), "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"]
    process = subprocess.Popen([*command, "-g", " ".join(["daemon off;", *user])])
    try:
        until(lambda: answers(port), seconds=10)
        yield
    finally:
        process.terminate()
        process.wait(timeout=10)


@contextlib.contextmanager
def in_front_of(app: str, folder: Path, project: Path = ROOT) -> Iterator[str]:
    """Run nginx with deploy/nginx.conf and the files that it includes, in front of an app; its address.

    :param app: the address of the app.
    :param folder: an empty one, for the configuration, whose folders and ports are replaced.
    :param project: in the role of /opt/birds.
    """
    port, birds = free_port(), folder / "birds"
    shutil.copytree(project / ".platform", birds / ".platform")
    (birds / "static").symlink_to(project / "static")
    site = Path(shutil.copy(ROOT / "deploy" / "nginx.conf", folder / "site.conf"))
    for file in (site, *birds.rglob("*.conf")):
        text = file.read_text().replace("/opt/birds", str(birds)).replace(APP, app.removeprefix("http://"))
        file.write_text(text.replace("listen 80", f"listen 127.0.0.1:{port}").replace("listen [::]:80;", ""))
    (folder / "nginx.conf").write_text(HTTP.format(site=site))
    with running(folder, port):
        yield f"http://127.0.0.1:{port}"
