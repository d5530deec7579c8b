"""A plain Python evaluator of static thresholds, with the semantics of docs/detect.md, to compare `defender detect run` with.

    detection.py PROFILE REPORTS   reads a security profile and JSON lines, each a report with long names, with or without a wrapper

Prints one violation event a line. Parses addresses with ipaddress, and caches what it knows about an address, as one would in Python.
The interpreter's json module, which does most of the reading, is written in C.
"""
import functools
import hashlib
import ipaddress
import json
import operator
import sys

TWO_DAYS_MS = 2 * 24 * 3600 * 1000
LARGEST_LIST = 50
ORDER = {"less-than": operator.lt, "less-than-equals": operator.le, "greater-than": operator.gt, "greater-than-equals": operator.ge}
TRAFFIC = {"aws:all-bytes-in": "bytes_in", "aws:all-bytes-out": "bytes_out",
           "aws:all-packets-in": "packets_in", "aws:all-packets-out": "packets_out"}
CUSTOM = {"number": "number", "numbers": "number_list", "strings": "string_list", "cidrs": "ip_list"}


@functools.lru_cache(maxsize=65536)
def address(text):
    parsed = ipaddress.ip_address(text)
    return getattr(parsed, "ipv4_mapped", None) or parsed


@functools.lru_cache(maxsize=65536)
def remote_address(text):
    return address(text.rpartition(":")[0].strip("[]"))


def reader(metric, kind):
    """Returns a function that returns a metric's datapoint from a report, or None."""
    def traffic(report):
        return report.get("metrics", {}).get("network_stats", {}).get(TRAFFIC[metric])

    def listening(report):
        block = report.get("metrics", {}).get(f"listening_{metric.split('-')[-2]}_ports")
        if block is None:
            return None
        return block["total"] if kind == "count" else [entry["port"] for entry in block["ports"]]

    def connections(report):
        block = report.get("metrics", {}).get("tcp_connections", {}).get("established_connections")
        if block is None:
            return None
        return block["total"] if kind == "count" else [remote_address(entry["remote_addr"]) for entry in block["connections"]]

    def custom(report):
        values = report.get("custom_metrics", {}).get(metric)
        value = values[0].get(CUSTOM[kind]) if values else None
        return [address(text) for text in value] if kind == "cidrs" and value is not None else value

    if metric in TRAFFIC:
        return traffic
    if metric.startswith("aws:"):
        return listening if "listening" in metric else connections
    return custom


class Behavior:
    def __init__(self, behavior):
        self.document = behavior
        criteria = behavior["criteria"]
        self.operator = criteria["comparisonOperator"]
        ((self.kind, bound),) = criteria["value"].items()
        self.datapoint = reader(behavior["metric"], self.kind)
        self.duration_ms = criteria.get("durationSeconds", 0) * 1000
        self.to_alarm = criteria.get("consecutiveDatapointsToAlarm", 1)
        self.to_clear = criteria.get("consecutiveDatapointsToClear", 1)
        self.is_sum = behavior["metric"] in TRAFFIC
        self.is_final = self.is_sum and self.operator.startswith("less-than")
        if self.operator in ORDER:
            self.offenders, self.satisfies, self.bound = None, ORDER[self.operator], bound
        else:
            self.offenders = self.offenders_of_networks(bound) if self.kind == "cidrs" else self.offenders_of_set(frozenset(bound))

    def offenders_of_set(self, members):
        if self.operator.startswith("not-in-"):
            return lambda elements: [element for element in elements if element in members]
        return lambda elements: [element for element in elements if element not in members]

    def offenders_of_networks(self, networks):
        networks = [ipaddress.ip_network(network) for network in networks]
        wanted = self.operator.startswith("not-in-")

        @functools.lru_cache(maxsize=65536)
        def offends(element):
            return any(element in network for network in networks) == wanted

        return lambda elements: list(filter(offends, elements))

    def shown(self, value):
        """Returns a metricValue."""
        if self.offenders is None:
            return {self.kind: value}
        key = {"cidrs": lambda one: (one.version, int(one)), "strings": str.encode}.get(self.kind)
        members = sorted(set(value), key=key)[:LARGEST_LIST]
        return {self.kind: list(map(str, members)) if self.kind == "cidrs" else members}


class Tracker:
    """The state of one behavior of one thing."""
    __slots__ = ("violating", "conforming", "started_ms", "seen_ms", "window", "value", "is_decided")

    def __init__(self):
        self.violating = self.conforming = self.value = 0
        self.started_ms = self.seen_ms = self.window = None
        self.is_decided = False


class Evaluator:
    def __init__(self, profiles):
        self.behaviors = [(profile["securityProfileName"], Behavior(behavior)) for profile in profiles for behavior in profile["behaviors"]]
        self.things = {}

    @staticmethod
    def identity(*parts):
        """Returns the violationId of a thing, a profile, a behavior and the time at which the alarm began."""
        return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:32]

    def evaluate(self, document):
        """Returns the events of a parsed line."""
        report = document.get("report", document)
        name, number = document.get("thing", "local"), report["header"]["report_id"]
        time_ms = document.get("timestamp", number * 1000)
        thing = self.things.get(name)
        if thing is None:
            thing = self.things[name] = [number - 1, [Tracker() for _ in self.behaviors]]
        if number <= thing[0]:
            return []
        thing[0] = number
        events = []
        for (profile, behavior), tracker in zip(self.behaviors, thing[1]):
            for kind, started_ms, value in self.observe(behavior, tracker, behavior.datapoint(report), time_ms):
                event = {"violationId": self.identity(name, profile, behavior.document["name"], started_ms), "thingName": name,
                         "securityProfileName": profile, "behavior": behavior.document, "violationEventType": kind,
                         "violationEventTime": time_ms // 1000}
                events.append(event if value is None else event | {"metricValue": value})
        return events

    def observe(self, behavior, tracker, value, time_ms):
        events = []
        window = time_ms // behavior.duration_ms if behavior.duration_ms else None
        if tracker.window is not None and window > tracker.window:
            if not tracker.is_decided:
                self.decide(behavior, tracker, tracker.value, time_ms, events)
            tracker.window = None
        if tracker.started_ms is not None and time_ms - tracker.seen_ms > TWO_DAYS_MS:
            events.append(("alarm-invalidated", tracker.started_ms, None))
            tracker.started_ms, tracker.violating, tracker.conforming = None, 0, 0
        if value is None:
            return events
        tracker.seen_ms = time_ms
        if window is None:
            self.decide(behavior, tracker, value, time_ms, events)
            return events
        if tracker.window is None:
            tracker.window, tracker.value, tracker.is_decided = window, 0, False
        if not tracker.is_decided:
            tracker.value = tracker.value + value if behavior.is_sum else value
            if behavior.is_final and not behavior.satisfies(tracker.value, behavior.bound):
                tracker.is_decided = True
                self.decide(behavior, tracker, tracker.value, time_ms, events)
        return events

    def decide(self, behavior, tracker, value, time_ms, events):
        offenders = behavior.offenders(value) if behavior.offenders else value
        if offenders if behavior.offenders else not behavior.satisfies(value, behavior.bound):
            tracker.violating, tracker.conforming = tracker.violating + 1, 0
            if tracker.started_ms is None and tracker.violating >= behavior.to_alarm:
                tracker.started_ms = time_ms
                events.append(("in-alarm", time_ms, behavior.shown(offenders)))
        else:
            tracker.violating, tracker.conforming = 0, tracker.conforming + 1
            if tracker.started_ms is not None and tracker.conforming >= behavior.to_clear:
                events.append(("alarm-cleared", tracker.started_ms, behavior.shown(value)))
                tracker.started_ms = None


def main():
    profile, reports = sys.argv[1:]
    with open(profile) as file:
        evaluator = Evaluator([json.load(file)])
    with open(reports, "rb") as file:
        for line in file:
            for event in evaluator.evaluate(json.loads(line)):
                print(json.dumps(event))


if __name__ == "__main__":
    main()
