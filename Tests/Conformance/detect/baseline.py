"""A second implementation of the learned baselines of docs/detect.md, written to be read next to that page.

It shares no code with the product, and computes logarithms with integers of any size, so every result is exact.
"""
import fractions

import naive

UNITS = {"aws:all-bytes-in": 12, "aws:all-bytes-out": 12, "aws:all-packets-in": 4, "aws:all-packets-out": 4}
MARGINS = {"LOW": 88, "MEDIUM": 176, "HIGH": 352}
LEARNING_HOURS = 336
LONGEST_DELAY = 24  # hours
HOUR_MS = 3_600_000
NONE_YET = -10**9


def logarithm(value):
    """Returns 256 · log2(value), rounded down, for a fraction of at least 1 whose denominator is a power of two."""
    return (value.numerator ** 256).bit_length() - 1 - 256 * (value.denominator.bit_length() - 1)


def position_of_count(count, exponent):
    return logarithm(fractions.Fraction(min(count, 2**63) + 2**exponent)) - 256 * exponent


def position_of_number(number):
    distance = 1.0 + abs(number)
    position = 63 * 256 if distance >= 2.0**63 else logarithm(fractions.Fraction(distance))
    return -position if number < 0 else position


class Baseline:
    """What is usual for one behavior of one thing."""

    def __init__(self, margin, is_number):
        self.margin, self.is_number = margin, is_number
        self.means = {}
        self.current = []
        self.hour = None
        self.hours = 0
        self.largest = self.largest_of_three = 0
        self.before = [NONE_YET, NONE_YET]

    def near(self):
        """Returns the means around the current hour."""
        return [self.means[place] for place in ((self.hour + step) % 24 for step in (-1, 0, 1)) if place in self.means]

    def is_later(self, hour):
        """Returns whether an hour ends the current one. An hour that is at most a day earlier doesn't."""
        return self.hour is None or (self.hour - hour) % 240 > LONGEST_DELAY

    def excess(self, position, near):
        above, below = position - max(near), min(near) - position
        return max(above, below) if self.is_number else above

    def is_unusual(self, position, time_ms):
        hour = time_ms // HOUR_MS % 240
        if self.is_later(hour):
            self.end_hour()
            self.hour = hour
        near = self.near()
        if not near:
            self.learn(position)
            return False
        excess = self.excess(position, near)
        of_three = min(excess, *self.before)
        self.before = [excess, self.before[0]]
        if self.hours >= LEARNING_HOURS and self.is_beyond(excess, of_three):
            return True
        self.learn(position)
        if self.hours >= 24:
            self.largest = max(self.largest, excess)
            self.largest_of_three = max(self.largest_of_three, of_three)
        return False

    def is_beyond(self, excess, of_three):
        """Returns whether the datapoint exceeds a limit, and raises each excess whose limit it exceeds."""
        usual_of_three = max(self.largest_of_three, 2 * self.largest // 5)
        beyond = excess - (self.largest + self.largest // 8 + self.margin)
        beyond_of_three = of_three - (usual_of_three + usual_of_three // 4 + self.margin)
        if beyond > 0:
            self.largest += 1 + beyond // 64
        if beyond_of_three > 0:
            self.largest_of_three = usual_of_three + 1 + beyond_of_three // 64
        return beyond > 0 or beyond_of_three > 0

    def learn(self, position):
        if len(self.current) < 255:
            self.current.append(position)

    def end_hour(self):
        if not self.current:
            return
        mean, place = sum(self.current) // len(self.current), self.hour % 24
        self.current = []
        if place not in self.means:
            self.means[place] = mean
        else:
            weight = min(8, 1 + self.hours // 24)
            difference = mean - self.means[place]
            change = (abs(difference) + weight // 2) // weight
            self.means[place] += change if difference > 0 else -change
        self.hours += 1
        self.forget()

    def forget(self):
        self.largest -= -(-self.largest // 1024)
        self.largest_of_three -= -(-self.largest_of_three // 1024)


class Criteria(naive.Criteria):
    """The criteria of a learned behavior. `verdict` is that of the current datapoint."""

    def __init__(self, behavior):
        criteria = behavior["criteria"]
        self.operator, self.verdict = "", False
        self.kind = "count" if behavior["metric"].startswith("aws:") else "number"
        self.duration_ms = criteria.get("durationSeconds", 0) * 1000
        self.to_alarm = criteria.get("consecutiveDatapointsToAlarm", 1)
        self.to_clear = criteria.get("consecutiveDatapointsToClear", 1)
        self.is_sum = behavior["metric"] in naive.DELTAS

    def is_violated_by(self, value):
        return self.verdict


class Tracker(naive.Tracker):
    def __init__(self, behavior, make_baseline=Baseline):
        super().__init__(behavior["metric"], Criteria(behavior))
        confidence = behavior["criteria"]["mlDetectionConfig"]["confidenceLevel"]
        self.baseline = make_baseline(MARGINS[confidence], self.criteria.kind == "number")
        self.datapoint_ms = None

    def close_window(self, time_ms):
        if self.window is not None:
            self.datapoint_ms = self.window * self.criteria.duration_ms
        events = super().close_window(time_ms)
        self.datapoint_ms = time_ms
        return events

    def decide(self, value):
        position = position_of_number(value) if self.criteria.kind == "number" else \
            position_of_count(value, UNITS.get(self.metric, 2))
        self.criteria.verdict = self.baseline.is_unusual(position, self.datapoint_ms)
        return super().decide(value)


class Evaluator(naive.Evaluator):
    """Evaluates learned behaviors as well as those with a static threshold."""

    make_baseline = Baseline

    def behaviors(self):
        for profile in self.profiles:
            for behavior in profile["behaviors"]:
                yield profile["securityProfileName"], behavior

    def make_tracker(self, behavior):
        if "mlDetectionConfig" in behavior["criteria"]:
            return Tracker(behavior, self.make_baseline)
        return super().make_tracker(behavior)
