"""The files of docker/ (make docker-check): the linter, what their programs read, no secret."""

import json
import os
import re
import shutil
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
CHART = os.environ.get("ODUM_TEST_HELM_CHART")
"""Folder of Dagster's Helm chart: helm pull dagster/dagster --version ... --untar"""
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


def _merged(values: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a chart as Helm merges other ones into them."""
    both = {
        key for key in over if isinstance(over[key], dict) and isinstance(values.get(key), dict)
    }
    return {**values, **over, **{key: _merged(values[key], over[key]) for key in both}}


def _own_rules(schema: Any) -> Any:
    """Return a schema without what it takes from the network, the definitions of Kubernetes."""
    if isinstance(schema, list):
        return [_own_rules(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _own_rules(each)
        for key, each in schema.items()
        if not (key == "$ref" and str(each).startswith("http"))
    }


def _without_nulls(given: Any) -> Any:
    """Return an object as Kubernetes reads it: null is as if it were not there."""
    if isinstance(given, list):
        return [_without_nulls(each) for each in given]
    if not isinstance(given, dict):
        return given
    return {key: _without_nulls(each) for key, each in given.items() if each is not None}


@pytest.fixture
def chart() -> Path:
    if CHART is None:
        pytest.skip("ODUM_TEST_HELM_CHART does not name a folder of Dagster's Helm chart")
    return Path(CHART)


def _problems(chart: Path, values: dict[str, Any]) -> list[str]:
    """Return what the schema of the chart has against values."""
    import jsonschema_rs

    found = []
    for name in ("", "dagster-user-deployments"):
        folder = chart / "charts" / name if name else chart
        defaults = yaml.safe_load((folder / "values.yaml").read_text("utf-8"))
        given = values[name] if name else values
        # Helm gives `global` to the charts inside.
        together = _merged(defaults, given | {"global": values["global"]})
        schema = json.loads((folder / "values.schema.json").read_text("utf-8"))
        validator = jsonschema_rs.validator_for(_own_rules(schema))
        found += [
            f"{each.instance_path}: {each.message}" for each in validator.iter_errors(together)
        ]
    return found


def test_the_chart_takes_the_values(chart: Path) -> None:
    values = yaml.safe_load(VALUES.read_text("utf-8"))
    assert _problems(chart, values) == []
    wrong = _merged(values, {"postgresql": {"enabled": "no"}})
    assert any('"no" is not of type "boolean"' in each for each in _problems(chart, wrong))


def test_what_the_chart_renders_is_what_dagster_and_kubernetes_take(
    chart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helm = pytest.importorskip("helm_python", reason="helm-python-sdk is not installed")
    models = pytest.importorskip("dagster_k8s.models", reason="dagster-k8s is not installed")
    from dagster._core.instance.ref import InstanceRef
    from kubernetes import client

    values = yaml.safe_load(VALUES.read_text("utf-8"))
    # Its schema refers to the network.
    shutil.copytree(chart, tmp_path / "dagster")
    for schema in (tmp_path / "dagster").rglob("values.schema.json"):
        schema.write_text(json.dumps(_own_rules(json.loads(schema.read_text("utf-8")))), "utf-8")
    with helm.Chart.load(tmp_path / "dagster") as loaded:
        texts = loaded.render(values=values, name="dagster")
    rendered = [
        _without_nulls(part)
        for name, text in texts.items()
        if name.endswith(".yaml")
        for part in yaml.safe_load_all(text)
        if part
    ]
    kinds = {"Deployment": client.V1Deployment, "Service": client.V1Service}
    kinds |= {"ConfigMap": client.V1ConfigMap, "ServiceAccount": client.V1ServiceAccount}
    for part in rendered:
        if part["kind"] in kinds:
            # Refuses names that Kubernetes does not have.
            models.k8s_model_from_dict(
                kinds[part["kind"]], models.k8s_snake_case_dict(kinds[part["kind"]], part)
            )

    named = {(part["kind"], part["metadata"]["name"]): part for part in rendered}
    text = named["ConfigMap", "dagster-instance"]["data"]["dagster.yaml"]
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", "secret")
    (tmp_path / "dagster.yaml").write_text(text, "utf-8")
    ref = InstanceRef.from_dir(str(tmp_path))
    assert ref.run_launcher_data is not None
    assert ref.run_launcher_data.class_name == "K8sRunLauncher"
    assert ref.settings["concurrency"]["runs"]["max_concurrent_runs"] == 10
    assert ref.settings["run_retries"] == {
        "enabled": True, "max_retries": 1, "retry_on_asset_or_op_failure": False,
    }  # fmt: skip
    assert ref.settings["run_monitoring"]["poll_interval_seconds"] == 30
    assert "scheme: postgresql+psycopg2" in text
    (server,) = [
        part["spec"]["template"]["spec"]
        for (kind, name), part in named.items()
        if kind == "Deployment" and name.endswith("odum-assets")
    ]
    (container,) = server["containers"]
    assert container["args"][-2:] == ["--module-name", "odum_assets.definitions"]
    context = {item["name"]: item.get("value") for item in container["env"]}
    launched = json.loads(context["DAGSTER_CONTAINER_CONTEXT"])["k8s"]
    # Runs get what the code server has.
    given = {item["name"]: item["value"] for item in launched["env"]}
    assert given["UNIFIED_CLOUD_LOCAL_PATH"] == "/project/data"
    assert launched["env_secrets"] == ["odum-secrets"]
    assert {each["name"] for each in launched["volumes"]} == {"data", "project"}
