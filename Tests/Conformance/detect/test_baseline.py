"""Learned baselines: `detect run` finds the same events as the second implementation, however the input is divided.

DETECT_TRIALS / 10 is the number of trials, DETECT_SEED the first seed.
"""
import collections
import os
import unittest

import baseline
import comparison
import generate
import model
import profiles
import reports
from product import Workspace

TRIALS = max(5, int(os.environ.get("DETECT_TRIALS", "200")) // 10)
SEED = int(os.environ.get("DETECT_SEED", "1"))
EXTREMES = [0, -0.5, 1e-3, 1e300, -1e300, 2.0**63, -2.0**62]


class Generator(generate.Generator):
    """Generates profiles with learned behaviors, and three weeks of reports with rare unusual values."""

    def behavior(self, name):
        if self.chance(0.2):
            return super().behavior(name)
        metric = self.random.choice([*profiles.TRAFFIC, *profiles.LISTENING, profiles.CONNECTIONS, "load", "disk:var"])
        criteria = {"mlDetectionConfig": {"confidenceLevel": self.random.choice(sorted(baseline.MARGINS))}}
        if self.chance(0.3):
            criteria["durationSeconds"] = self.duration()
        for key in ("consecutiveDatapointsToAlarm", "consecutiveDatapointsToClear"):
            if self.chance(0.2):
                criteria[key] = self.random.randint(1, 3)
        return {"name": name, "metric": metric, "criteria": criteria}

    def documents(self):
        seconds, documents = generate.START + self.random.randint(0, 3600), []
        for number in range(1000):
            seconds += self.random.choice([300, 900, 1799, 1800, 1801, 3600])
            if self.chance(0.005):
                seconds += self.random.choice([generate.DAY, 3 * generate.DAY, 10 * generate.DAY])
            self.hour = seconds // 3600 % 24
            # Unusual values last for one to four reports, and become more unusual.
            if number % 40 == 0:
                self.unusual = self.random.randint(1, 4), 2 ** self.random.uniform(0, 2 if number < 700 else 12)
            self.factor = self.unusual[1] if number % 40 < self.unusual[0] else 1
            # Some reports come late: their times are before that of the report before.
            late = self.random.choice([600, 3600, generate.DAY, 2 * generate.DAY]) if self.chance(0.05) else 0
            documents.append(self.wrapped(self.report(seconds), None, (seconds - late) * 1000 if late else None))
        return documents

    def amount(self, usual):
        """Returns a count whose size depends on the hour."""
        daily = 4 if 8 <= self.hour < 18 else 1
        return min(2**60, int(usual * daily * self.factor * 2 ** self.random.gauss(0, 0.4)))

    def ports(self):
        return {"ports": [{"port": 22}], "total": self.random.choice([3, 3, 3, 4]) + int(self.factor)}

    def traffic(self):
        return {name: self.amount(self.scale) for name in reports.TRAFFIC.values()}

    def connections(self):
        return {"established_connections": {"connections": [], "total": self.amount(5)}}

    def custom_value(self, kind):
        if kind != "number" or self.chance(0.01):
            return super().custom_value(kind)
        if self.chance(0.01):
            return {"number": self.random.choice(EXTREMES)}
        return {"number": (20 + self.random.gauss(0, 2)) * self.random.choice([1, 1, 1, self.factor, -1 / self.factor])}


# Wrong models, each of which the trials must find.


class OnlyThisHour(baseline.Baseline):
    def near(self):
        return super().near() if self.hour % 24 not in self.means else [self.means[self.hour % 24]]


class OnlyAbove(baseline.Baseline):
    def excess(self, position, near):
        return position - max(near)


class EndsHoursWithEarlierOnes(baseline.Baseline):
    def is_later(self, hour):
        return hour != self.hour


class NeverForgets(baseline.Baseline):
    def forget(self):
        pass


class OnlySingle(baseline.Baseline):
    def is_beyond(self, excess, of_three):
        return super().is_beyond(excess, baseline.NONE_YET)


class OnlyThree(baseline.Baseline):
    def is_beyond(self, excess, of_three):
        return super().is_beyond(baseline.NONE_YET, of_three)


class LearnsAttacks(baseline.Baseline):
    def is_beyond(self, excess, of_three):
        is_beyond = super().is_beyond(excess, of_three)
        self.largest = max(self.largest, excess)
        return is_beyond


class Baselines(unittest.TestCase):
    def check(self, seed, found):
        generator = Generator(seed)
        given, documents = generator.profiles(), generator.documents()
        expected = baseline.Evaluator(given).evaluate_all(map(reports.read, documents))
        confidence = {(profile["securityProfileName"], one["name"]): one["criteria"].get("mlDetectionConfig")
                      for profile in given for one in profile["behaviors"]}
        with Workspace() as workspace:
            files = [workspace.file(f"profile-{number}.json", profiles.spelled(profile, generator.spelling()))
                     for number, profile in enumerate(given)]
            for profile in given:
                self.assertEqual([], model.profile_problems(profile))
            whole = workspace.run(files, "-", stdin=reports.write(documents, generator.encoding()))
            self.assertIsNone(comparison.difference(expected, whole), f"seed {seed}")
            for event in whole:
                self.assertEqual([], model.event_problems(event))
                wanted = confidence[event["securityProfileName"], event["behavior"]["name"]]
                self.assertEqual(wanted, event.get("violationEventAdditionalInfo"), f"seed {seed}")
                if wanted:
                    found[event["violationEventType"], wanted["confidenceLevel"]] += 1
            state = str(workspace.path / "state")
            in_runs = [event for chunk in generator.chunks(documents) for event in
                       workspace.run(files, "--state", state, "-", stdin=reports.write(chunk, generator.encoding()))]
            self.assertEqual(whole, in_runs, f"seed {seed}, with saved states")

    def test_detect_run_prints_the_events_of_the_second_implementation(self):
        found = collections.Counter()
        for seed in range(SEED, SEED + TRIALS):
            self.check(seed, found)
        for event_type in ("in-alarm", "alarm-cleared"):
            for level in baseline.MARGINS:
                self.assertGreater(found[event_type, level], 0, (event_type, level))

    def test_the_trials_find_each_wrong_model(self):
        mutants = baseline.Baseline.__subclasses__()
        self.assertEqual(7, len(mutants))
        missing = set(mutants)
        for seed in range(SEED, SEED + TRIALS):
            generator = Generator(seed)
            given, read = generator.profiles(), list(map(reports.read, generator.documents()))
            expected = baseline.Evaluator(given).evaluate_all(read)
            for mutant in list(missing):
                evaluator = type("Mutant", (baseline.Evaluator,), {"make_baseline": mutant})
                wrong = evaluator(given).evaluate_all(read)
                if [one | {"violation": 0} for one in wrong] != [one | {"violation": 0} for one in expected]:
                    missing.discard(mutant)
        self.assertEqual(set(), missing)

    def test_a_short_recording_says_that_baselines_still_learn(self):
        profile = {"securityProfileName": "p", "behaviors": [{"name": "b", "metric": "load", "criteria": {
            "mlDetectionConfig": {"confidenceLevel": "HIGH"}}}]}
        report = {"header": {"report_id": 1, "version": "1.0"}, "custom_metrics": {"load": [{"number": 1}]}}
        with Workspace() as workspace:
            done = workspace.defender("detect", "run", "--profile", workspace.file("p.json", profile), "-",
                                      stdin=reports.write([report], "lines"))
        self.assertEqual((0, b""), (done.returncode, done.stdout))
        self.assertIn(b"Learned baselines still learning: 1 of 1.", done.stderr)


if __name__ == "__main__":
    unittest.main()
