#!/usr/bin/env python3
"""Runs the scripts that `defender security-profile` prints with a stub of the AWS CLI, which checks each command against botocore's
model of AWS IoT.

The stub keeps what the commands create. Each script runs twice, so that it creates and then updates. Needs botocore.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

# "Device-side metrics", AWS IoT Device Defender developer guide.
DEVICE_METRICS = {
    "aws:all-bytes-in", "aws:all-bytes-out", "aws:all-packets-in", "aws:all-packets-out",
    "aws:num-established-tcp-connections", "aws:num-listening-tcp-ports", "aws:num-listening-udp-ports",
    "aws:listening-tcp-ports", "aws:listening-udp-ports", "aws:destination-ip-addresses",
}
ARN = "arn:aws:iot:eu-central-1:123456789012:securityprofile/"


def check_enums(shape, value):
    """Checks enumerations, which ParamValidator leaves to the service."""
    if shape.type_name == "structure":
        for name, member in value.items():
            check_enums(shape.members[name], member)
    elif shape.type_name == "list":
        for member in value:
            check_enums(shape.member, member)
    elif getattr(shape, "enum", None):
        assert value in shape.enum, f"{value} isn't one of {shape.enum}"


def camel(words):
    first, *rest = words.split("-")
    return first + "".join(word.capitalize() for word in rest)


def parameters(arguments):
    """Returns the input of a command, and the options that only concern the output."""
    given, output = {}, {}
    rest = list(arguments)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        assert name.startswith("--"), name
        if name == "--delete-behaviors":
            given["deleteBehaviors"] = True
            continue
        value = value if equals else rest.pop(0)
        assert equals or not value.startswith("-"), f"the AWS CLI takes {value} as an option"
        if name == "--cli-input-json":
            given |= json.loads(value)
        elif name in ("--query", "--output"):
            output[name] = value
        else:
            given[camel(name[2:])] = value
    return given, output


def answer(operation, given, state):
    """Does what AWS does, with the resources in `state`. Returns the answer; None if there is no such resource."""
    metrics, profiles = state["metrics"], state["profiles"]
    if operation == "describe-custom-metric":
        return metrics.get(given["metricName"])
    if operation == "create-custom-metric":
        assert given["metricName"] not in metrics, "ResourceAlreadyExistsException"
        metrics[given["metricName"]] = given
        return given
    name = given["securityProfileName"]
    if operation == "create-security-profile":
        assert name not in profiles, "ResourceAlreadyExistsException"
        profiles[name] = given
    elif operation == "update-security-profile":
        removed = given.pop("deleteBehaviors", False)
        assert not (removed and "behaviors" in given), "InvalidRequestException"
        if removed:
            profiles[name].pop("behaviors", None)
        profiles[name] |= given
    elif operation == "attach-security-profile":
        assert name in profiles, "ResourceNotFoundException"
        state["targets"].append(given["securityProfileTargetArn"])
    else:
        assert operation == "describe-security-profile", operation
        return {"securityProfileArn": ARN + name} if name in profiles else None
    return {}


def aws():
    """The stub: `aws iot OPERATION …`. It starts often, so it doesn't import botocore."""
    file = pathlib.Path(os.environ["STATE"])
    state = json.loads(file.read_text())
    assert sys.argv[1] == "iot", sys.argv
    operation = sys.argv[2]
    given, output = parameters(sys.argv[3:])
    state["calls"].append([operation, given])
    answered = answer(operation, dict(given), state)
    file.write_text(json.dumps(state))
    if answered is None:
        sys.exit(254)
    print(answered[output["--query"]] if output else json.dumps(answered))


def check(calls):
    """Checks the input of each command against the model."""
    # Imported here so that --help works without botocore.
    import botocore.session
    from botocore.validate import ParamValidator
    model = botocore.session.Session().get_service_model("iot")
    for operation, given in calls:
        shape = model.operation_model("".join(map(str.capitalize, operation.split("-")))).input_shape
        token = {"clientRequestToken": "generated"} if operation == "create-custom-metric" else {}
        report = ParamValidator().validate(token | given, shape)
        assert not report.has_errors(), report.generate_report()
        check_enums(shape, given)
    return botocore.__version__


def run(defender, arguments, environment):
    script = subprocess.run([defender, "security-profile", *arguments], check=True, capture_output=True, text=True).stdout
    done = subprocess.run(["/bin/sh"], input=script, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr + script


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("defender", metavar="DEFENDER", help="the program to check")
    defender = parser.parse_args().defender
    variants = [[], ["--detect", "retain"], ["--name", "a:b_c-1", "--custom-metrics", "cpu_usage,disk_usage:/var"],
                ["--name=-x", "--target", "thinggroup/pumps"]]
    for arguments in variants:
        with tempfile.TemporaryDirectory() as directory:
            folder = pathlib.Path(directory)
            (folder / "aws").write_text(f"#!/bin/sh\nexec '{sys.executable}' '{os.path.abspath(__file__)}' \"$@\"\n")
            (folder / "aws").chmod(0o700)
            state = folder / "state"
            state.write_text(json.dumps({"metrics": {}, "profiles": {}, "targets": [], "calls": []}))
            environment = {"PATH": f"{folder}:/usr/bin:/bin", "STATE": str(state)}
            run(defender, arguments, environment)
            first = json.loads(state.read_text())
            run(defender, arguments, environment)
            second = json.loads(state.read_text())
            run(defender, [*arguments, "--detect", "retain"], environment)
            stored = json.loads(state.read_text())
        version = check(stored["calls"])
        (profile,) = first["profiles"].values()
        named = {metric["metric"] for metric in profile.get("behaviors", []) + profile["additionalMetricsToRetainV2"]}
        assert named == DEVICE_METRICS | set(first["metrics"]), named ^ (DEVICE_METRICS | set(first["metrics"]))
        assert len(first["metrics"]) == (2 if "--custom-metrics" in arguments else 0)
        assert second["profiles"] == first["profiles"] and second["metrics"] == first["metrics"]
        operations = [operation for operation, _ in second["calls"]]
        assert operations.count("create-security-profile") == operations.count("update-security-profile") == 1, operations
        (profile,) = stored["profiles"].values()
        assert "behaviors" not in profile and {one["metric"] for one in profile["additionalMetricsToRetainV2"]} == named
        target = arguments[-1] if "--target" in arguments else "all/registered-things"
        assert set(stored["targets"]) == {f"arn:aws:iot:eu-central-1:123456789012:{target}"}, stored["targets"]
    print(f"{len(variants)} security profiles match the model of botocore {version}")


if os.path.basename(sys.argv[0]) == "security-profile.py" and "STATE" in os.environ:
    aws()
else:
    main()
