"""What Elastic Beanstalk does with a source bundle on an instance (Python on Amazon Linux 2023), done here."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import psutil
import yaml

APP_PORT = 8000  # where Elastic Beanstalk's nginx looks for the app
NGINX_CONF = Path(__file__).parent / "nginx.conf"
STOP_LIMIT = 90  # seconds; systemd's default

#: What Elastic Beanstalk generates in conf.d/elasticbeanstalk/.
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
    """A machine to which a bundle has been deployed.

    :param bundle: the ZIP file.
    :param folder: an empty folder for the app, its virtual environment and nginx's configuration.
    :param port: nginx's.
    :param properties: environment properties in addition to those in .ebextensions.
    :ivar current: the folder of the app.
    :ivar address: nginx's URL.
    """

    def __init__(self, bundle: Path, folder: Path, port: int, **properties: str) -> None:
        self.current, self.venv, self.nginx = folder / "current", folder / "venv", folder / "nginx"
        self.address = f"http://127.0.0.1:{port}"
        self.port = port
        self._service: Service | None = None
        with zipfile.ZipFile(bundle) as archive:
            archive.extractall(self.current)
        self._options = self._read_options()
        self.properties = {
            name: str(value) for name, value in self._options["aws:elasticbeanstalk:application:environment"].items()
        } | properties

    def _read_options(self) -> dict[str, dict[str, object]]:
        """The option settings of the files in .ebextensions, by namespace."""
        options: dict[str, dict[str, object]] = {}
        for file in sorted((self.current / ".ebextensions").glob("*.config")):
            for namespace, settings in yaml.safe_load(file.read_text())["option_settings"].items():
                options.setdefault(namespace, {}).update(settings)
        return options

    def run_hooks(self, kind: str) -> None:
        """Run the hooks of one kind in .platform/hooks.

        :param kind: ``prebuild`` or ``postdeploy``.
        :raises CalledProcessError: a hook fails, and with it the deployment.
        """
        for hook in sorted((self.current / ".platform" / "hooks" / kind).iterdir()):
            hook.chmod(0o755)
            subprocess.run([hook], cwd=self.current, env=os.environ | self.properties, check=True)

    def install(self) -> None:
        """Create the virtual environment from requirements.txt."""
        self.run_hooks("prebuild")
        subprocess.run([sys.executable, "-m", "venv", self.venv], check=True)
        pip = [str(self.venv / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "-r", "requirements.txt"], cwd=self.current, check=True)

    def configure_nginx(self) -> None:
        """Write Elastic Beanstalk's own configuration and add the bundle's."""
        generated = self.nginx / "conf.d" / "elasticbeanstalk"
        generated.mkdir(parents=True)
        (self.nginx / "nginx.conf").write_text(NGINX_CONF.read_text().replace("{port}", str(self.port)))
        (generated / "00_application.conf").write_text(APPLICATION)
        static = self._options["aws:elasticbeanstalk:environment:proxy:staticfiles"]
        (generated / "01_static.conf").write_text(
            "".join(STATIC.format(path=path, folder=self.current / str(name)) for path, name in static.items())
        )
        shutil.copytree(self.current / ".platform" / "nginx", self.nginx, dirs_exist_ok=True)

    @property
    def service(self) -> "Service":
        """The app as it was last started."""
        if self._service is None:
            raise RuntimeError("the app has not been started")
        return self._service

    def is_running(self) -> bool:
        """Whether the app is running."""
        return self._service is not None and self._service.process.is_running()

    def start(self) -> None:
        """Start the app: the command that the Procfile calls ``web``."""
        [command] = [
            line.removeprefix("web:").strip()
            for line in (self.current / "Procfile").read_text().splitlines()
            if line.startswith("web:")
        ]
        environment = {"PATH": f"{self.venv / 'bin'}:{os.environ['PATH']}", "HOME": str(self.current)}
        self._service = Service(command, self.current, environment | self.properties)


class Service:
    """The app as a systemd service: a signal goes to all of its processes at once.

    :param command: a shell command.
    :param folder: where it runs.
    :param environment: all of its environment variables.
    :ivar log: the file that holds what it printed.
    :ivar process: the process of the command.
    """

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
        """Stop the app with SIGTERM, as a deployment does, and wait until it has ended.

        :return: its exit code.
        """
        return self._signal(signal.SIGTERM)

    def kill(self) -> int:
        """Kill the app, as the kernel does when memory runs out.

        :return: its exit code.
        """
        return self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> int:
        processes = [self.process, *self.process.children(recursive=True)]
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        _gone, alive = psutil.wait_procs(processes, STOP_LIMIT)
        if alive:
            raise TimeoutError(f"{len(alive)} processes of the app are still running")
        return self.process.wait()
