"""The Kubernetes recipe: rendered, and checked against schemas, for security, and for who may reach whom."""

from __future__ import annotations

import base64
import copy
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from manifests import (
    KUBERAY,
    KUBERNETES,
    VERSIONS,
    custom_problems,
    custom_schemas,
    kubernetes_problems,
    kustomizations,
    main,
    name_of,
    pod_templates,
    rendered,
)
from network_policies import OURS, Pod, allowed, outside

REPOSITORY = Path(__file__).parents[2]
CLUSTERS = ("overlays/cpu", "overlays/gpu", "overlays/spot")
JOBS = ("jobs/cpu", "jobs/gpu", "jobs/spot")
SPOT_LABELS = (
    {"cloud.google.com/gke-spot": "true"},
    {"eks.amazonaws.com/capacityType": "SPOT"},
    {"karpenter.sh/capacity-type": "spot"},
    {"kubernetes.azure.com/scalesetpriority": "spot"},
)


@pytest.fixture(scope="module")
def schemas():
    return custom_schemas(KUBERAY)


def one(folder: str, kind: str) -> dict:
    found = [manifest for manifest in rendered(folder) if manifest["kind"] == kind]
    assert len(found) == 1, f"{folder} has {len(found)} of {kind}"
    return found[0]


def cluster_spec(folder: str) -> dict:
    return one(folder, "RayJob")["spec"]["rayClusterSpec"] if folder in JOBS else one(folder, "RayCluster")["spec"]


def all_templates() -> Iterator[tuple[str, dict]]:
    for folder in kustomizations():
        for manifest in rendered(folder):
            for path, template in pod_templates(manifest):
                yield f"{folder}: {name_of(manifest)}, {path}", template


class TestSchemas:
    @pytest.mark.parametrize("folder", kustomizations())
    def test_every_manifest_is_what_kubernetes_and_kuberay_take(self, folder, schemas):
        for manifest in rendered(folder):
            assert not list(custom_problems(manifest, schemas))
            for version in VERSIONS:
                assert not list(kubernetes_problems(manifest, version))

    def test_all_that_is_promised_is_rendered(self):
        assert {*CLUSTERS, *JOBS, "services", "ingress"} <= set(kustomizations())

    def test_a_field_that_kuberay_does_not_know_is_refused(self, schemas):
        wrong = copy.deepcopy(one("overlays/cpu", "RayCluster"))
        wrong["spec"]["authOptions"]["tokenSecret"] = "ray-token"
        assert [p for p in custom_problems(wrong, schemas) if "authOptions" in p and "tokenSecret" in p]
        wrong = copy.deepcopy(one("jobs/cpu", "RayJob"))
        wrong["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] = 0
        assert [p for p in custom_problems(wrong, schemas) if "rayStartParams" in p]

    def test_a_field_that_kubernetes_does_not_know_is_refused_in_the_pods_of_a_ray_cluster(self):
        wrong = copy.deepcopy(one("overlays/cpu", "RayCluster"))
        pod = wrong["spec"]["workerGroupSpecs"][0]["template"]["spec"]
        pod["containers"][0]["securityContext"]["runAsNonroot"] = True
        assert [p for p in kubernetes_problems(wrong, VERSIONS[-1]) if "runAsNonroot" in p]

    @pytest.mark.slow
    def test_the_command_says_what_was_checked_and_fails_on_a_folder_without_definitions(self, tmp_path, capsys):
        assert main(KUBERAY) == 0
        assert "RayCluster ray.io/v1" in capsys.readouterr().out
        with pytest.raises(AssertionError, match="no custom resource definition"):
            main(tmp_path)


class TestRay:
    @pytest.mark.parametrize("folder", [*CLUSTERS, *JOBS])
    def test_every_cluster_asks_for_the_shared_token(self, folder):
        assert cluster_spec(folder)["authOptions"] == {"mode": "token", "secretName": "ray-token"}

    @pytest.mark.parametrize("folder", [*CLUSTERS, *JOBS])
    def test_the_version_of_ray_is_the_locked_one(self, folder):
        locked = re.search(r"^ray==(.*)$", (REPOSITORY / "constraints.txt").read_text(), re.MULTILINE)
        assert cluster_spec(folder)["rayVersion"] == locked[1]

    @pytest.mark.parametrize(("job", "cluster"), list(zip(JOBS, CLUSTERS, strict=True)))
    def test_a_study_runs_on_the_cluster_of_the_overlay(self, job, cluster):
        assert cluster_spec(job) == cluster_spec(cluster)
        assert not [manifest for manifest in rendered(job) if manifest["kind"] == "RayCluster"]
        spec = one(job, "RayJob")["spec"]
        images = {template["spec"]["containers"][0]["image"] for _, template in pod_templates(one(job, "RayJob"))}
        assert len(images) == 1, "driver, workers and submitter are of one image"
        assert spec["shutdownAfterJobFinishes"] is True
        assert spec["backoffLimit"] > 0

    @pytest.mark.parametrize("folder", [*CLUSTERS, *JOBS])
    def test_nothing_trains_on_the_head(self, folder):
        assert cluster_spec(folder)["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"

    @pytest.mark.parametrize("folder", [*CLUSTERS, *JOBS])
    def test_the_head_is_never_on_a_node_that_its_cloud_may_take_back(self, folder):
        head = cluster_spec(folder)["headGroupSpec"]["template"]["spec"]
        assert schedules(head, {})
        assert not any(schedules(head, labels) for labels in SPOT_LABELS)
        assert one(folder, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 0

    def test_spot_workers_are_on_such_nodes_only_and_others_on_any(self):
        spot, gpu = (
            cluster_spec(folder)["workerGroupSpecs"][0]["template"]["spec"]
            for folder in ("overlays/spot", "overlays/gpu")
        )
        assert not schedules(spot, {})
        assert all(schedules(spot, labels) for labels in SPOT_LABELS)
        assert schedules(gpu, {})

    @pytest.mark.parametrize(
        ("folder", "gpus"), [("overlays/cpu", None), ("overlays/gpu", "1"), ("overlays/spot", "1")]
    )
    def test_workers_have_the_gpus_of_their_overlay_and_the_head_has_none(self, folder, gpus):
        spec = cluster_spec(folder)
        worker = spec["workerGroupSpecs"][0]["template"]["spec"]
        assert worker["containers"][0]["resources"]["limits"].get("nvidia.com/gpu") == gpus
        assert "nvidia.com/gpu" not in spec["headGroupSpec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
        assert any(taint["key"] == "nvidia.com/gpu" for taint in worker.get("tolerations", [])) == bool(gpus)


def schedules(pod: dict, node: dict[str, str]) -> bool:
    """Whether a pod's required node affinity lets it be on a node with these labels."""
    affinity = pod.get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    if affinity is None:
        return True
    fits = {
        "In": lambda item: node.get(item["key"]) in item["values"],
        "NotIn": lambda item: node.get(item["key"]) not in item["values"],
    }
    terms = affinity["nodeSelectorTerms"]
    return any(all(fits[item["operator"]](item) for item in term["matchExpressions"]) for term in terms)


class TestSecurity:
    def test_every_container_is_locked_up(self):
        seen = 0
        for where, template in all_templates():
            pod = template["spec"]
            assert pod["automountServiceAccountToken"] is False, where
            assert pod["securityContext"]["runAsNonRoot"] is True, where
            assert pod["securityContext"]["runAsUser"] > 0, where
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, where
            assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), where
            assert not any("hostPath" in volume for volume in pod.get("volumes", [])), where
            for container in pod["containers"]:
                seen += 1
                assert container["securityContext"] == {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                }, where
        assert seen >= 15

    def test_what_a_container_writes_to_is_mounted(self):
        for where, template in all_templates():
            for container in template["spec"]["containers"]:
                mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
                home = "/var/run/postgresql" if container["name"] == "postgresql" else "/home/scmmlab"
                assert {"/tmp", home} <= mounted, where

    def test_every_container_has_resources_and_those_that_serve_have_probes(self):
        for where, template in all_templates():
            for container in template["spec"]["containers"]:
                assert {"cpu", "memory"} <= set(container["resources"]["requests"]), where
                assert "memory" in container["resources"]["limits"], where
                if container["name"] != "submitter":
                    assert {"livenessProbe", "readinessProbe"} <= set(container), where

    def test_images_are_pinned_by_a_tag_that_is_not_latest(self):
        for where, template in all_templates():
            if where.startswith("base:"):
                continue  # overlays put the site's images in place
            for container in template["spec"]["containers"]:
                _, _, tag = container["image"].rpartition("/")[2].partition(":")
                assert tag, where
                assert tag != "latest", where

    def test_the_namespace_refuses_pods_that_could_become_root(self):
        assert one("services", "Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"

    def test_no_secret_is_written_down(self):
        for folder in kustomizations():
            assert not [manifest for manifest in rendered(folder) if manifest["kind"] == "Secret"]
        for _, template in all_templates():
            for container in template["spec"]["containers"]:
                named = [
                    item for item in container.get("env", []) if re.search("PASSWORD$|SECRET|TOKEN$", item["name"])
                ]
                assert all("secretKeyRef" in item["valueFrom"] for item in named)


KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": 'a+/b"c$(d)=='}


class TestSecrets:
    def made(self, **more: str) -> dict[str, dict[str, str]]:
        environment = {"PATH": os.environ["PATH"], **KEYS, **more}
        done = subprocess.run([KUBERNETES / "make-secrets"], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        manifests = list(yaml.safe_load_all(done.stdout))
        for manifest in manifests:
            assert not list(kubernetes_problems(manifest, VERSIONS[-1]))
            assert manifest["metadata"]["namespace"] == "scmmlab"
        return {
            manifest["metadata"]["name"]: {
                key: base64.b64decode(value).decode() for key, value in manifest["data"].items()
            }
            for manifest in manifests
        }

    def test_every_secret_and_setting_that_a_pod_names_is_made(self):
        secrets = self.made()
        maps = {m["metadata"]["name"]: m["data"] for m in rendered("services") if m["kind"] == "ConfigMap"}
        named = 0
        for where, template in all_templates():
            pod = template["spec"]
            for container in pod["containers"]:
                for source in container.get("envFrom", []):
                    (kind, reference), *_ = source.items()
                    assert reference["name"] in (secrets if kind == "secretRef" else maps), where
                    named += 1
                for item in container.get("env", []):
                    for kind, reference in item.get("valueFrom", {}).items():
                        found = (secrets if kind == "secretKeyRef" else maps)[reference["name"]]
                        assert reference["key"] in found, where
                        named += 1
            for volume in pod.get("volumes", []):
                assert "secret" not in volume or volume["secret"]["secretName"] in secrets, where
                if "configMap" in volume and not volume["configMap"].get("optional"):
                    assert volume["configMap"]["name"] in maps, where
        assert named
        for folder in (*CLUSTERS, *JOBS):
            auth = cluster_spec(folder)["authOptions"]
            assert "auth_token" in secrets[auth["secretName"]]

    def test_values_arrive_as_they_are_and_new_ones_are_random(self):
        first, second = self.made(), self.made(AWS_ENDPOINT_URL="https://s3.example.org")
        assert first["object-store"] == KEYS
        assert second["object-store"]["AWS_ENDPOINT_URL"] == "https://s3.example.org"
        for name, key in (("ray-token", "auth_token"), ("postgresql", "password"), ("mlflow-server", "admin-password")):
            assert len(first[name][key]) == 64
            assert first[name][key] != second[name][key]
        assert first["mlflow-user"]["MLFLOW_TRACKING_PASSWORD"] == first["mlflow-server"]["admin-password"]

    def test_without_keys_of_the_bucket_it_says_what_to_set(self):
        done = subprocess.run([KUBERNETES / "make-secrets"], env={}, capture_output=True, text=True)
        assert done.returncode != 0
        assert "AWS_ACCESS_KEY_ID" in done.stderr
        assert not done.stdout


HEAD = Pod({"ray.io/is-ray-node": "yes", "ray.io/node-type": "head"})
WORKER = Pod({"ray.io/is-ray-node": "yes", "ray.io/node-type": "worker"})
SUBMITTER = Pod({"app.kubernetes.io/name": "scmmlab-submitter"})
MLFLOW = Pod({"app.kubernetes.io/name": "mlflow"})
POSTGRESQL = Pod({"app.kubernetes.io/name": "postgresql"})
STRANGER = Pod({"app": "notebook"})
ELSEWHERE = Pod({"app": "notebook"}, {"kubernetes.io/metadata.name": "default"})
IMPOSTOR = Pod({"ray.io/is-ray-node": "yes", "ray.io/node-type": "worker"}, {"kubernetes.io/metadata.name": "default"})
OPERATOR = Pod({"app.kubernetes.io/name": "kuberay-operator"}, {"kubernetes.io/metadata.name": "kuberay"})
INGRESS = Pod({}, {"kubernetes.io/metadata.name": "ingress-nginx"})
DNS = Pod({"k8s-app": "kube-dns"}, {"kubernetes.io/metadata.name": "kube-system"})


def policies() -> list[dict]:
    return [manifest for manifest in rendered("services") if manifest["kind"] == "NetworkPolicy"]


class TestNetworkPolicies:
    @pytest.mark.parametrize(
        ("source", "target", "port"),
        [
            (WORKER, HEAD, 6379), (HEAD, WORKER, 10002), (WORKER, WORKER, 43210), (SUBMITTER, HEAD, 8265),
            (OPERATOR, HEAD, 8265), (HEAD, MLFLOW, 5000), (MLFLOW, POSTGRESQL, 5432), (INGRESS, MLFLOW, 5000),
            (HEAD, outside("52.219.1.1"), 443), (WORKER, outside("2600:1f00::1"), 443),
            (MLFLOW, outside("52.219.1.1"), 443),
        ],
    )  # fmt: skip
    def test_what_a_study_needs_is_open(self, source, target, port):
        assert allowed(policies(), source, target, port)

    @pytest.mark.parametrize(
        ("source", "target", "port"),
        [
            *((source, HEAD, port) for source in (STRANGER, ELSEWHERE, IMPOSTOR, INGRESS, MLFLOW, outside("8.8.8.8"))
              for port in (6379, 8265, 10001, 52365)),
            *((source, WORKER, port) for source in (STRANGER, ELSEWHERE, IMPOSTOR, SUBMITTER, OPERATOR)
              for port in (10002, 52365)),
            (SUBMITTER, HEAD, 6379), (OPERATOR, HEAD, 6379), (SUBMITTER, MLFLOW, 5000), (STRANGER, MLFLOW, 5000),
            (ELSEWHERE, MLFLOW, 5000), (HEAD, POSTGRESQL, 5432), (WORKER, POSTGRESQL, 5432),
            (STRANGER, POSTGRESQL, 5432), (ELSEWHERE, POSTGRESQL, 5432), (MLFLOW, HEAD, 8265),
            (POSTGRESQL, outside("8.8.8.8"), 443),
            (HEAD, outside("169.254.169.254"), 80), (WORKER, outside("169.254.169.254"), 443),
            (WORKER, outside("8.8.8.8"), 80), (SUBMITTER, outside("8.8.8.8"), 443), (WORKER, outside("8.8.8.8"), 53),
        ],
    )  # fmt: skip
    def test_nothing_else_is(self, source, target, port):
        assert not allowed(policies(), source, target, port)

    @pytest.mark.parametrize("pod", [HEAD, WORKER, SUBMITTER, MLFLOW, POSTGRESQL, STRANGER])
    def test_names_can_be_looked_up(self, pod):
        assert allowed(policies(), pod, DNS, 53, "UDP")

    def test_the_labels_that_policies_go_by_are_those_of_the_pods(self):
        for folder, kind in (("services", "Deployment"), ("services", "StatefulSet"), ("jobs/cpu", "RayJob")):
            (_, template), *_ = pod_templates(one(folder, kind))
            names = {pod.labels["app.kubernetes.io/name"] for pod in (MLFLOW, POSTGRESQL, SUBMITTER)}
            assert template["metadata"]["labels"]["app.kubernetes.io/name"] in names
        assert one("services", "Namespace")["metadata"]["name"] == OURS["kubernetes.io/metadata.name"]

    def test_services_point_at_pods(self):
        labels = [t["metadata"]["labels"] for m in rendered("services") for _, t in pod_templates(m)]
        for service in (m for m in rendered("services") if m["kind"] == "Service"):
            assert any(service["spec"]["selector"].items() <= found.items() for found in labels), name_of(service)
