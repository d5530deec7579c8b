"""The three spellings of a security profile, and the rules that a valid one keeps."""
import ipaddress
import re

NAME = re.compile(r"[a-zA-Z0-9:_-]{1,128}")
ORDER = {"less-than", "less-than-equals", "greater-than", "greater-than-equals"}
PORT_SETS, CIDR_SETS, SETS = {"in-port-set", "not-in-port-set"}, {"in-cidr-set", "not-in-cidr-set"}, {"in-set", "not-in-set"}
DURATIONS = {300, 600, 900, 1800, 3600}
TRAFFIC = ["aws:all-bytes-in", "aws:all-bytes-out", "aws:all-packets-in", "aws:all-packets-out"]
LISTENING = ["aws:num-listening-tcp-ports", "aws:num-listening-udp-ports"]
CONNECTIONS = "aws:num-established-tcp-connections"
PORTS = ["aws:listening-tcp-ports", "aws:listening-udp-ports"]
ADDRESSES = "aws:destination-ip-addresses"
COUNTED = {*TRAFFIC, *LISTENING, CONNECTIONS}
# Not evaluated here: they need what only the cloud sees.
CLOUD_SIDE = ["aws:num-messages-sent", "aws:num-messages-received", "aws:message-byte-size", "aws:num-authorization-failures",
              "aws:num-connection-attempts", "aws:num-disconnects", "aws:source-ip-address"]


def pascal(document):
    """Returns a profile as the properties of CloudFormation's AWS::IoT::SecurityProfile."""
    if isinstance(document, list):
        return [pascal(member) for member in document]
    if not isinstance(document, dict):
        return document
    return {key[0].upper() + key[1:]: str(value) if key == "count" else pascal(value) for key, value in document.items()}


def described(profile):
    """Returns a profile as `aws iot describe-security-profile` prints it."""
    name = profile["securityProfileName"]
    return {**profile, "securityProfileArn": f"arn:aws:iot:eu-central-1:123456789012:securityprofile/{name}", "version": 3,
            "creationDate": "2026-01-02T03:04:05.678000+00:00", "lastModifiedDate": 1795462136.5}


def spelled(profile, spelling):
    return {"cli": lambda: profile, "api": lambda: described(profile), "cloudformation": lambda: pascal(profile)}[spelling]()


def accepted_operators(metric):
    """Returns the operators for each kind of value that a metric can be compared with."""
    if metric in COUNTED:
        return {"count": ORDER}
    if metric in PORTS:
        return {"ports": PORT_SETS}
    if metric == ADDRESSES:
        return {"cidrs": CIDR_SETS}
    return {"number": ORDER, "numbers": SETS, "strings": SETS, "cidrs": CIDR_SETS}


def is_cidr(text):
    try:
        ipaddress.ip_network(text, strict=True)
    except ValueError:
        return False
    return "/" in text


def value_is_valid(kind, value):
    def is_integer(number, most):
        return isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= most

    def is_number(number):
        return isinstance(number, (int, float)) and not isinstance(number, bool)

    if kind == "count":
        return is_integer(value, 2**63 - 1)
    if kind == "number":
        return is_number(value)
    check = {"ports": lambda port: is_integer(port, 65535), "cidrs": lambda cidr: isinstance(cidr, str) and is_cidr(cidr),
             "numbers": is_number, "strings": lambda text: isinstance(text, str)}[kind]
    return isinstance(value, list) and all(map(check, value))


def duration_is_valid(metric, kind, duration):
    if kind in ("ports", "cidrs", "numbers", "strings"):
        return duration is None
    if metric in TRAFFIC or metric in LISTENING:
        return duration in DURATIONS
    return duration is None or duration in DURATIONS


def is_static_behavior_valid(behavior):
    """Returns whether a behavior with a static threshold keeps the rules of metric, operator, value and durationSeconds."""
    metric, criteria = behavior["metric"], behavior["criteria"]
    if metric.startswith("aws:") and metric not in COUNTED | {*PORTS, ADDRESSES}:
        return False
    if "metricDimension" in behavior or len(criteria["value"]) != 1:
        return False
    ((kind, value),) = criteria["value"].items()
    if criteria.get("comparisonOperator") not in accepted_operators(metric).get(kind, set()):
        return False
    return value_is_valid(kind, value) and duration_is_valid(metric, kind, criteria.get("durationSeconds"))
