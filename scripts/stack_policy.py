"""Sets the stack policy, which limits what a deployment may change.

    scripts/stack_policy.py protect    set stack-policy.json
    scripts/stack_policy.py open       allow every change
"""

import json
import sys
import tomllib
from pathlib import Path

import boto3

ROOT = Path(__file__).resolve().parent.parent
EVERYTHING = {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "Update:*", "Resource": "*"}]}


def main():
    if sys.argv[1:] not in (["protect"], ["open"]):
        sys.exit("scripts/stack_policy.py takes one argument: protect or open")
    policy = json.loads((ROOT / "stack-policy.json").read_text()) if sys.argv[1] == "protect" else EVERYTHING
    settings = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]["global"]["parameters"]
    cloudformation = boto3.client("cloudformation", region_name=settings["region"])
    cloudformation.set_stack_policy(StackName=settings["stack_name"], StackPolicyBody=json.dumps(policy))


if __name__ == "__main__":
    main()
