"""What Elastic Beanstalk does with a source bundle on an instance (Python on Amazon Linux 2023), on this machine."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import yaml

from tests.servers import until

from .visits import answers

APP_PORT = 8000  # where Elastic Beanstalk's nginx looks for the app
NGINX_CONF = Path(__file__).parent / "nginx.conf"
#: Debian keeps it where only root looks.
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
STOP_LIMIT = 90  # seconds; systemd's own

#: What Elastic Beanstalk writes into conf.d/elasticbeanstalk/ by itself.
APPLICATION = """
location / {
    proxy_pass          http://127.0.0.1:8000;
    proxy_http_version  1.1;

    proxy_set_header    Connection          $connection_upgrade;
    proxy_set_header    Upgrade             $http_upgrade;
    proxy_set_header    Host                $host;
    proxy_set_header    X-Real-IP           $remote_addr;
    proxy_set_header    X-Forwarded-For     $proxy_add_x_forwarded_for;
}
"""
STATIC = """
location {path} {{
    alias {folder};
    access_log off;
}}
"""


class Instance:
    """A machine that a bundle has been deployed to.

    :param port: for nginx.
    :param properties: environment properties, beside those of .ebextensions.
    :ivar current: the folder of the app.
    :ivar address: of nginx.
    :ivar service: the app, once it has been started.
    """

    def __init__(self, bundle: Path, folder: Path, port: int, **properties: str) -> None:
        self.current, self.venv, self.nginx = folder / "current", folder / "venv", folder / "nginx"
        self.address = f"http://127.0.0.1:{port}"
        self.port = port
        self.service: Service | None = None
        with zipfile.ZipFile(bundle) as archive:
            archive.extractall(self.current)
        self._options = self._read_options()
        self.properties = {
            name: str(value) for name, value in self._options["aws:elasticbeanstalk:application:environment"].items()
        } | properties

    def _read_options(self) -> dict[str, dict[str, object]]:
        """What the files in .ebextensions set, by namespace."""
        options = {}
        for file in sorted((self.current / ".ebextensions").glob("*.config")):
            for namespace, settings in yaml.safe_load(file.read_text())["option_settings"].items():
                options.setdefault(namespace, {}).update(settings)
        return options

    def run_hooks(self, kind: str) -> None:
        """Run those of .platform/hooks.

        :raises CalledProcessError: one of them says that the deployment has failed.
        """
        for hook in sorted((self.current / ".platform" / "hooks" / kind).iterdir()):
            hook.chmod(0o755)
            subprocess.run([hook], cwd=self.current, env=os.environ | self.properties, check=True)

    def install(self) -> None:
        """Make the environment from requirements.txt."""
        self.run_hooks("prebuild")
        subprocess.run([sys.executable, "-m", "venv", self.venv], check=True)
        pip = [self.venv / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "-r", "requirements.txt"], cwd=self.current, check=True)

    def configure_nginx(self) -> None:
        """Write Elastic Beanstalk's configuration, and the bundle's over it."""
        generated = self.nginx / "conf.d" / "elasticbeanstalk"
        generated.mkdir(parents=True)
        (self.nginx / "nginx.conf").write_text(NGINX_CONF.read_text().replace("{port}", str(self.port)))
        (generated / "00_application.conf").write_text(APPLICATION)
        static = self._options["aws:elasticbeanstalk:environment:proxy:staticfiles"]
        (generated / "01_static.conf").write_text(
            "".join(STATIC.format(path=path, folder=self.current / name) for path, name in static.items())
        )
        shutil.copytree(self.current / ".platform" / "nginx", self.nginx, dirs_exist_ok=True)

    def is_running(self) -> bool:
        """Whether the app is."""
        return self.service is not None and self.service.process.is_running()

    def start(self) -> None:
        """Start what the Procfile names ``web``."""
        [command] = [
            line.removeprefix("web:").strip()
            for line in (self.current / "Procfile").read_text().splitlines()
            if line.startswith("web:")
        ]
        environment = {"PATH": f"{self.venv / 'bin'}:{os.environ['PATH']}", "HOME": str(self.current)}
        self.service = Service(command, self.current, environment | self.properties)


class Service:
    """The app as a service of systemd's: told to stop, all of its processes are, at the same time."""

    def __init__(self, command: str, folder: Path, environment: dict[str, str]) -> None:
        self.log = folder.parent / "web.stdout.log"
        with open(self.log, "ab") as log:
            self.process = psutil.Popen(
                ["bash", "-c", command],  # Amazon Linux's sh
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self) -> int:
        """Tell it to stop, as a deployment does, and wait.

        :return: its exit code.
        """
        return self._signal(signal.SIGTERM)

    def kill(self) -> int:
        """End it as the kernel does when memory is short."""
        return self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> int:
        processes = [self.process, *self.process.children(recursive=True)]
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        _gone, alive = psutil.wait_procs(processes, STOP_LIMIT)
        if alive:
            raise TimeoutError(f"{len(alive)} processes of the app do not end")
        return self.process.wait()


@contextlib.contextmanager
def nginx_running(folder: Path, port: int) -> Iterator[None]:
    """Run nginx with the nginx.conf of a folder until the block ends.

    :param port: on which that has it listen.
    """
    user = ["user root;"] if os.geteuid() == 0 else []  # another one could not read a test's folder
    command = [NGINX, "-p", folder, "-c", "nginx.conf", "-e", "error.log"]
    process = subprocess.Popen([*command, "-g", " ".join(["daemon off;", *user])])
    try:
        until(lambda: answers(port), seconds=10)
        yield
    finally:
        process.terminate()
        process.wait(timeout=10)
