"""The deployment files: they are not run here, but checked as far as possible."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tamperscope.cli import main
from tamperscope.settings import TABLE

ROOT = Path(__file__).parents[1]
DOCKERFILE = ROOT / "Dockerfile"
COMPOSE = ROOT / "compose.yaml"
KUBERNETES = ROOT / "deploy" / "kubernetes.yaml"
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
FILES = [DOCKERFILE, COMPOSE, KUBERNETES, *UNITS]
PASSWORDS = ("${POSTGRES_PASSWORD:?choose one}", "${REDIS_PASSWORD:?choose one}")


def kubernetes() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(KUBERNETES.read_text()))


def containers() -> Iterator[dict[str, Any]]:
    for resource in kubernetes():
        if resource["kind"] == "Deployment":
            yield from resource["spec"]["template"]["spec"]["containers"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_setting_used_exists(file):
    known = {variable for setting in TABLE for variable in setting.variables}

    given = set(re.findall(r"\bTAMPERSCOPE_[A-Z_]+", file.read_text()))

    assert given
    assert given <= known


def test_every_command_used_exists():
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    started = [services["worker"]["command"], *(container["args"] for container in containers())]
    for unit in UNITS:
        [line] = re.findall(r"^ExecStart=(.*)$", unit.read_text(), re.MULTILINE)
        program, *arguments = shlex.split(line)
        assert program.endswith("/bin/tamperscope")
        started.append(arguments)
    [command] = re.findall(r"^CMD (.*)$", DOCKERFILE.read_text(), re.MULTILINE)
    started.append(json.loads(command))

    for name, *options in started:
        assert name in main.commands
        assert not options


def test_hadolint_finds_no_problem():
    # Next to the interpreter, whether or not its environment is on the path.
    program = Path(sysconfig.get_path("scripts"), "hadolint")
    done = subprocess.run([program, DOCKERFILE], capture_output=True, text=True)

    assert (done.stdout, done.returncode) == ("", 0)


def test_compose_reads_its_file():
    compose_spec = pytest.importorskip("compose_spec", reason="install the extra dev")
    text = COMPOSE.read_text()
    # Merge keys and variables are resolved before the specification applies.
    for password in PASSWORDS:
        assert password in text
        text = text.replace(password, "secret")
    resolved = yaml.safe_load(text)
    read = compose_spec.PyCompose.from_yaml(yaml.safe_dump(resolved))

    assert sorted(read.service_names()) == ["database", "redis", "server", "worker"]


@pytest.mark.parametrize("service", ["server", "worker", "database", "redis"])
def test_every_compose_service_is_confined(service):
    described = yaml.safe_load(COMPOSE.read_text())["services"][service]

    assert described["cap_drop"] == ["ALL"]
    assert described["mem_limit"]
    assert described["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("container", list(containers()), ids=lambda container: container["name"])
def test_kubernetes_containers_can_write_only_to_their_volumes(container):
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    # Large uploads are buffered in the first, compiled models are kept in the second.
    assert {"/tmp", "/var/cache/tamperscope"} <= mounted
    assert container["resources"]["limits"]["memory"]


def test_kubernetes_volumes_are_bounded():
    for resource in kubernetes():
        if resource["kind"] == "Deployment":
            for volume in resource["spec"]["template"]["spec"]["volumes"]:
                assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"], volume["name"]


def test_every_kubernetes_selector_matches_one_deployment():
    pods = [
        resource["spec"]["template"]["metadata"]["labels"].items()
        for resource in kubernetes()
        if resource["kind"] == "Deployment"
    ]
    for resource in kubernetes():
        selector = resource["spec"]["selector"]
        wanted = selector.get("matchLabels", selector).items()
        assert sum(wanted <= labels for labels in pods) == 1, resource["metadata"]["name"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_reads_its_units(unit, tmp_path):
    # systemd-analyze requires that the program exists.
    text = unit.read_text().replace("/opt/tamperscope/bin/tamperscope", shutil.which("true") or "/bin/true")
    copy = tmp_path / unit.name.replace("@", "@1")
    copy.write_text(text)

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True
    )

    assert str(copy.name) not in done.stderr, done.stderr


def test_the_container_installs_the_versions_that_the_tests_run_with():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = {*project["dependencies"]}.union(
        *(project["optional-dependencies"][extra] for extra in ("postgres", "redis"))
    )
    locked = pinned(ROOT / "requirements.lock")
    tested = pinned(ROOT / "constraints.txt")

    missing = {name(requirement) for requirement in needed} - locked.keys()
    differing = {package for package, version in locked.items() if tested.get(package, version) != version}

    assert not missing | differing, "run: make lock"


def pinned(file: Path) -> dict[str, str]:
    found = re.findall(r"^([\w.\[\]-]+)==([\w.+]+)", file.read_text("utf-8"), re.MULTILINE)
    return {name(package): version for package, version in found}


def name(requirement: str) -> str:
    """As PyPI compares names."""
    [package] = re.findall(r"^[\w.-]+", requirement)
    return re.sub(r"[-_.]+", "-", package).lower()
