"""What tells Elastic Beanstalk and Kubernetes how many workers a site needs."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from deploy.requirements import ROOT
from jobs.health import Report, serve_health
from tests.support.servers import free_port

DEPLOY = ROOT / "deploy"
SCRIPT = DEPLOY / "publish_workers_needed"


@dataclass
class Health:
    """Of a worker."""

    status: int = 200

    def report(self) -> Report:
        """What it answers."""
        return {}, self.status


def publish(folder: Path, metrics: str, curl_status: int = 0) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run the script where curl gets these metrics; how it ended, and the arguments with which it called aws."""
    (folder / "metrics").write_text(metrics)
    programs = {"curl": f'cat "{folder}/metrics"; exit {curl_status}', "aws": f'echo "$@" >"{folder}/called"'}
    for name, script in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    path = f"{folder}:{Path(shutil.which('awk')).parent}:/usr/bin:/bin"
    ended = subprocess.run(["sh", SCRIPT], env={"PATH": path}, capture_output=True, text=True, check=False)
    called = folder / "called"
    return ended, called.read_text().strip() if called.exists() else ""


def test_the_number_of_workers_that_metrics_says_is_published(tmp_path):
    metrics = "# TYPE bird_workers_needed gauge\nbird_workers 5.0\nbird_workers_needed 7.0\n"
    ended, called = publish(tmp_path, metrics)
    assert ended.returncode == 0
    assert called == "cloudwatch put-metric-data --namespace Birds --metric-name WorkersNeeded --value 7.0"


@pytest.mark.parametrize("metrics", ["bird_workers_needed NaN\n", "bird_photos_total 3.0\n"])
def test_nothing_is_published_if_the_number_is_not_known(tmp_path, metrics):
    ended, called = publish(tmp_path, metrics)
    assert (ended.returncode, called) == (1, "")
    assert "does not say how many workers are needed" in ended.stderr


def test_nothing_is_published_if_the_web_process_does_not_answer(tmp_path):
    ended, called = publish(tmp_path, "", curl_status=7)
    assert (ended.returncode, called) == (7, "")


def test_the_policy_of_the_workers_looks_at_the_metric_that_web_machines_publish():
    config = yaml.safe_load((DEPLOY / "scaling.config").read_text())
    target = config["Resources"]["BirdsScalingPolicy"]["Properties"]["TargetTrackingConfiguration"]
    metric = target["CustomizedMetricSpecification"]["Metrics"][0]["MetricStat"]["Metric"]
    published = re.search(r"--namespace (\w+) --metric-name (\w+)", SCRIPT.read_text())
    assert (metric["Namespace"], metric["MetricName"]) == published.groups()


def test_web_machines_run_the_script_that_is_in_the_bundle():
    config = yaml.safe_load((DEPLOY / "publishing.config").read_text())
    service = config["files"]["/etc/systemd/system/birds-publish.service"]["content"]
    path = re.search(r"^ExecStart=/bin/sh /var/app/current/(.+)$", service, re.MULTILINE)[1]
    assert ROOT / path == SCRIPT
    assert f"!/{path}" in (ROOT / ".ebignore").read_text().splitlines()


def test_keda_asks_for_the_same_number_and_no_answer_does_not_count_as_none():
    deployment, scaled = yaml.safe_load_all((DEPLOY / "keda.yaml").read_text())
    assert scaled["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]
    (trigger,) = scaled["spec"]["triggers"]
    series = re.search(r'\$1 == "(\w+)"', SCRIPT.read_text())[1]
    assert trigger["metadata"]["query"] == f"max({series} >= 0)"
    assert (trigger["metricType"], trigger["metadata"]["threshold"]) == ("AverageValue", "1")
    assert trigger["metadata"]["ignoreNullValues"] == "false"


def test_kubernetes_asks_a_worker_for_its_health_from_within_where_alone_it_answers():
    deployment, _scaled = yaml.safe_load_all((DEPLOY / "keda.yaml").read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    port, health = free_port(), Health()
    serve_health(port, health.report)
    for probe in ("startupProbe", "readinessProbe"):
        _python, *arguments = container[probe]["exec"]["command"]
        command = [argument.replace(":8000/", f":{port}/") for argument in arguments]
        for health.status, is_well in ((503, False), (200, True)):
            ended = subprocess.run([sys.executable, *command], capture_output=True, check=False)
            assert (ended.returncode == 0) == is_well
