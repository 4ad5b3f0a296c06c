#!/usr/bin/env python3
"""Deploys the built template to ministack, an AWS on this machine, and reads back what was made.

Streams, functions, event source mappings, destinations, permissions, IoT rules, the HTTP API, roles, tables and buckets are
compared with template.yaml: every setting, as CloudFormation should have resolved it. The exit code is 1 if one differs.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

import boto3
from samcli.yamlhelper import yaml_parse

from expand_template import expand

REGION = "us-east-1"
STACK = "myaku-local"
START_SECONDS_MAX = 60
# ministack does not make serverless caches, so the stack gets the address of a server. Nothing connects to it.
PARAMETERS = {"RedisUrl": "redis://127.0.0.1:6379"}
# Settings of a mapping that ministack does not keep. It does not keep the encryption of a stream either.
NOT_KEPT_BY_MINISTACK = {"MetricsConfig"}


class Resolver:
    """Resolves the template's intrinsic functions, with the physical ids of what was made."""

    def __init__(self, template, parameters, account, ids):
        self.template = template
        self.ids = ids
        self.values = {name: p.get("Default") for name, p in template["Parameters"].items()} | parameters
        self.values |= {"AWS::Region": REGION, "AWS::AccountId": account, "AWS::Partition": "aws", "AWS::NoValue": None}
        self.values["AWS::StackName"] = STACK

    def arn(self, name):
        kind, physical = self.template["Resources"][name]["Type"], self.ids[name]
        account = self.values["AWS::AccountId"]
        return {
            "AWS::Kinesis::Stream": f"arn:aws:kinesis:{REGION}:{account}:stream/{physical}",
            "AWS::S3::Bucket": f"arn:aws:s3:::{physical}",
            "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{REGION}:{account}:table/{physical}",
            "AWS::IAM::Role": f"arn:aws:iam::{account}:role/{physical}",
            "AWS::Logs::LogGroup": f"arn:aws:logs:{REGION}:{account}:log-group:{physical}:*",
            "AWS::Serverless::Function": f"arn:aws:lambda:{REGION}:{account}:function:{physical}",
            "AWS::IoT::TopicRule": f"arn:aws:iot:{REGION}:{account}:rule/{physical}",
        }[kind]

    def ref(self, name):
        return self.values[name] if name in self.values else self.ids[name]

    def sub(self, text, own):
        out, rest = "", text
        while "${" in rest:
            before, _, rest = rest.partition("${")
            name, _, rest = rest.partition("}")
            out += before
            if name.startswith("!"):
                out += "${" + name[1:] + "}"
            elif name in own:
                out += str(self(own[name]))
            elif name.endswith(".Arn"):
                out += self.arn(name.removesuffix(".Arn"))
            else:
                out += str(self.ref(name))
        return out + rest

    def condition(self, name):
        return self(self.template["Conditions"][name])

    def __call__(self, value):
        if isinstance(value, list):
            return [item for item in map(self, value) if item is not None]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (function, argument), = value.items()
            match function:
                case "Ref":
                    return self.ref(argument)
                case "Fn::GetAtt":
                    name, attribute = argument if isinstance(argument, list) else argument.split(".", 1)
                    assert attribute == "Arn", f"{name}.{attribute} is not known to this script"
                    return self.arn(name)
                case "Fn::Sub":
                    return self.sub(argument, {}) if isinstance(argument, str) else self.sub(*argument)
                case "Fn::If":
                    return self(argument[1] if self.condition(argument[0]) else argument[2])
                case "Fn::Equals":
                    return str(self(argument[0])) == str(self(argument[1]))
                case "Fn::Not":
                    return not self(argument[0])
                case "Fn::Or":
                    return any(map(self, argument))
                case "Fn::And":
                    return all(map(self, argument))
                case "Fn::Join":
                    return argument[0].join(map(str, self(argument[1])))
                case "Fn::Split":
                    return str(self(argument[1])).split(argument[0])
                case "Fn::FindInMap":
                    table, first, second = self(argument)
                    return self.template["Mappings"][table][str(first)][second]
        return {key: kept for key, item in value.items() if (kept := self(item)) is not None}


def canonical(value):
    """A form in which what means the same is the same: AWS answers with numbers where a template may have texts."""
    if isinstance(value, dict):
        return {key: canonical(item) for key, item in sorted(value.items())}
    if isinstance(value, list):
        return sorted((canonical(item) for item in value), key=json.dumps)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


class Check:
    """Compares settings, counts them, and prints those that differ."""

    def __init__(self):
        self.done = 0
        self.differences = 0

    def __call__(self, what, wanted, found):
        self.done += 1
        if canonical(wanted) != canonical(found):
            self.differences += 1
            print(f"DIFFERENT {what}\n  template: {wanted}\n  made:     {found}", file=sys.stderr)


def policy(document):
    """A policy as IAM answers it: parsed, or as URL-encoded JSON."""
    return json.loads(urllib.parse.unquote(document)) if isinstance(document, str) else document


def compare(template, resolve, session):
    """Reads everything back."""
    check = Check()
    iam, kinesis, functions = session.client("iam"), session.client("kinesis"), session.client("lambda")
    for name, resource in template["Resources"].items():
        if "Condition" in resource and not resolve.condition(resource["Condition"]):
            check(f"{name}: not made", None, resolve.ids.get(name))
            continue
        properties, physical = resolve(resource.get("Properties", {})), resolve.ids.get(name)
        if physical is None:
            check(f"{name}: made", True, False)
            continue
        match resource["Type"]:
            case "AWS::Kinesis::Stream":
                made = kinesis.describe_stream_summary(StreamName=physical)["StreamDescriptionSummary"]
                check(f"{name}: shards", properties["ShardCount"], made["OpenShardCount"])
                check(f"{name}: retention", properties["RetentionPeriodHours"], made["RetentionPeriodHours"])
                check(f"{name}: mode", properties["StreamModeDetails"], made["StreamModeDetails"])
            case "AWS::S3::Bucket":
                made = session.client("s3").get_public_access_block(Bucket=physical)["PublicAccessBlockConfiguration"]
                check(f"{name}: public access", properties["PublicAccessBlockConfiguration"], made)
            case "AWS::S3::BucketPolicy":
                made = session.client("s3").get_bucket_policy(Bucket=properties["Bucket"])["Policy"]
                check(f"{name}: policy", properties["PolicyDocument"], policy(made))
            case "AWS::DynamoDB::Table":
                made = session.client("dynamodb").describe_table(TableName=physical)["Table"]
                check(f"{name}: keys", properties["KeySchema"], made["KeySchema"])
                check(f"{name}: billing", properties["BillingMode"], made["BillingModeSummary"]["BillingMode"])
                wanted = {i["IndexName"]: i["KeySchema"] for i in properties.get("GlobalSecondaryIndexes", [])}
                found = {i["IndexName"]: i["KeySchema"] for i in made.get("GlobalSecondaryIndexes", [])}
                check(f"{name}: indexes", wanted, found)
            case "AWS::IAM::Role":
                trust = iam.get_role(RoleName=physical)["Role"]["AssumeRolePolicyDocument"]
                check(f"{name}: trust", properties["AssumeRolePolicyDocument"], policy(trust))
                attached = iam.list_attached_role_policies(RoleName=physical)["AttachedPolicies"]
                check(f"{name}: managed policies", [], attached)
                wanted = {p["PolicyName"]: p["PolicyDocument"] for p in properties["Policies"]}
                made = iam.list_role_policies(RoleName=physical)["PolicyNames"]
                check(f"{name}: policies", list(wanted), made)
                for policy_name in set(wanted) & set(made):
                    document = iam.get_role_policy(RoleName=physical, PolicyName=policy_name)["PolicyDocument"]
                    check(f"{name}: {policy_name}", wanted[policy_name], policy(document))
            case "AWS::IoT::TopicRule":
                made = session.client("iot").get_topic_rule(ruleName=physical)["rule"]
                wanted = properties["TopicRulePayload"]
                actions = [{kind.lower(): lower(one) for kind, one in action.items()} for action in wanted["Actions"]]
                check(f"{name}: SQL", wanted["Sql"], made["sql"])
                check(f"{name}: SQL version", wanted["AwsIotSqlVersion"], made.get("awsIotSqlVersion"))
                check(f"{name}: actions", actions, made["actions"])
                check(f"{name}: error action", {"s3": lower(wanted["ErrorAction"]["S3"])}, made.get("errorAction"))
            case "AWS::Lambda::Permission":
                compare_permission(check, functions, name, properties)
            case "AWS::Serverless::HttpApi":
                compare_http_api(check, session.client("apigatewayv2"), name, physical, properties)
            case "AWS::Serverless::Function":
                compare_function(check, resolve, functions, name, template, properties)
    return check


def lower(action):
    """CloudFormation's names of an action's settings as the IoT API has them."""
    return {key[0].lower() + key[1:]: value for key, value in action.items()}


def compare_permission(check, functions, name, properties):
    """A permission to invoke a function, among those of the function's policy."""
    wanted = {key: properties.get(key) for key in ("Principal", "Action", "SourceArn", "SourceAccount")}
    found = []
    for statement in json.loads(functions.get_policy(FunctionName=properties["FunctionName"])["Policy"])["Statement"]:
        condition = statement.get("Condition", {})
        source = {key.lower(): value for part in condition.values() for key, value in part.items()}
        principal = statement["Principal"]
        found.append(
            {
                "Principal": principal.get("Service") if isinstance(principal, dict) else principal,
                "Action": statement["Action"],
                "SourceArn": source.get("aws:sourcearn"),
                "SourceAccount": source.get("aws:sourceaccount"),
            }
        )
    check(f"{name}: in the function's policy", wanted, wanted if wanted in found else found)


def compare_http_api(check, api, name, physical, properties):
    """An HTTP API and its stage. ministack makes no routes of a definition, and keeps no throttling."""
    check(f"{name}: protocol", "HTTP", api.get_api(ApiId=physical)["ProtocolType"])
    stages = {stage["StageName"]: stage for stage in api.get_stages(ApiId=physical)["Items"]}
    check(f"{name}: access log", properties["AccessLogSettings"], stages.get("$default", {}).get("AccessLogSettings"))


def compare_function(check, resolve, functions, name, template, properties):
    """A function, and what SAM makes of its events and of its asynchronous invocations."""
    everywhere = resolve(template["Globals"]["Function"]) | properties
    made = functions.get_function_configuration(FunctionName=resolve.ids[name])
    for setting in ("Runtime", "Handler", "MemorySize", "Timeout", "Architectures"):
        check(f"{name}: {setting}", everywhere[setting], made.get(setting))
    check(f"{name}: role", properties["Role"], made["Role"])
    check(f"{name}: environment", properties["Environment"]["Variables"], made["Environment"]["Variables"])
    check(f"{name}: log group", properties["LoggingConfig"], made.get("LoggingConfig"))
    check(f"{name}: has code", True, made["CodeSize"] > 0)
    if "EventInvokeConfig" in properties:
        wanted = properties["EventInvokeConfig"]
        made = functions.get_function_event_invoke_config(FunctionName=resolve.ids[name], Qualifier="$LATEST")
        for setting in {"MaximumRetryAttempts", "MaximumEventAgeInSeconds"} & set(wanted):
            check(f"{name}: {setting}", wanted[setting], made.get(setting))
        for outcome, one in wanted.get("DestinationConfig", {}).items():
            found = made.get("DestinationConfig", {}).get(outcome, {}).get("Destination")
            check(f"{name}: {outcome}", one["Destination"], found)
    mappings = functions.list_event_source_mappings(FunctionName=resolve.ids[name])["EventSourceMappings"]
    streams = {event: wanted for event, wanted in properties.get("Events", {}).items() if wanted["Type"] == "Kinesis"}
    check(f"{name}: mappings", len(streams), len(mappings))
    by_source = {mapping["EventSourceArn"]: mapping for mapping in mappings}
    for event, wanted in streams.items():
        settings = dict(wanted["Properties"])
        found = by_source.get(source := settings.pop("Stream"), {})
        check(f"{name}.{event}: stream", source, found.get("EventSourceArn"))
        for setting, value in settings.items():
            if setting not in NOT_KEPT_BY_MINISTACK:
                check(f"{name}.{event}: {setting}", value, found.get(setting))


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until_listening(port, server):
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if server.poll() is not None:
            sys.exit(f"ministack ended with the exit code {server.returncode} while it started")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    sys.exit(f"ministack did not listen within {START_SECONDS_MAX} s")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--ministack", required=True, help="the Python that has ministack")
    arguments.add_argument("--architecture", required=True, choices=["arm64", "x86_64"])
    arguments.add_argument("--built", default=".aws-sam/build/template.yaml", help="the template that `sam build` made")
    options = arguments.parse_args()

    port = free_port()
    # The keys are invalid in AWS, the user's configuration is not read, and every request goes to the server on this machine.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")} | {
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with tempfile.TemporaryDirectory(prefix="myaku-deploy-local-") as directory:
        log_path = Path(directory) / "ministack.log"
        with log_path.open("w") as log:
            server = subprocess.Popen(
                [Path(options.ministack).absolute(), Path(__file__).resolve().with_name("ministack_server.py")],
                cwd=directory,
                env=environment
                | {
                    "BIND_HOST": "127.0.0.1",
                    "GATEWAY_PORT": str(port),
                    "IOT_MTLS_ENABLED": "0",
                    "SFTP_ENABLED": "0",
                    "S3_DATA_DIR": f"{directory}/s3",
                    "DOCKER_HOST": f"unix://{directory}/no-docker.sock",
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_until_listening(port, server)
            parameters = PARAMETERS | {"Architecture": options.architecture}
            deployed = subprocess.run(
                ["sam", "deploy", "--template-file", options.built, "--stack-name", STACK, "--region", REGION]
                + ["--resolve-s3", "--no-confirm-changeset", "--no-progressbar", "--capabilities", "CAPABILITY_IAM"]
                + ["--parameter-overrides"]
                + [f"{key}={value}" for key, value in parameters.items()],
                env=environment,
                stdin=subprocess.DEVNULL,
                check=False,
            )
            if deployed.returncode != 0:
                print(log_path.read_text()[-4000:], file=sys.stderr)
                sys.exit(f"sam deploy failed with the exit code {deployed.returncode}; the end of ministack's log is above")
            os.environ.clear()
            os.environ.update(environment)
            session = boto3.Session(region_name=REGION)
            cloudformation = session.client("cloudformation")
            resources = cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]
            ids = {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in resources}
            template = expand(yaml_parse(Path("template.yaml").read_text()))
            account = session.client("sts").get_caller_identity()["Account"]
            check = compare(template, Resolver(template, parameters, account, ids), session)
        finally:
            server.terminate()
            try:
                server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                server.kill()
    print(f"{check.done} settings compared, {check.differences} differ")
    sys.exit(1 if check.differences else 0)


if __name__ == "__main__":
    main()
