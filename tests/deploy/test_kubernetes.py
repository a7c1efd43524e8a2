"""deploy/k8s: every manifest against the schemas of Kubernetes, and what they promise together."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.messaging.queues import QUEUES
from shared.testing.deployment import SERVICES, dockerfile_command, unknown_variables

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "deploy" / "k8s"
BASE = K8S / "base"
OVERLAYS = sorted((K8S / "overlays").iterdir())
# KEDA brings their schemas to the cluster; they are checked below.
CUSTOM_KINDS = {"ScaledObject", "TriggerAuthentication"}
SECRET_VARIABLES = {
    "fumehood-shared": ["FUMEHOOD_BUS_URL", "FUMEHOOD_SERVICE_SECRET"],
    "fumehood-objects": ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
    "fumehood-gateway-signing": [
        "FUMEHOOD_JWT_PRIVATE_KEY",
        "FUMEHOOD_CACHE_URL",
        "FUMEHOOD_ADMIN_EMAIL",
        "FUMEHOOD_ADMIN_PASSWORD",
    ],
    **{f"fumehood-{name}": ["FUMEHOOD_DATABASE_URL"] for name in SERVICES},
}

Manifest = dict[str, Any]


def load(path: Path) -> Manifest:
    document: Manifest = yaml.safe_load(path.read_text())
    return document


def merge(base: Any, patch: Any) -> Any:
    """Merge as kustomize does: mappings by key, lists of named things by name, other lists replaced."""
    if isinstance(base, dict) and isinstance(patch, dict):
        return {**base, **{key: merge(base.get(key), value) for key, value in patch.items()}}
    named = isinstance(base, list) and isinstance(patch, list) and all("name" in entry for entry in [*base, *patch])
    if named:
        patches = {entry["name"]: entry for entry in patch}
        return [merge(entry, patches.pop(entry["name"], {})) for entry in base] + list(patches.values())
    return patch


def apply(manifest: Manifest, patch: Any) -> Manifest:
    """Apply a strategic merge patch or a list of JSON patch operations (add and replace)."""
    if isinstance(patch, dict):
        merged: Manifest = merge(manifest, patch)
        return merged
    result: Manifest = json.loads(json.dumps(manifest))
    for operation in patch:
        *parents, last = operation["path"].strip("/").split("/")
        target: Any = result
        for step in parents:
            target = target[int(step) if isinstance(target, list) else step]
        if last == "-":
            target.append(operation["value"])
            continue
        key = int(last) if isinstance(target, list) else last
        if operation["op"] == "replace":
            assert target[key] is not None, f"nothing to replace at {operation['path']}"
        target[key] = operation["value"]
    return result


def resources(folder: Path) -> list[Manifest]:
    """Return the manifests that a kustomization stands for, patches applied."""
    kustomization = load(folder / "kustomization.yaml")
    found: list[Manifest] = []
    for entry in kustomization["resources"]:
        path = folder / entry
        found += resources(path) if path.is_dir() else [m for m in yaml.safe_load_all(path.read_text()) if m]
    for entry in kustomization.get("patches", []):
        patch = load(folder / entry["path"]) if "path" in entry else yaml.safe_load(entry["patch"])
        target = entry.get("target") or {"kind": patch["kind"], "name": patch["metadata"]["name"]}
        matches = [
            i for i, m in enumerate(found) if (m["kind"], m["metadata"]["name"]) == (target["kind"], target["name"])
        ]
        assert matches, f"{folder.name}: a patch finds no {target}"
        for index in matches:
            found[index] = apply(found[index], patch)
    return found


def only(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {manifest["metadata"]["name"]: manifest for manifest in manifests if manifest["kind"] == kind}


def pods() -> dict[str, Manifest]:
    found = {**only(resources(BASE), "Deployment"), **only(resources(BASE), "Job")}
    return {name: manifest["spec"]["template"]["spec"] for name, manifest in found.items()}


@pytest.mark.parametrize("folder", [BASE, *OVERLAYS], ids=lambda folder: folder.name)
def test_manifests_follow_the_schemas(folder: Path, tmp_path: Path) -> None:
    manifests = [manifest for manifest in resources(folder) if manifest["kind"] not in CUSTOM_KINDS]
    file = tmp_path / "all.yaml"
    file.write_text(yaml.safe_dump_all(manifests))
    done = subprocess.run(
        [Path(sys.executable).with_name("kubernetes-validate"), "--strict", file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_file_of_the_base_is_used() -> None:
    used = set(load(BASE / "kustomization.yaml")["resources"])
    assert used == {path.name for path in BASE.glob("*.yaml")} - {"kustomization.yaml"}


def test_nothing_is_declared_twice() -> None:
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in resources(BASE)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", [*SERVICES, "migrate"])
def test_pod_is_restricted(name: str) -> None:
    pod = pods()[name]
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert "memory" in container["resources"]["limits"]
    assert set(container["resources"]["requests"]) >= {"cpu", "memory"}
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/tmp", "/data"}


@pytest.mark.parametrize("name", SERVICES)
def test_service_has_probes_a_budget_and_an_address(name: str) -> None:
    container = pods()[name]["containers"][0]
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert name in only(resources(BASE), "PodDisruptionBudget")
    service = only(resources(BASE), "Service")[name]
    assert service["spec"]["selector"] == {"app.kubernetes.io/name": name}


@pytest.mark.parametrize("name", [*SERVICES, "migrate"])
def test_command_is_that_of_the_image(name: str) -> None:
    folder = ROOT / "cli" if name == "migrate" else ROOT / "services" / name
    assert pods()[name]["containers"][0]["command"] == dockerfile_command(folder / "Dockerfile")


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda folder: folder.name)
@pytest.mark.parametrize("name", SERVICES)
def test_every_variable_is_a_setting_of_the_service(name: str, overlay: Path) -> None:
    manifests = resources(overlay)
    container = only(manifests, "Deployment")[name]["spec"]["template"]["spec"]["containers"][0]
    variables = [entry["name"] for entry in container.get("env", [])]
    for source in container["envFrom"]:
        if "configMapRef" in source:
            variables += only(manifests, "ConfigMap")[source["configMapRef"]["name"]]["data"]
        else:
            variables += SECRET_VARIABLES[source["secretRef"]["name"]]
    assert unknown_variables(name, variables) == []
    assert "FUMEHOOD_OBJECTS_URL" in variables


def test_secrets_are_only_referred_to_and_the_readme_makes_each() -> None:
    assert only(resources(BASE), "Secret") == {}
    readme = (ROOT / "deploy" / "README.md").read_text()
    shared = [name for name in SECRET_VARIABLES if name.removeprefix("fumehood-") not in SERVICES]
    for name in [*shared, "fumehood-migrate"]:
        assert f"create secret generic {name}" in readme
    assert 'create secret generic "fumehood-$service"' in readme
    for variables in SECRET_VARIABLES.values():
        assert [variable for variable in variables if variable not in readme] == []


def test_everything_is_denied_that_is_not_allowed() -> None:
    policies = only(resources(BASE), "NetworkPolicy")
    deny = policies["default-deny"]["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def selects(policy: Manifest, name: str) -> bool:
    selector = policy["spec"]["podSelector"]
    names = [selector.get("matchLabels", {}).get("app.kubernetes.io/name")]
    names += [value for rule in selector.get("matchExpressions", []) for value in rule["values"]]
    return selector == {} or name in names


def test_scanner_reaches_servers_and_the_collector_only_and_nobody_reaches_it() -> None:
    policies = [policy for policy in only(resources(BASE), "NetworkPolicy").values() if selects(policy, "scanner")]
    peers = [peer for policy in policies for rule in policy["spec"].get("egress", []) for peer in rule["to"]]
    namespaces = {peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for peer in peers}
    assert namespaces == {"kube-system", "fumehood-servers", "observability"}
    assert [policy for policy in policies if policy["spec"].get("ingress")] == []


def test_only_the_gateway_is_reached_from_the_ingress() -> None:
    policies = only(resources(BASE), "NetworkPolicy")
    outside = [
        name
        for name, policy in policies.items()
        for rule in policy["spec"].get("ingress", [])
        for peer in rule["from"]
        if "namespaceSelector" in peer or "ipBlock" in peer
    ]
    assert outside == ["gateway"]
    ingress = only(resources(BASE), "Ingress")["fumehood"]["spec"]
    assert ingress["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] == "gateway"
    assert ingress["tls"][0]["secretName"]


@pytest.mark.parametrize("folder", [BASE, *OVERLAYS], ids=lambda folder: folder.name)
def test_scanner_is_scaled_by_its_queue(folder: Path) -> None:
    manifests = resources(folder)
    spec = only(manifests, "ScaledObject")["scanner"]["spec"]
    [trigger] = spec["triggers"]
    assert spec["scaleTargetRef"]["name"] in only(manifests, "Deployment")
    assert "replicas" not in only(manifests, "Deployment")["scanner"]["spec"]
    assert 1 <= spec["minReplicaCount"] < spec["maxReplicaCount"]
    assert (trigger["type"], trigger["metadata"]["mode"]) == ("rabbitmq", "QueueLength")
    assert trigger["metadata"]["queueName"] in QUEUES
    assert int(trigger["metadata"]["value"]) > 0
    authentication = only(manifests, "TriggerAuthentication")[trigger["authenticationRef"]["name"]]
    [source] = authentication["spec"]["secretTargetRef"]
    assert source["key"] in SECRET_VARIABLES[source["name"]]


def test_gpu_overlay_asks_for_a_gpu_and_its_image() -> None:
    folder = K8S / "overlays" / "gpu"
    container = only(resources(folder), "Deployment")["scanner"]["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert container["command"] == ["python", "-m", "scanner.main"]
    tags = {image["name"]: image["newTag"] for image in load(folder / "kustomization.yaml")["images"]}
    assert tags["fumehood/scanner"].endswith("-gpu")


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda folder: folder.name)
def test_overlay_names_every_image(overlay: Path) -> None:
    used = {container["image"] for pod in pods().values() for container in pod["containers"]}
    assert {image["name"] for image in load(overlay / "kustomization.yaml")["images"]} == used
