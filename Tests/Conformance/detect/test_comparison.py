"""Checks that the comparison can fail, and that the generated trials are able to find a wrong evaluator. Needs no product."""
import copy
import pathlib
import sys
import unittest

import comparison
import generate
import naive
import profiles
import reports

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "Benchmarks" / "peers"))
import detection  # noqa: E402


def trial(seed):
    """Returns the profiles and the reports of a trial."""
    generator = generate.Generator(seed)
    return generator.profiles(), [reports.read(document) for document in generator.documents()]


def in_aws_shape(event):
    return {"violationEventType": event["type"], "violationEventTime": event["time"], "thingName": event["thing"],
            "securityProfileName": event["profile"], "behavior": {"name": event["behavior"]}, "metricValue": event["value"],
            "violationId": f"id-{event['violation']}"}


class StrictOrder(naive.Criteria):
    def is_violated_by(self, value):
        return super().is_violated_by(value) or (self.operator == "less-than-equals" and value == self.bound)


class MappedIsV6(naive.Criteria):
    def is_violated_by(self, value):
        if self.operator == "in-cidr-set" and any(element.startswith("::ffff:") for element in value):
            return True
        return super().is_violated_by(value)


class EmptyViolates(naive.Criteria):
    def is_violated_by(self, value):
        return value == [] or super().is_violated_by(value)


class AnyElement(naive.Criteria):
    def is_violated_by(self, value):
        if not self.operator.startswith("in-"):
            return super().is_violated_by(value)
        return bool(value) and len(naive.offenders(self.operator, self.bound, value)) == len(value)


class AllElements(naive.Criteria):
    def shown(self, value, is_violation):
        return super().shown(value, False)


class NotCut(naive.Criteria):
    def shown(self, value, is_violation):
        shown = super().shown(value, is_violation)
        return {kind: list({str(one): one for one in value}) if isinstance(value, list) and len(value) > 50 else content
                for kind, content in shown.items()}


class ConsecutiveIgnored(naive.Criteria):
    def __init__(self, behavior):
        super().__init__(behavior)
        self.to_alarm = 1


class ClearIgnored(naive.Criteria):
    def __init__(self, behavior):
        super().__init__(behavior)
        self.to_clear = 1


class LastInsteadOfSum(naive.Criteria):
    def __init__(self, behavior):
        super().__init__(behavior)
        self.is_sum = False


class SumOfEverything(naive.Criteria):
    def __init__(self, behavior):
        super().__init__(behavior)
        self.is_sum = self.kind in ("count", "number")


class NoEarlyViolation(naive.Tracker):
    def add_to_window(self, time_ms, value):
        operator, self.criteria.operator = self.criteria.operator, "greater-than"
        original, self.criteria.is_violated_by = self.criteria.is_violated_by, lambda _: False
        try:
            return super().add_to_window(time_ms, value)
        finally:
            self.criteria.operator, self.criteria.is_violated_by = operator, original


class EarlyTwice(naive.Tracker):
    def add_to_window(self, time_ms, value):
        events = super().add_to_window(time_ms, value)
        self.window_is_decided = False
        return events


class SlidingWindow(naive.Tracker):
    start = 0

    def window_number(self, time_ms):
        self.start = self.start or time_ms
        return (time_ms - self.start) // self.criteria.duration_ms


class ClosesOnlyWithTheMetric(naive.Tracker):
    def observe(self, report):
        return super().observe(report) if self.metric in report.metrics else self.invalidate(report.time_ms)


class GapBreaksTheRun(naive.Tracker):
    def observe(self, report):
        if self.metric not in report.metrics:
            self.violating_in_a_row = 0
        return super().observe(report)


class ConformingDoesNotBreakTheRun(naive.Tracker):
    def decide(self, value):
        run = self.violating_in_a_row
        events = super().decide(value)
        if not events and self.violation is None:
            self.violating_in_a_row = max(self.violating_in_a_row, run)
        return events


class NeverInvalidates(naive.Tracker):
    def invalidate(self, time_ms):
        return []


class InvalidatesAtTwoDays(naive.Tracker):
    def invalidate(self, time_ms):
        return super().invalidate(time_ms + 1)


class InvalidatesFirst(naive.Tracker):
    def close_window(self, time_ms):
        return self.invalidate(time_ms) + super().close_window(time_ms)


class AlarmsAgain(naive.Tracker):
    def decide(self, value):
        was_in_alarm = self.violation
        events = super().decide(value)
        if was_in_alarm and self.criteria.is_violated_by(value):
            return [("in-alarm", self.violation, self.criteria.shown(value, True))]
        return events


class AcceptsDuplicates(naive.Evaluator):
    def is_new(self, report):
        return report.id >= self.last_ids.get(report.thing, -1)


class AcceptsOlder(naive.Evaluator):
    def is_new(self, report):
        return report.id != self.last_ids.get(report.thing, -1)


class OneSequenceForAllThings(naive.Evaluator):
    def is_new(self, report):
        return report.id > max(self.last_ids.values(), default=-1)


class BehaviorsBackwards(naive.Evaluator):
    def behaviors(self):
        return reversed(list(super().behaviors()))


def with_parts(criteria=naive.Criteria, tracker=naive.Tracker, evaluator=naive.Evaluator):
    """Returns an evaluator with a part replaced."""
    class Replaced(tracker):
        def __init__(self, metric, given):
            super().__init__(metric, given)
            if criteria is not naive.Criteria:
                self.criteria = criteria({"metric": metric, "criteria": {
                    "comparisonOperator": given.operator, "value": {given.kind: given.bound},
                    "durationSeconds": given.duration_ms // 1000, "consecutiveDatapointsToAlarm": given.to_alarm,
                    "consecutiveDatapointsToClear": given.to_clear}})

    return type("Mutant", (evaluator,), {"tracker": Replaced})


class Comparison(unittest.TestCase):
    def test_a_difference_of_any_kind_is_reported(self):
        for seed in range(60):
            chosen, read = trial(seed)
            events = naive.Evaluator(chosen).evaluate_all(read)
            shown = [in_aws_shape(event) for event in events]
            self.assertIsNone(comparison.difference(events, shown))
            for number, event in enumerate(events):
                changes = {"violationEventType": "alarm-other", "violationEventTime": event["time"] + 1, "thingName": "other",
                           "securityProfileName": "other", "violationId": "other", "behavior": {"name": "other"}}
                if event["type"] != "alarm-invalidated":
                    changes["metricValue"] = {"count": 12345}
                is_alone = [other["violation"] for other in events].count(event["violation"]) == 1
                for key, value in changes.items():
                    if key == "violationId" and is_alone:
                        continue
                    changed = copy.deepcopy(shown)
                    changed[number][key] = value
                    self.assertIsNotNone(comparison.difference(events, changed), key)
                self.assertIsNotNone(comparison.difference(events, shown[:number] + shown[number + 1:]))
                self.assertIsNotNone(comparison.difference(events, shown[:number + 1] + shown[number:]))
            if len({event["violation"] for event in events}) > 1:
                self.assertIsNotNone(comparison.difference(events, [one | {"violationId": "same"} for one in shown]))

    def test_the_trials_find_each_wrong_evaluator(self):
        mutants = {mutant.__name__: with_parts(**{part: mutant})
                   for part, base in (("criteria", naive.Criteria), ("tracker", naive.Tracker), ("evaluator", naive.Evaluator))
                   for mutant in base.__subclasses__()
                   if mutant.__module__ == __name__ and mutant.__name__ not in ("Mutant", "Replaced")}
        self.assertGreater(len(mutants), 20)
        for name, mutant in mutants.items():
            for seed in range(300):
                chosen, read = trial(seed)
                expected = naive.Evaluator(chosen).evaluate_all(read)
                wrong = [in_aws_shape(event) for event in mutant(chosen).evaluate_all(read)]
                if comparison.difference(expected, wrong):
                    break
            else:
                self.fail(f"300 trials don't find {name}")

    def test_the_evaluator_of_the_benchmarks_has_the_same_events(self):
        for seed in range(300):
            generator = generate.Generator(seed)
            chosen, documents = generator.profiles(), generator.documents()
            expected = naive.Evaluator(chosen).evaluate_all(map(reports.read, documents))
            fast = detection.Evaluator(chosen)
            found = [event for document in documents for event in fast.evaluate(reports.renamed(document, reports.LONG_OF_SHORT))]
            self.assertIsNone(comparison.difference(expected, found), f"seed {seed}")

    def test_every_generated_behavior_is_valid(self):
        for seed in range(100):
            for profile in generate.Generator(seed).profiles():
                for behavior in profile["behaviors"]:
                    self.assertTrue(profiles.is_static_behavior_valid(behavior), behavior)

    def test_the_trials_contain_every_type_of_event(self):
        types = {}
        for seed in range(60):
            chosen, read = trial(seed)
            for event in naive.Evaluator(chosen).evaluate_all(read):
                types[event["type"]] = types.get(event["type"], 0) + 1
        self.assertGreater(min(types.get(one, 0) for one in ("in-alarm", "alarm-cleared", "alarm-invalidated")), 20, types)


if __name__ == "__main__":
    unittest.main()
