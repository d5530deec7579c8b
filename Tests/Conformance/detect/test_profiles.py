"""Profiles that `detect validate` accepts and rejects. What AWS's model rejects must be rejected."""
import copy
import json
import random
import re
import unittest

import generate
import model
import profiles
from product import Workspace

BASE = {
    "securityProfileName": "pumps",
    "behaviors": [
        {"name": "ports", "metric": "aws:listening-tcp-ports",
         "criteria": {"comparisonOperator": "in-port-set", "value": {"ports": [22, 443]}, "consecutiveDatapointsToAlarm": 2}},
        {"name": "bytes", "metric": "aws:all-bytes-out",
         "criteria": {"comparisonOperator": "less-than", "value": {"count": 4096}, "durationSeconds": 300}},
        {"name": "peers", "metric": "aws:destination-ip-addresses",
         "criteria": {"comparisonOperator": "in-cidr-set", "value": {"cidrs": ["10.0.0.0/8"]}}},
        {"name": "load", "metric": "load", "criteria": {"comparisonOperator": "less-than", "value": {"number": 0.5}}},
        {"name": "users", "metric": "users", "criteria": {"comparisonOperator": "in-set", "value": {"strings": ["root"]}}},
    ],
}
REMOVED = object()
THRESHOLDS = {"value", "statisticalThreshold", "mlDetectionConfig"}
CRITERIA = ("behaviors", 0, "criteria")
# What is wrong, the place, and the value to put there.
PLANTED = [
    ("an unknown key of a profile", ("behaviours",), []),
    ("an unknown key of a behavior", ("behaviors", 0, "metrics"), "x"),
    ("an unknown key of criteria", (*CRITERIA, "consecutiveDatapoints"), 2),
    ("an unknown key of a value", (*CRITERIA, "value", "port"), 22),
    ("an unknown operator", (*CRITERIA, "comparisonOperator"), "inside-port-set"),
    ("an operator of another metric", (*CRITERIA, "comparisonOperator"), "in-cidr-set"),
    ("a value of another metric", (*CRITERIA, "value"), {"cidrs": ["10.0.0.0/8"]}),
    ("no operator", (*CRITERIA, "comparisonOperator"), REMOVED),
    ("no value", (*CRITERIA, "value"), REMOVED),
    ("two values", (*CRITERIA, "value"), {"ports": [1], "count": 1}),
    ("an empty value", (*CRITERIA, "value"), {}),
    ("a duration of a set", (*CRITERIA, "durationSeconds"), 300),
    ("port 70000", (*CRITERIA, "value", "ports", 1), 70000),
    ("port -1", (*CRITERIA, "value", "ports", 1), -1),
    ("a port that is text", (*CRITERIA, "value", "ports", 1), "22"),
    ("half a port", (*CRITERIA, "value", "ports", 1), 22.5),
    ("ports that aren't a list", (*CRITERIA, "value", "ports"), 22),
    ("no datapoint to alarm", (*CRITERIA, "consecutiveDatapointsToAlarm"), 0),
    ("eleven datapoints to alarm", (*CRITERIA, "consecutiveDatapointsToAlarm"), 11),
    ("eleven datapoints to clear", (*CRITERIA, "consecutiveDatapointsToClear"), 11),
    ("a negative count", ("behaviors", 1, "criteria", "value", "count"), -1),
    ("half a count", ("behaviors", 1, "criteria", "value", "count"), 4096.5),
    ("a huge count", ("behaviors", 1, "criteria", "value", "count"), 10**30),
    ("a count that is a boolean", ("behaviors", 1, "criteria", "value", "count"), True),
    ("a duration that AWS doesn't have", ("behaviors", 1, "criteria", "durationSeconds"), 301),
    ("a negative duration", ("behaviors", 1, "criteria", "durationSeconds"), -300),
    ("a required duration", ("behaviors", 1, "criteria", "durationSeconds"), REMOVED),
    ("a network with host bits", ("behaviors", 2, "criteria", "value", "cidrs", 0), "10.0.0.1/8"),
    ("an IPv6 network with host bits", ("behaviors", 2, "criteria", "value", "cidrs", 0), "fd00::1/8"),
    ("a prefix that is too long", ("behaviors", 2, "criteria", "value", "cidrs", 0), "10.0.0.0/33"),
    ("an IPv6 prefix that is too long", ("behaviors", 2, "criteria", "value", "cidrs", 0), "fd00::/129"),
    ("no prefix", ("behaviors", 2, "criteria", "value", "cidrs", 0), "10.0.0.0/"),
    ("an octet of 256", ("behaviors", 2, "criteria", "value", "cidrs", 0), "10.256.0.0/16"),
    ("an octet with a zero before", ("behaviors", 2, "criteria", "value", "cidrs", 0), "010.0.0.0/8"),
    ("three octets", ("behaviors", 2, "criteria", "value", "cidrs", 0), "10.0.0/24"),
    ("a name instead of a network", ("behaviors", 2, "criteria", "value", "cidrs", 0), "example.com"),
    ("a count for a custom metric", ("behaviors", 3, "criteria", "value"), {"count": 1}),
    ("a set for an order operator", ("behaviors", 3, "criteria", "value"), {"numbers": [1]}),
    ("an order operator for a set", ("behaviors", 4, "criteria", "comparisonOperator"), "less-than"),
    ("strings that are numbers", ("behaviors", 4, "criteria", "value", "strings", 0), 1),
    ("a name with a space", ("behaviors", 0, "name"), "listening ports"),
    ("an empty name", ("behaviors", 0, "name"), ""),
    ("a name that is too long", ("behaviors", 0, "name"), "n" * 129),
    ("no name", ("behaviors", 0, "name"), REMOVED),
    ("two behaviors of one name", ("behaviors", 1, "name"), "ports"),
    ("a profile's name with a slash", ("securityProfileName",), "a/b"),
    ("a profile's name that is a number", ("securityProfileName",), 7),
    ("a description that is too long", ("securityProfileDescription",), "d" * 1001),
    ("behaviors that aren't a list", ("behaviors",), {"name": "x"}),
    ("a behavior that is text", ("behaviors", 0), "ports"),
    ("an unknown AWS metric", ("behaviors", 0, "metric"), "aws:listening-sctp-ports"),
    *((f"the cloud-side metric {metric}", ("behaviors", 1, "metric"), metric) for metric in profiles.CLOUD_SIDE),
    ("a dimension", ("behaviors", 1, "metricDimension"), {"dimensionName": "topics", "operator": "IN"}),
    ("an unknown statistic", ("behaviors", 1, "criteria"),
     {"comparisonOperator": "less-than", "durationSeconds": 300, "statisticalThreshold": {"statistic": "p42"}}),
    ("an unknown confidence", ("behaviors", 1, "criteria"), {"mlDetectionConfig": {"confidenceLevel": "CERTAIN"}}),
    ("no confidence", ("behaviors", 1, "criteria"), {"mlDetectionConfig": {}}),
    ("suppressAlerts that is text", ("behaviors", 1, "suppressAlerts"), "yes"),
    ("a target without a role", ("alertTargets",), {"SNS": {"alertTargetArn": "arn:aws:sns:eu-central-1:123456789012:a"}}),
    ("a metric to retain that is text", ("additionalMetricsToRetainV2",), ["aws:all-bytes-in"]),
    ("a topic that is too long", ("metricsExportConfig",),
     {"mqttTopic": "t" * 513, "roleArn": "arn:aws:iam::123456789012:role/exports"}),
]
# Bytes that aren't a profile.
NO_PROFILES = [b"", b"{", b"[1", b"null", b"7", b"[7]", b"\xff\xfe", b"[" * 100000,
               b'{"securityProfileName":"a","securityProfileName":"b","behaviors":[]}',
               b'{"securityProfileName":"p","behaviors":[]} x', b'{"securityProfileName":"p\\ud800","behaviors":[]}']


def changed(document, path, value):
    """Returns a copy of a document with the value at a path replaced, added or removed."""
    copied = copy.deepcopy(document)
    place = copied
    for step in path[:-1]:
        place = place[step]
    if value is REMOVED:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return copied


def leaves(document, path=()):
    """Yields the path of every value below a document."""
    steps = document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    for step, value in steps:
        yield (*path, step)
        yield from leaves(value, (*path, step))


def shown_path(path):
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def line_of(document, path):
    """Returns the number of the line on which the value at a path stands in the indented document."""
    marked = changed(document, path, "the marked value")
    lines = json.dumps(marked, indent=2).splitlines()
    return next(number for number, line in enumerate(lines, 1) if '"the marked value"' in line)


def is_valid(profile):
    """Returns whether a profile keeps the rules, or None if none is known."""
    if model.profile_problems(profile):
        return False
    names = [behavior["name"] for behavior in profile.get("behaviors", [])]
    if len(set(names)) < len(names):
        return False
    behaviors = profile.get("behaviors", [])
    if any("criteria" in behavior and not THRESHOLDS & {*behavior["criteria"]} for behavior in behaviors):
        return False
    if not behaviors or any("value" not in one.get("criteria", {}) or "metric" not in one for one in behaviors):
        return None
    return all(map(profiles.is_static_behavior_valid, profile["behaviors"]))


class Profiles(unittest.TestCase):
    def verdict(self, content, *options):
        """Returns whether `detect validate` accepts a file, and what it prints."""
        with Workspace() as workspace:
            done = workspace.validate(workspace.file("profile.json", content), *options)
        self.assertIn(done.returncode, (0, 1), (content, done))
        return done.returncode == 0, (done.stdout + done.stderr).decode()

    def rejection(self, content):
        is_accepted, text = self.verdict(content)
        self.assertFalse(is_accepted, f"accepted: {content}")
        self.assertTrue(text.strip())
        is_accepted, document = self.verdict(content, "--json")
        self.assertFalse(is_accepted)
        answer = json.loads(document)
        self.assertEqual({"valid", "validationErrors"}, set(answer))
        self.assertIs(answer["valid"], False)
        self.assertTrue(all(set(error) == {"errorMessage"} for error in answer["validationErrors"]))
        return text, [error["errorMessage"] for error in answer["validationErrors"]]

    def test_each_planted_mistake_is_one_message_with_its_place(self):
        for what, path, value in PLANTED:
            with self.subTest(what):
                profile = changed(BASE, path, value)
                self.assertFalse(is_valid(profile))
                text, messages = self.rejection(profile)
                self.assertEqual(1, len(messages), messages)
                place = re.search(r": line (\d+): (?:([^ ]+): )?", text)
                self.assertTrue(place, text)
                line, shown = int(place[1]), place[2] or ""
                # The place itself, or what it contradicts in the object around it. An unknown key is reported at that object, with
                # the key's line; a missing one with the object's line.
                lines = {shown_path(one): line_of(profile, one) for one in leaves(profile) if one[:len(path) - 1] == path[:-1]}
                lines |= {shown_path(path[:-1]): line_of(profile, path[:-1]) if path[1:] else 1}
                self.assertIn(shown, lines)
                self.assertIn(line, [lines[shown], lines.get(shown_path(path))], text)

    def test_more_than_a_hundred_behaviors_are_rejected(self):
        behaviors = [BASE["behaviors"][0] | {"name": f"b{number}"} for number in range(101)]
        self.assertTrue(self.verdict(BASE | {"behaviors": behaviors[:100]})[0])
        self.assertEqual(1, len(self.rejection(BASE | {"behaviors": behaviors})[1]))

    def test_bytes_that_are_no_profile_are_rejected(self):
        for content in NO_PROFILES:
            with self.subTest(content[:40]):
                self.assertEqual(1, len(self.rejection(content)[1]))

    def test_a_byte_order_mark_is_ignored(self):
        profile = "\ufeff" + json.dumps({"securityProfileName": "example", "behaviors": []})
        with Workspace() as workspace:
            done = workspace.validate(workspace.file("profile.json", profile))
        self.assertEqual(0, done.returncode, done.stdout)

    def test_a_profile_in_each_spelling_is_accepted(self):
        for seed in range(20):
            for profile in generate.Generator(seed).profiles():
                for spelling in ("api", "cli", "cloudformation"):
                    is_accepted, text = self.verdict(profiles.spelled(profile, spelling))
                    self.assertTrue(is_accepted, (spelling, text, profile))
                is_accepted, text = self.verdict(profile, "--json")
                self.assertEqual((True, {"valid": True, "validationErrors": []}), (is_accepted, json.loads(text)))
        self.assertTrue(self.verdict(BASE["behaviors"])[0], "a bare array of behaviors")

    def test_statistical_and_learned_thresholds_are_accepted(self):
        for criteria in ({"comparisonOperator": "less-than-equals", "durationSeconds": 900, "statisticalThreshold": {"statistic": "p99.9"}},
                         {"mlDetectionConfig": {"confidenceLevel": "HIGH"}}):
            profile = changed(BASE, ("behaviors", 1, "criteria"), criteria)
            self.assertEqual([], model.profile_problems(profile))
            self.assertTrue(self.verdict(profile)[0], self.verdict(profile)[1])

    def test_a_verdict_is_that_of_the_model_and_of_the_table(self):
        """Changes valid profiles at random, and compares the verdicts."""
        accepted, rejected, wrong = 0, 0, []
        for seed in range(400):
            chosen = random.Random(seed)
            profile = generate.Generator(seed).profiles()[0]
            path = chosen.choice(list(leaves(profile)))
            value = chosen.choice([REMOVED, None, -1, 0, 1, 10, 11, 65535, 65536, 300, 0.5, True, "", "x", "less-than", "in-set",
                                   "in-port-set", "aws:all-bytes-in", "load", [], {}, [1], ["a"], ["10.0.0.0/8"], {"count": 1}])
            expected = is_valid(changed(profile, path, value))
            is_accepted, text = self.verdict(changed(profile, path, value))
            if expected is None:
                continue
            accepted, rejected = accepted + expected, rejected + (not expected)
            if expected != is_accepted:
                wrong.append(f"seed {seed}: {shown_path(path)} = {value!r}: {text}")
        self.assertFalse(wrong, "\n".join(wrong))
        self.assertGreater(min(accepted, rejected), 30)


if __name__ == "__main__":
    unittest.main()
