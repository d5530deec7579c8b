"""A second evaluator of security profiles, written to be read next to docs/detect.md, not to be fast.

It shares no code with the product. `Evaluator.evaluate` takes one report at a time and returns its events. An event is a dictionary:
`type`, `time` (seconds), `thing`, `profile`, `behavior` (its name), `value` (a MetricValue) and `violation`, a number which the events of
one violation share.
"""
import fractions
import ipaddress
import itertools
import math

TWO_DAYS_MS = 2 * 24 * 3600 * 1000
LARGEST_LIST = 50
DELTAS = {"aws:all-bytes-in", "aws:all-bytes-out", "aws:all-packets-in", "aws:all-packets-out"}
UPPER_BOUNDS = {"less-than", "less-than-equals"}


def address(text):
    """Returns an address; an IPv4-mapped IPv6 address is the IPv4 address."""
    parsed = ipaddress.ip_address(text)
    return getattr(parsed, "ipv4_mapped", None) or parsed


def is_in_networks(text, networks):
    parsed = address(text)
    return any(parsed in network for network in map(ipaddress.ip_network, networks) if network.version == parsed.version)


def offenders(operator, bounds, elements):
    """Returns the elements that violate a set behavior."""
    if operator.endswith("-cidr-set"):
        inside = [element for element in elements if is_in_networks(element, bounds)]
    else:
        inside = [element for element in elements if element in bounds]
    if operator.startswith("not-in-"):
        return inside
    return [element for element in elements if element not in inside]


def is_satisfied(operator, bound, value):
    return {
        "less-than": value < bound,
        "less-than-equals": value <= bound,
        "greater-than": value > bound,
        "greater-than-equals": value >= bound,
    }[operator]


def listed(kind, elements):
    """Returns the elements of a list as an event shows them: each once, ascending, at most 50."""
    if kind == "cidrs":
        addresses = sorted({address(element) for element in elements}, key=lambda one: (one.version, int(one)))
        return [str(one) for one in addresses][:LARGEST_LIST]
    if kind == "strings":
        return sorted(set(elements), key=lambda text: text.encode())[:LARGEST_LIST]
    return sorted(set(elements))[:LARGEST_LIST]


class Criteria:
    """The condition that normal datapoints satisfy."""

    def __init__(self, behavior):
        criteria = behavior["criteria"]
        self.operator = criteria["comparisonOperator"]
        if "value" in criteria:
            ((self.kind, self.bound),) = criteria["value"].items()
        else:
            # A statistical threshold, whose bound differs from window to window.
            self.kind, self.bound = "count" if behavior["metric"].startswith("aws:") else "number", None
        self.duration_ms = criteria.get("durationSeconds", 0) * 1000
        self.to_alarm = criteria.get("consecutiveDatapointsToAlarm", 1)
        self.to_clear = criteria.get("consecutiveDatapointsToClear", 1)
        self.is_sum = behavior["metric"] in DELTAS

    def is_violated_by(self, value):
        if self.operator.endswith("-set"):
            return bool(offenders(self.operator, self.bound, value))
        return not is_satisfied(self.operator, self.bound, value)

    def shown(self, value, is_violation):
        """Returns the metricValue of a datapoint's event."""
        if not self.operator.endswith("-set"):
            return {self.kind: value}
        return {self.kind: listed(self.kind, offenders(self.operator, self.bound, value) if is_violation else value)}


class Tracker:
    """What is known about one behavior of one thing."""

    # Differs between all violations of all trackers.
    numbers = itertools.count(1)

    def __init__(self, metric, criteria):
        self.metric, self.criteria = metric, criteria
        self.violating_in_a_row = self.conforming_in_a_row = 0
        self.violation = None  # the number of the current violation
        self.last_seen_ms = None
        # The open window: its number, its value so far, and whether it has become a datapoint already.
        self.window = self.window_value = None
        self.window_is_decided = False
        self.last_closed = -1

    def window_number(self, time_ms):
        return time_ms // self.criteria.duration_ms

    def observe(self, report):
        """Returns the events of a report: (type, violation, value)."""
        events = self.close_window(report.time_ms)
        events += self.invalidate(report.time_ms)
        kind, value = report.metrics.get(self.metric, (None, None))
        if kind != self.criteria.kind:
            return events
        self.last_seen_ms = max(report.time_ms, self.last_seen_ms or 0)
        if self.criteria.duration_ms:
            return events + self.add_to_window(report.time_ms, value)
        return events + self.decide(value)

    def close_window(self, time_ms):
        """Turns the open window into a datapoint if the report belongs to a later window."""
        if self.window is None or self.window_number(time_ms) <= self.window:
            return []
        value, is_decided, self.last_closed = self.window_value, self.window_is_decided, self.window
        self.window = self.window_value = None
        return [] if is_decided else self.decide(value)

    def invalidate(self, time_ms):
        """Ends a violation if the metric has been missing for more than two days."""
        if self.violation is None or time_ms - self.last_seen_ms <= TWO_DAYS_MS:
            return []
        violation, self.violation = self.violation, None
        self.violating_in_a_row = self.conforming_in_a_row = 0
        return [("alarm-invalidated", violation, None)]

    def add_to_window(self, time_ms, value):
        number = self.window_number(time_ms)
        newest = self.last_closed if self.window is None else self.window
        if number + 1 < newest:
            self.window = None  # the clock was set back: the open window doesn't become a datapoint
        elif number < newest or number == self.last_closed and self.window is None:
            return []  # its window is over
        if self.window is None:
            self.window, self.window_value, self.window_is_decided = number, 0, False
        if self.window_is_decided:
            return []
        self.window_value = self.window_value + value if self.criteria.is_sum else value
        # A sum only grows: an upper bound that it exceeds now is exceeded when the window ends.
        is_final = self.criteria.is_sum and self.criteria.operator in UPPER_BOUNDS
        if not is_final or not self.criteria.is_violated_by(self.window_value):
            return []
        self.window_is_decided = True
        return self.decide(self.window_value)

    def decide(self, value):
        """Counts one datapoint."""
        if self.criteria.is_violated_by(value):
            self.violating_in_a_row += 1
            self.conforming_in_a_row = 0
            if self.violation is None and self.violating_in_a_row >= self.criteria.to_alarm:
                self.violation = next(self.numbers)
                return [("in-alarm", self.violation, self.criteria.shown(value, True))]
        else:
            self.conforming_in_a_row += 1
            self.violating_in_a_row = 0
            if self.violation is not None and self.conforming_in_a_row >= self.criteria.to_clear:
                violation, self.violation = self.violation, None
                return [("alarm-cleared", violation, self.criteria.shown(value, False))]
        return []


def nearest_rank(statistic, values):
    """Returns a percentile such as p99.9: the smallest value that at least this part of the values doesn't exceed."""
    part = fractions.Fraction(statistic.removeprefix("p")) / 100
    ascending = sorted(values)
    return ascending[max(math.ceil(part * len(ascending)), 1) - 1]


class FleetTracker:
    """The state of one behavior with a statistical threshold, over all things."""

    def __init__(self, behavior):
        self.behavior, self.statistic = behavior, behavior["criteria"]["statisticalThreshold"]["statistic"]
        self.trackers = {}  # by thing: its runs of datapoints and its violation
        self.newest = {}  # by thing: the number of the latest window in which it sent any report
        self.values = {}  # by window and thing
        self.next_to_judge = None

    def tracker(self, thing):
        if thing not in self.trackers:
            self.trackers[thing] = Tracker(self.behavior["metric"], Criteria(self.behavior))
        return self.trackers[thing]

    def is_over(self, window, current):
        """Returns whether a window can be evaluated when a report of the window `current` arrives."""
        awaited = [newest for newest in self.newest.values() if newest >= window - 1]
        return current >= window + 2 or bool(awaited) and all(newest > window for newest in awaited)

    def observe(self, report):
        """Returns the events of a report: (thing, type, violation, value)."""
        own = self.tracker(report.thing)
        current = own.window_number(report.time_ms)
        if self.next_to_judge is None:
            self.next_to_judge = current
        self.newest[report.thing] = max(current, self.newest.get(report.thing, current))
        events = []
        while self.is_over(self.next_to_judge, current):
            events += self.judge(self.values.pop(self.next_to_judge, {}))
            self.next_to_judge += 1
        events += [(report.thing, *event) for event in own.invalidate(report.time_ms)]
        kind, value = report.metrics.get(self.behavior["metric"], (None, None))
        if kind == own.criteria.kind:
            own.last_seen_ms = max(report.time_ms, own.last_seen_ms or 0)
            if current >= self.next_to_judge and current == self.newest[report.thing]:
                self.add(current, report.thing, value, own.criteria.is_sum)
        return events

    def add(self, window, thing, value, is_sum):
        values = self.values.setdefault(window, {})
        values[thing] = values.get(thing, 0) + value if is_sum else value
        if values[thing] < 0:
            del values[thing]  # there are no percentiles with negative values

    def judge(self, values):
        events = []
        if values:
            bound = nearest_rank(self.statistic, values.values())
            for thing, value in sorted(values.items(), key=lambda pair: pair[0].encode()):
                tracker = self.tracker(thing)
                tracker.criteria.bound = bound
                events += [(thing, *event) for event in tracker.decide(value)]
        return events


class Evaluator:
    """Evaluates the reports of any number of things. `profiles` are in the API's spelling."""

    tracker = Tracker

    def __init__(self, profiles):
        self.profiles = profiles
        self.last_ids = {}
        self.trackers = {}
        self.fleets = {}

    def behaviors(self):
        """Yields the profile's name and the behavior, for each behavior that isn't learned."""
        for profile in self.profiles:
            for behavior in profile["behaviors"]:
                if "mlDetectionConfig" not in behavior.get("criteria", {"mlDetectionConfig": None}):
                    yield profile["securityProfileName"], behavior

    def is_new(self, report):
        return report.id > self.last_ids.get(report.thing, -1)

    def evaluate(self, report):
        if not self.is_new(report):
            return []
        self.last_ids[report.thing] = report.id
        events = []
        for profile, behavior in self.behaviors():
            for thing, event_type, violation, value in self.observe(profile, behavior, report):
                events.append({"type": event_type, "time": report.time_ms // 1000, "thing": thing, "profile": profile,
                               "behavior": behavior["name"], "value": value, "violation": violation})
        return events

    def observe(self, profile, behavior, report):
        """Returns the events of one behavior: (thing, type, violation, value)."""
        if "statisticalThreshold" in behavior["criteria"]:
            key = profile, behavior["name"]
            if key not in self.fleets:
                self.fleets[key] = FleetTracker(behavior)
            return self.fleets[key].observe(report)
        key = report.thing, profile, behavior["name"]
        if key not in self.trackers:
            self.trackers[key] = self.make_tracker(behavior)
        return [(report.thing, *event) for event in self.trackers[key].observe(report)]

    def make_tracker(self, behavior):
        return self.tracker(behavior["metric"], Criteria(behavior))

    def evaluate_all(self, reports):
        return [event for report in reports for event in self.evaluate(report)]
