"""Checks template.yaml after SAM's transform, as CloudFormation sees it, for each combination of parameters that the
template's Rules permit. No resource may refer to one that its condition excludes, and cfn-lint must accept the result.
sam local start-api must find the function of each route.

    scripts/python/.venv/bin/python scripts/python/template.py
"""

import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
from samcli.lib.providers.api_provider import ApiProvider  # noqa: E402
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider  # noqa: E402
from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

TEMPLATE = pathlib.Path(__file__).parents[2] / "template.yaml"

CHOICES = {
    "Gateway": ["http", "rest"],
    "TracesEndpoint": ["", "http://collector:4318"],
    "VpcId": ["", "vpc-1"],
    "SubnetIds": ["", "subnet-1,subnet-2"],
    "DatabaseSecurityGroupId": ["", "sg-1"],
    "RedisSecurityGroupId": ["", "sg-2"],
    "EgressCidr": ["", "10.0.0.0/16"],
    "DatabaseAuth": ["secret", "iam", "url"],
    "DatabaseUrl": ["", "postgres://user@host/database"],
    "DatabaseSecretArn": ["", "arn:aws:secretsmanager:us-east-1:123456789012:secret:database"],
    "DatabaseSecretKeyArn": ["", "arn:aws:kms:us-east-1:123456789012:key/database"],
    "DatabaseResourceId": ["", "db-ABC"],
    "DatabaseProxy": ["none", "instance", "cluster"],
    "DatabaseIdentifier": ["", "database"],
    "RedisCache": ["none", "serverless"],
    "RedisUrl": ["", "rediss://host:6379", "off"],
}
# No rule depends on these, and no condition on two of them, so they vary together: all have the first value, or all the second.
TOGETHER = {
    "ReservedConcurrency": ["15", "0"],
    "AlarmTopicArn": ["", "arn:aws:sns:us-east-1:123456789012:alarms"],
    "LogKeyArn": ["", "arn:aws:kms:us-east-1:123456789012:key/logs"],
    "EnvironmentKeyArn": ["", "arn:aws:kms:us-east-1:123456789012:key/environment"],
    "HasCallers": ["false", "true"],
    "PurgeSecretArn": ["", "arn:aws:secretsmanager:us-east-1:123456789012:secret:purge"],
}


class Policies:
    def load(self):
        name = "AWSCodeDeployRoleForLambdaLimited"
        return {name: "arn:aws:iam::aws:policy/service-role/" + name}


def translated():
    template = yaml_parse(TEMPLATE.read_text())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    return transform(template, {}, Policies())


def value(x, parameters, conditions):
    """The value of a condition function."""
    if not isinstance(x, dict):
        return str(x)
    ((function, arguments),) = x.items()
    if function == "Ref":
        return parameters[arguments]
    if function == "Condition":
        return value(conditions[arguments], parameters, conditions)
    got = [value(a, parameters, conditions) for a in arguments]
    return {
        "Fn::Equals": lambda: got[0] == got[1],
        "Fn::EachMemberEquals": lambda: all(member == got[1] for member in got[0].split(",")),
        "Fn::Not": lambda: not got[0],
        "Fn::And": lambda: all(got),
        "Fn::Or": lambda: any(got),
    }[function]()


def parameters_of(x, conditions):
    """The parameters that a condition function depends on."""
    if not isinstance(x, dict):
        return set()
    ((function, arguments),) = x.items()
    if function == "Ref":
        return {arguments}
    if function == "Condition":
        return parameters_of(conditions[arguments], conditions)
    return set().union(*(parameters_of(a, conditions) for a in arguments))


def remembered(x, conditions):
    """A function of the parameters that returns the value of x. It computes each value once: most depend on few parameters."""
    names, values = sorted(parameters_of(x, conditions)), {}

    def look_up(parameters):
        key = tuple(parameters[name] for name in names)
        if key not in values:
            values[key] = value(x, parameters, conditions)
        return values[key]

    return look_up


def references(x, holds):
    """The names that x refers to, except in parts whose conditions are false."""
    if isinstance(x, list):
        for item in x:
            yield from references(item, holds)
    elif isinstance(x, dict):
        for key, inner in x.items():
            if key == "Fn::If":
                yield from references(inner[1 if holds[inner[0]] else 2], holds)
                continue
            if key == "Ref":
                yield inner
            elif key == "Fn::GetAtt":
                yield (inner if isinstance(inner, list) else inner.split("."))[0]
            elif key == "Fn::Sub":
                text, own = (inner, {}) if isinstance(inner, str) else inner
                for name in re.findall(r"\$\{([^!}][^}]*)\}", text):
                    if name not in own:
                        yield name.split(".")[0]
                yield from references(own, holds)
                continue
            elif key == "DependsOn":
                yield from [inner] if isinstance(inner, str) else inner
            if key not in ("Ref", "Fn::GetAtt", "Condition"):
                yield from references(inner, holds)


def permitted(rule):
    """The condition function that a rule stands for."""
    return {"Fn::Or": [{"Fn::Not": [rule["RuleCondition"]]}, {"Fn::And": [a["Assert"] for a in rule["Assertions"]]}]}


def missing(template, holds):
    """References that have no target, with these conditions."""
    there = {n: r for n, r in template["Resources"].items() if holds.get(r.get("Condition"), True)}
    known = set(there) | set(template["Parameters"])
    outputs = {n: o for n, o in template["Outputs"].items() if holds.get(o.get("Condition"), True)}
    for name, part in (there | outputs).items():
        for target in references({k: v for k, v in part.items() if k != "Condition"}, holds):
            if target not in known and not target.startswith("AWS::"):
                yield name, target


def mounted():
    """The functions that sam local start-api finds behind the API. It understands few forms of an integration's uri."""
    stacks, _ = SamLocalStackProvider.get_stacks(str(TEMPLATE))
    return {route.function_name for route in ApiProvider(stacks).api.routes}


def main():
    template = translated()
    defaults = {n: str(p.get("Default", "")) for n, p in template["Parameters"].items()}
    tried, seen, wrong = 0, set(), set()
    rules = [remembered(permitted(rule), {}) for rule in template["Rules"].values()]
    conditions = {name: remembered(c, template["Conditions"]) for name, c in template["Conditions"].items()}
    for combination in itertools.product(*CHOICES.values()):
        chosen = dict(zip(CHOICES, combination))
        if not all(permits(defaults | chosen) for permits in rules):
            continue
        for independent in zip(*TOGETHER.values()):
            chosen |= dict(zip(TOGETHER, independent))
            tried += 1
            holds = {name: condition(defaults | chosen) for name, condition in conditions.items()}
            if tuple(holds.values()) in seen:
                continue  # parameters reach resources only through conditions
            seen.add(tuple(holds.values()))
            for name, target in missing(template, holds):
                wrong.add(f"{name} refers to {target}, which does not exist, for example for {chosen}")
                break
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        json.dump(template, f)
        f.flush()
        lint = subprocess.run(  # W2001: SAM has put in the values of the parameters that it reads; W1030: see the template
            [pathlib.Path(sys.executable).parent / "cfn-lint", "--ignore-checks", "W2001", "W1030", "--", f.name], check=False
        ).returncode
    print(f"{tried} combinations of parameters, {len(seen)} of conditions, {len(wrong)} with a reference to nothing")
    print(*sorted(wrong)[:5], sep="\n")
    found = mounted()
    print(f"sam local start-api finds {', '.join(sorted(found))}")
    return 1 if wrong or lint or not tried or found != {"UserFunction", "SessionFunction", "CharacterFunction", "StaffFunction"} else 0


sys.exit(main())
