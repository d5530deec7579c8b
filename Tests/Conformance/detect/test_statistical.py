"""Statistical thresholds: worked examples, and generated fleets for which `detect run` and the second evaluator must print the same events."""
import os
import unittest

import comparison
import generate
import model
import naive
import profiles
import reports
from product import Workspace, events_of

TRIALS, SEED = int(os.environ.get("DETECT_TRIALS", "200")) // 2, int(os.environ.get("DETECT_SEED", "1"))
START = 1795460100  # a multiple of 300
STATISTICS = ["p0", "p0.1", "p0.01", "p1", "p10", "p50", "p90", "p99", "p99.9", "p99.99", "p100"]


def statistical(metric, operator, statistic, duration=300, **criteria):
    return {"metric": metric, "criteria": {"comparisonOperator": operator, "statisticalThreshold": {"statistic": statistic},
                                           "durationSeconds": duration, **criteria}}


def profile(*behaviors):
    return {"securityProfileName": "fleet", "behaviors": [{"name": f"b{number}", **one} for number, one in enumerate(behaviors)]}


def document(thing, second, amount=None, load=None):
    report = {"header": {"report_id": second, "version": "1.0"}, "metrics": {}}
    if amount is not None:
        report["metrics"]["network_stats"] = {"bytes_in": 1, "bytes_out": amount, "packets_in": 1, "packets_out": 1}
    if load is not None:
        report["custom_metrics"] = {"load": [{"number": load}]}
    return {"thing": thing, "timestamp": second * 1000, "report": report}


class FleetGenerator(generate.Generator):
    """Generates a fleet whose things report in about the order of time; some stop, some are late, some join."""

    def behavior(self, name):
        if self.chance(0.3):
            return super().behavior(name)
        metric = self.random.choice([*profiles.TRAFFIC, *profiles.LISTENING, profiles.CONNECTIONS, "load", "disk:var"])
        behavior = {"name": name, **statistical(metric, self.order(), self.random.choice(STATISTICS), self.duration())}
        for key in ("consecutiveDatapointsToAlarm", "consecutiveDatapointsToClear"):
            if self.chance(0.4):
                behavior["criteria"][key] = self.random.choice([1, 2, 3])
        return behavior

    def documents(self):
        things = [f"thing-{number}" for number in range(self.random.choice([1, 2, 5, 12]))]
        interval, second, documents, last = self.random.choice([60, 300, 700]), generate.START, [], {}
        for _ in range(self.random.randint(3, 14)):
            second += generate.DAY * 3 if self.chance(0.04) else interval
            for number, thing in enumerate(things):
                if self.chance(0.15):
                    continue  # it is off
                time = second + number * interval // len(things) - (self.random.choice([interval, 600]) if self.chance(0.05) else 0)
                identifier = last.get(thing, time - 1) + self.random.choice([0, 1, 1, 1, 1, 1, 1])
                last[thing] = identifier
                documents.append(self.wrapped(self.report(identifier), thing, time * 1000))
        return documents

    def custom_value(self, kind):
        # Few different values, so that some are equal to the percentile.
        return {"number": self.random.choice([-1, 0, 0.5, 1, 2])} if kind == "number" else super().custom_value(kind)


class Statistical(unittest.TestCase):
    maxDiff = None

    def shown(self, chosen, documents):
        self.assertEqual([], model.profile_problems(chosen))
        events = events_of(chosen, documents)
        for event in events:
            self.assertEqual([], model.event_problems(event))
        return [(event["thingName"], event["violationEventType"], event["violationEventTime"] - START, event["metricValue"])
                for event in events]

    def test_the_sum_of_a_window_is_compared_with_the_percentile_of_all_things(self):
        chosen = profile(statistical("aws:all-bytes-out", "less-than-equals", "p90"))
        documents = [document(f"t{number}", START + half + number, 50 * number)
                     for half in (0, 150) for number in range(1, 11)]
        # The window is evaluated when the last thing has sent a report of the next one. t10 is above rank 9 of 10.
        documents += [document(f"t{number}", START + 300 + number, 1) for number in range(1, 11)]
        self.assertEqual([("t10", "in-alarm", 310, {"count": 1000})], self.shown(chosen, documents))
        # In the next window all are equal.
        documents += [document(f"t{number}", START + 600 + number) for number in range(1, 11)]
        self.assertEqual([("t10", "in-alarm", 310, {"count": 1000}), ("t10", "alarm-cleared", 610, {"count": 1})],
                         self.shown(chosen, documents))

    def test_a_silent_thing_delays_a_window_by_one_window_at_most(self):
        chosen = profile(statistical("aws:all-bytes-out", "less-than-equals", "p50"))
        documents = [document("a", START, 5), document("b", START + 1, 9), document("c", START + 2, 1)]
        documents += [document("a", START + 300), document("b", START + 301), document("a", START + 600)]
        self.assertEqual([("b", "in-alarm", 600, {"count": 9})], self.shown(chosen, documents))

    def test_a_late_report_is_counted_and_ignored(self):
        chosen = profile(statistical("aws:all-bytes-out", "less-than-equals", "p50"))
        documents = [document("a", START, 5), document("a", START + 300, 5), document("b", START, 900), document("a", START + 600, 5)]
        with Workspace() as workspace:
            path = workspace.file("profile.json", chosen)
            done = workspace.defender("detect", "run", "--profile", path, "-", stdin=reports.write(documents, "lines"))
        self.assertEqual((0, b""), (done.returncode, done.stdout))
        self.assertIn(b"Late reports: 1. ", done.stderr)

    def test_negative_values_are_ignored(self):
        chosen = profile(statistical("load", "greater-than-equals", "p50"))
        documents = [document("a", START, load=-9), document("b", START + 1, load=2.5), document("c", START + 2, load=1)]
        documents += [document(thing, START + 300) for thing in "abc"]
        self.assertEqual([], self.shown(chosen, documents[:5]))
        # Of 1 and 2.5, p50 is 1: both conform.
        self.assertEqual([], self.shown(chosen, documents))
        documents[2] = document("c", START + 2, load=3)
        documents.insert(3, document("d", START + 3, load=0))
        self.assertEqual([("d", "in-alarm", 600, {"number": 0})], self.shown(chosen, documents + [document("a", START + 600)]))

    def test_percentiles_are_nearest_ranks(self):
        values = list(range(1, 1001))
        expected = {"p0": 1, "p0.01": 1, "p0.1": 1, "p1": 10, "p10": 100, "p50": 500, "p90": 900, "p99": 990, "p99.9": 999,
                    "p99.99": 1000, "p100": 1000}
        self.assertEqual(set(expected), set(STATISTICS))
        self.assertEqual(expected, {statistic: naive.nearest_rank(statistic, values) for statistic in expected})
        documents = [document(f"t{value:04}", START + value // 10, value) for value in values]
        documents += [document(f"t{value:04}", START + 300) for value in values]
        for statistic, rank in expected.items():
            events = self.shown(profile(statistical("aws:all-bytes-out", "less-than-equals", statistic)), documents)
            self.assertEqual(1000 - rank, len(events), statistic)

    def test_generated_fleets_have_the_events_of_the_second_evaluator(self):
        found = 0
        for seed in range(SEED, SEED + TRIALS):
            with self.subTest(seed=seed), Workspace() as workspace:
                generator = FleetGenerator(seed)
                chosen, documents = generator.profiles(), generator.documents()
                for one in chosen:
                    self.assertEqual([], model.profile_problems(one))
                expected = naive.Evaluator(chosen).evaluate_all(map(reports.read, documents))
                files = [workspace.file(f"profile-{number}.json", one) for number, one in enumerate(chosen)]
                whole = workspace.run(files, "-", stdin=reports.write(documents, generator.encoding()))
                self.assertIsNone(comparison.difference(expected, whole))
                parts, state = [], str(workspace.path / "state")
                for number, chunk in enumerate(generator.chunks(documents)):
                    part = workspace.file(f"chunk-{number}", reports.write(chunk, generator.encoding()))
                    parts += workspace.run(files, "--state", state, part)
                self.assertEqual(whole, parts, "with saved states")
                names = {(one["securityProfileName"], behavior["name"]) for one in chosen for behavior in one["behaviors"]
                         if "statisticalThreshold" in behavior["criteria"]}
                found += sum((event["profile"], event["behavior"]) in names for event in expected)
        self.assertGreater(found, 5 * TRIALS)
        print(f"{TRIALS} fleets from seed {SEED}: {found} events of statistical thresholds")


if __name__ == "__main__":
    unittest.main()
