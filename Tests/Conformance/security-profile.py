#!/usr/bin/env python3
"""Checks the commands that `defender security-profile` prints against botocore's model of AWS IoT.

Needs botocore.
"""
import argparse
import json
import shlex
import subprocess

# "Device-side metrics", AWS IoT Device Defender developer guide.
DEVICE_METRICS = {
    "aws:all-bytes-in", "aws:all-bytes-out", "aws:all-packets-in", "aws:all-packets-out",
    "aws:num-established-tcp-connections", "aws:num-listening-tcp-ports", "aws:num-listening-udp-ports",
    "aws:listening-tcp-ports", "aws:listening-udp-ports", "aws:destination-ip-addresses",
}


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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("defender", metavar="DEFENDER", help="the program to check")
    defender = parser.parse_args().defender
    # Imported here so that --help works without botocore.
    import botocore.session
    from botocore.validate import ParamValidator
    model = botocore.session.Session().get_service_model("iot")
    variants = [[], ["--detect", "retain"], ["--name", "a:b_c-1", "--custom-metrics", "cpu_usage,disk_usage:/var"]]
    for arguments in variants:
        output = subprocess.run(
            [defender, "security-profile", *arguments], check=True, capture_output=True, text=True).stdout
        metrics, created = set(), set()
        for line in output.splitlines():
            aws, service, operation, option, document = shlex.split(line)
            assert (aws, service, option) == ("aws", "iot", "--cli-input-json"), line
            document = json.loads(document)
            name = "".join(part.capitalize() for part in operation.split("-"))
            shape = model.operation_model(name).input_shape
            document_with_token = {"clientRequestToken": "generated", **document} if "Custom" in name else document
            report = ParamValidator().validate(document_with_token, shape)
            assert not report.has_errors(), report.generate_report()
            check_enums(shape, document)
            if name == "CreateCustomMetric":
                created.add(document["metricName"])
            else:
                metrics |= {behavior["metric"] for behavior in document.get("behaviors", [])}
                metrics |= {metric["metric"] for metric in document["additionalMetricsToRetainV2"]}
        assert metrics == DEVICE_METRICS | created, metrics ^ (DEVICE_METRICS | created)
        assert len(created) == (2 if "--custom-metrics" in arguments else 0)
    print(f"{len(variants)} security profiles match the model of botocore {botocore.__version__}")


main()
