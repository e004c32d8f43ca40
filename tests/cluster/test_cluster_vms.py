"""The files of `ray up`: Ray's own schema, what Ray makes of them in a cloud, and what they leave open."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import boto3
import pytest
import yaml
from moto import mock_aws
from ray.autoscaler._private.aws.config import bootstrap_aws
from ray.autoscaler._private.util import prepare_config, validate_config

REPOSITORY = Path(__file__).parents[2]
VMS = REPOSITORY / "cluster" / "vms"
CLOUDS = ["aws", "gcp"]
REGION = "eu-central-1"


def loaded(cloud: str) -> dict:
    return yaml.safe_load((VMS / f"{cloud}.yaml").read_text())


def template(names: dict[str, str]) -> dict:
    """The resources of the CloudFormation template, with what its functions refer to in place."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!Ref", lambda loader, node: names[node.value])
    Loader.add_constructor("!GetAtt", lambda loader, node: names[node.value])
    Loader.add_constructor("!Sub", lambda loader, node: re.sub(r"\$\{(\w+)\}", lambda m: names[m[1]], node.value))
    return yaml.load((VMS / "aws-roles.yaml").read_text(), Loader)["Resources"]


def make_roles(names: dict[str, str]) -> None:
    """Make them with IAM, which checks the policies."""
    iam = boto3.client("iam")
    names |= {"HeadRole": "scmmlab-head", "WorkerRole": "scmmlab-worker"}
    names["WorkerRole.Arn"] = "arn:aws:iam::123456789012:role/scmmlab-worker"
    resources = [(resource["Type"], resource["Properties"]) for resource in template(names).values()]
    for properties in (properties for kind, properties in resources if kind == "AWS::IAM::Role"):
        trust = json.dumps(properties["AssumeRolePolicyDocument"])
        iam.create_role(RoleName=properties["RoleName"], AssumeRolePolicyDocument=trust)
        for policy in properties["Policies"]:
            document = json.dumps(policy["PolicyDocument"])
            iam.put_role_policy(
                RoleName=properties["RoleName"], PolicyName=policy["PolicyName"], PolicyDocument=document
            )
    for properties in (properties for kind, properties in resources if kind == "AWS::IAM::InstanceProfile"):
        name = properties["InstanceProfileName"]
        iam.create_instance_profile(InstanceProfileName=name)
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=properties["Roles"][0])


def start(config: dict, kind: str) -> str:
    return config[f"{kind}_start_ray_commands"][-1]


@pytest.mark.parametrize("cloud", CLOUDS)
class TestBoth:
    def test_ray_takes_it(self, cloud):
        config = prepare_config(loaded(cloud))
        validate_config(config)
        assert set(loaded(cloud)) <= set(config)

    def test_a_field_that_ray_does_not_know_is_refused(self, cloud):
        config = prepare_config(loaded(cloud) | {"workers": 3})
        with pytest.raises(Exception, match="'workers' was unexpected"):
            validate_config(config)

    def test_workers_are_spot_and_the_head_is_not(self, cloud):
        nodes = {name: kind["node_config"] for name, kind in loaded(cloud)["available_node_types"].items()}
        spot = {name for name, node in nodes.items() if re.search("spot", str(node), re.IGNORECASE)}
        assert spot == {"worker"}
        assert loaded(cloud)["head_node_type"] == "head"

    def test_nothing_trains_on_the_head_and_all_workers_are_there_from_the_start(self, cloud):
        kinds = loaded(cloud)["available_node_types"]
        assert kinds["head"]["resources"] == {"CPU": 0, "GPU": 0}
        worker = kinds["worker"]
        assert worker["min_workers"] == worker["max_workers"] == loaded(cloud)["max_workers"] > 0

    def test_ray_asks_for_the_token_and_shows_its_dashboard_to_the_head_alone(self, cloud):
        config = loaded(cloud)
        assert "--dashboard-host=127.0.0.1" in start(config, "head")
        for kind in ("head", "worker"):
            assert "RAY_AUTH_MODE=token" in start(config, kind)
        assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
        assert config["setup_commands"][0] == "chmod 700 ~/.ray && chmod 600 ~/.ray/auth_token"

    def test_what_is_installed_is_pinned(self, cloud):
        config = loaded(cloud)
        commands = " && ".join(config["setup_commands"] + config["head_setup_commands"])
        installs = [part for part in commands.split("&&") if "pip install" in part]
        assert len(installs) >= 2
        assert all(re.search(r" -c \S*constraints\.txt ", part) for part in installs)

    def test_every_command_is_one_that_a_shell_can_read(self, cloud):
        config = loaded(cloud)
        for command in (c for key, value in config.items() if key.endswith("_commands") for c in value):
            subprocess.run(["bash", "-n", "-c", command], check=True)


def test_both_clouds_set_machines_up_alike():
    aws, gcp = loaded("aws"), loaded("gcp")
    for key in ("file_mounts", "setup_commands", "head_start_ray_commands", "worker_start_ray_commands"):
        assert aws[key] == gcp[key]


def test_the_archive_that_machines_get_holds_what_the_setup_installs(tmp_path):
    archive = tmp_path / "scmmlab.tar.gz"
    subprocess.run(["git", "archive", "--output", archive, "HEAD"], cwd=REPOSITORY, check=True)
    names = subprocess.run(["tar", "-tzf", archive], capture_output=True, text=True, check=True).stdout.split()
    assert {"constraints.txt", "pyproject.toml", "platform/scmmlab/__init__.py", "ablations/demo.yaml"} <= set(names)
    assert not [name for name in names if re.search(r"(^|/)(\.env|secrets|runs|\.git)(/|$)", name)]


class TestAws:
    @pytest.fixture
    def cloud(self, tmp_path, monkeypatch):
        """A cloud of the test's own, in which the roles were made."""
        for name, value in {"HOME": tmp_path, "AWS_DEFAULT_REGION": REGION}.items():
            monkeypatch.setenv(name, str(value))
        (tmp_path / ".ssh").mkdir()
        with mock_aws():
            make_roles({"Bucket": "lab-results"})
            yield prepare_config(loaded("aws"))

    def test_from_outside_ssh_alone_is_open(self, cloud):
        bootstrap_aws(cloud)
        (group,) = [
            group
            for group in boto3.client("ec2").describe_security_groups()["SecurityGroups"]
            if group["GroupName"] == "ray-autoscaler-scmmlab"
        ]
        outside = [rule for rule in group["IpPermissions"] if rule["IpRanges"] or rule["Ipv6Ranges"]]
        assert [(rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) for rule in outside] == [("tcp", 22, 22)]
        inside = [pair["GroupId"] for rule in group["IpPermissions"] for pair in rule["UserIdGroupPairs"]]
        assert inside == [group["GroupId"]]

    def test_the_machines_have_the_roles_that_the_template_makes(self, cloud):
        config = bootstrap_aws(cloud)
        profiles = {p["InstanceProfileName"] for p in boto3.client("iam").list_instance_profiles()["InstanceProfiles"]}
        for name in ("head", "worker"):
            node = config["available_node_types"][name]["node_config"]
            assert node["IamInstanceProfile"]["Name"] in profiles
            assert node["MetadataOptions"]["HttpTokens"] == "required"
            assert all(disk["Ebs"]["Encrypted"] for disk in node["BlockDeviceMappings"])

    def test_a_worker_can_write_nowhere(self, cloud):
        iam = boto3.client("iam")
        policy = iam.get_role_policy(RoleName="scmmlab-worker", PolicyName="tables")["PolicyDocument"]
        allowed = {action for statement in policy["Statement"] for action in statement["Action"]}
        assert allowed == {"s3:ListBucket", "s3:GetBucketLocation", "s3:GetObject"}
        assert len(iam.list_role_policies(RoleName="scmmlab-worker")["PolicyNames"]) == 1
