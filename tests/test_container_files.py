"""The files of docker/ (make docker-check): the linter, what their programs read, no secret."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DOCKERFILE = ROOT / "docker/Dockerfile"
COMPOSE = ROOT / "docker/compose.yaml"
VALUES = ROOT / "docker/helm-values.yaml"
VARIABLES = ROOT / "docker/.env.example"
PAGE = ROOT / "docs/containers.md"
_VARIABLE = re.compile(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}")


def interpolated(text: str, **values: str) -> str:
    """Return a Compose file as Compose reads it with some variables."""

    def value(match: re.Match[str]) -> str:
        name, operator, word = match.groups()
        if operator == ":?":
            assert values.get(name), word
        return values.get(name) or (word if operator == ":-" else "")

    return _VARIABLE.sub(value, text)


def compose() -> dict[str, Any]:
    text = interpolated(COMPOSE.read_text("utf-8"), ODUM_API_TOKEN="sixteen letters..")  # noqa: S106
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def test_the_linter_of_dockerfiles_has_nothing_to_say() -> None:
    linter = Path(sys.executable).parent / "hadolint"
    if not linter.is_file():
        pytest.skip("hadolint is not installed")
    done = subprocess.run(
        [linter, "--failure-threshold", "style", DOCKERFILE],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_compose_reads_its_file() -> None:
    spec = pytest.importorskip("compose_spec", reason="compose-spec is not installed")
    found = compose()
    services = spec.PyCompose.from_yaml(yaml.safe_dump(found)).service_names()
    assert set(services) == {"odum", "registry-upgrade", "postgres", "server", "worker", "redis"}
    wrong = yaml.safe_dump(found).replace("read_only:", "read_onli:")
    with pytest.raises(ValueError, match="read_onli"):
        spec.PyCompose.from_yaml(wrong)


def test_services_name_what_there_is() -> None:
    found = compose()
    for service in found["services"].values():
        for volume in service["volumes"]:
            assert volume.split(":")[0] in found["volumes"]
        for name in service.get("depends_on", {}):
            assert name in found["services"]
    # Without a profile, there is the one service, which needs no other.
    plain = [name for name, service in found["services"].items() if "profiles" not in service]
    assert plain == ["odum"]
    assert not any(
        needed["required"] for needed in found["services"]["odum"]["depends_on"].values()
    )
    with pytest.raises(AssertionError, match=r"docker/\.env"):
        interpolated(COMPOSE.read_text("utf-8"))


def test_the_container_is_confined() -> None:
    for name in ("odum", "registry-upgrade", "server", "worker"):
        service = compose()["services"][name]
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert not service["user"].startswith("0")
    assert compose()["services"]["odum"]["ports"] == ["127.0.0.1:8000:8000"]
    lines = DOCKERFILE.read_text("utf-8").splitlines()
    assert [line for line in lines if line.startswith("USER ")] == ["USER 10001:10001"]


def test_secrets_come_from_outside() -> None:
    secret = re.compile(r"TOKEN|PASSWORD|SECRET|DATABASE_URL")
    for service in yaml.safe_load(COMPOSE.read_text("utf-8"))["services"].values():
        for name, value in service.get("environment", {}).items():
            if secret.search(name):
                assert re.fullmatch(rf"\$\{{{name}(:-|:\?[^}}]*)\}}", value), name
    assert not re.search(
        rf"^(ARG|ENV).*({secret.pattern})", DOCKERFILE.read_text("utf-8"), re.MULTILINE
    )
    for line in VARIABLES.read_text("utf-8").splitlines():
        name, _, value = line.lstrip("#").partition("=")
        if secret.search(name) and name.isidentifier():
            assert "${" in value or not value, line
    done = subprocess.run(
        ["git", "check-ignore", "docker/.env"], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode in (0, 128)  # 128: no clone


def test_every_variable_is_explained() -> None:
    page, example = PAGE.read_text("utf-8"), VARIABLES.read_text("utf-8")
    names = {match[1] for match in _VARIABLE.finditer(COMPOSE.read_text("utf-8"))}
    for name in names:
        assert f"`{name}`" in page
    for name in names - {"ODUM_VERSION", "ODUM_EXTRAS"}:
        assert re.search(rf"(?m)^#?{name}=", example), name


def test_images_are_pinned_and_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    text = DOCKERFILE.read_text("utf-8")
    python = (ROOT / ".python-version").read_text("utf-8").strip()
    assert re.search(rf"(?m)^ARG PYTHON={re.escape(python)}\.\d+-slim-\w+$", text)
    assert re.search(r"(?m)^ARG UV=\d+\.\d+\.\d+$", text)
    assert f"ARG VERSION={project['version']}\n" in text
    images = {service["image"] for service in compose()["services"].values()}
    assert f"odum-assets:{project['version']}" in images
    assert all(re.search(r":\d+\.\d+", image) for image in images)
    dagster = re.search(r"(?m)^dagster==(\S+)", (ROOT / "requirements.lock").read_text("utf-8"))
    assert dagster is not None
    assert f"--version {dagster[1]} " in VALUES.read_text("utf-8")


def test_the_build_takes_in_what_it_copies_and_nothing_else() -> None:
    copied = {
        source
        for rest in re.findall(r"(?m)^COPY (?!--from)(.*)$", DOCKERFILE.read_text("utf-8"))
        for source in rest.split()[:-1]
    }
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert lines[1] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == copied
    for source in copied:
        assert (ROOT / source).exists()


# --- Kubernetes ---------------------------------------------------------------------------------


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", lambda match: f"_{match[1].lower()}", name)


def _resources(tag: str | None) -> dict[str, Any]:
    """Return the resources of the pod of a run, as dagster-k8s works them out."""
    from dagster_k8s.job import (
        DagsterK8sJobConfig,
        UserDefinedDagsterK8sConfig,
        construct_dagster_k8s_job,
        get_user_defined_k8s_config,
    )

    values = yaml.safe_load(VALUES.read_text("utf-8"))
    config = values["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]
    settings = {_snake(key): value for key, value in config.items()}
    if tag is not None:
        given = get_user_defined_k8s_config({"dagster-k8s/config": tag})
        settings["container_config"].update(given.container_config)
    job = construct_dagster_k8s_job(
        DagsterK8sJobConfig(
            job_image="registry.example/odum-assets:0.1.0", dagster_home="/project/.dagster"
        ),
        ["dagster", "api", "execute_run"],
        "a-run",
        UserDefinedDagsterK8sConfig.from_dict(settings),
    )
    assert job.spec.ttl_seconds_after_finished == 3600
    found: dict[str, Any] = job.spec.template.spec.containers[0].resources.to_dict()
    return found


def test_a_run_gets_its_resources_by_tag() -> None:
    pytest.importorskip("dagster_k8s", reason="dagster-k8s is not installed")
    assert _resources(None)["limits"] == {"memory": "4Gi"}
    tag = re.search(r"(?m)^```json\n(.*)\n```", PAGE.read_text("utf-8"))
    assert tag is not None
    assert json.loads(tag[1])
    assert _resources(tag[1])["requests"] == {"cpu": "1", "memory": "6Gi"}


def test_the_launcher_takes_its_part_of_the_values() -> None:
    launcher = pytest.importorskip("dagster_k8s.launcher", reason="dagster-k8s is not installed")
    from dagster._config import process_config, resolve_to_config_type

    values = yaml.safe_load(VALUES.read_text("utf-8"))
    given = values["runLauncher"]["config"]["k8sRunLauncher"]
    # As the chart writes dagster.yaml: names with underscores, and what it adds by itself.
    config = {_snake(key): value for key, value in given.items()}
    config["run_k8s_config"] = {_snake(key): x for key, x in config["run_k8s_config"].items()}
    added = {
        "service_account_name": "dagster",
        "dagster_home": values["global"]["dagsterHome"],
        "instance_config_map": "dagster-instance",
        "postgres_password_secret": values["global"]["postgresqlSecretName"],
    }
    kind = resolve_to_config_type(launcher.K8sRunLauncher.config_type())
    result = process_config(kind, {**config, **added})
    assert result.success, result.errors


def test_the_values_hold_no_secret() -> None:
    values = yaml.safe_load(VALUES.read_text("utf-8"))
    assert "postgresqlPassword" not in values["postgresql"]
    assert values["generatePostgresqlPasswordSecret"] is False
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    assert not {item["name"] for item in deployment["env"]} & {"DATABASE_URL", "ODUM_API_TOKEN"}
    assert deployment["podSecurityContext"]["runAsNonRoot"]
