"""Generated trials: `detect run` prints the events of the second evaluator, whatever the spelling, the encoding and the chunks.

DETECT_TRIALS is the number of trials, DETECT_SEED the first seed.
"""
import os
import unittest

import comparison
import generate
import model
import naive
import reports
from product import Workspace

TRIALS, SEED = int(os.environ.get("DETECT_TRIALS", "200")), int(os.environ.get("DETECT_SEED", "1"))


class Trial:
    def __init__(self, seed, workspace):
        self.generator = generate.Generator(seed)
        self.workspace = workspace
        self.profiles = self.generator.profiles()
        self.documents = self.generator.documents()
        self.expected = naive.Evaluator(self.profiles).evaluate_all(map(reports.read, self.documents))

    def profile_files(self):
        return [self.workspace.file(f"profile-{number}.json", generate.profiles.spelled(profile, self.generator.spelling()))
                for number, profile in enumerate(self.profiles)]

    def report_file(self, name, documents):
        return self.workspace.file(name, reports.write(documents, self.generator.encoding()))

    def whole(self):
        """Returns the events of one run over all reports, from a file or from standard input."""
        if self.generator.chance(0.5):
            return self.workspace.run(self.profile_files(), self.report_file("reports", self.documents))
        return self.workspace.run(self.profile_files(), "-", stdin=reports.write(self.documents, self.generator.encoding()))

    def in_files(self):
        """Returns the events of one run over several files."""
        files = [self.report_file(f"reports-{number}", chunk)
                 for number, chunk in enumerate(self.generator.chunks(self.documents))]
        return self.workspace.run(self.profile_files(), *files)

    def in_runs(self):
        """Returns the events of several runs that continue with a saved state."""
        state = str(self.workspace.path / "state")
        return [event for number, chunk in enumerate(self.generator.chunks(self.documents))
                for event in self.workspace.run(self.profile_files(), "--state", state, self.report_file(f"chunk-{number}", chunk))]


def same_behavior(profile, event):
    """Returns whether the event's behavior is the profile's, apart from defaults and from repeated members of sets."""
    def key(behavior):
        criteria = behavior["criteria"]
        ((kind, bound),) = criteria["value"].items()
        bound = set(bound) if isinstance(bound, list) else bound
        return (behavior["metric"], criteria["comparisonOperator"], kind, bound, criteria.get("durationSeconds"),
                criteria.get("consecutiveDatapointsToAlarm", 1), criteria.get("consecutiveDatapointsToClear", 1))

    (behavior,) = [one for one in profile["behaviors"] if one["name"] == event["behavior"]["name"]]
    return key(behavior) == key(event["behavior"])


class Random(unittest.TestCase):
    def check(self, seed):
        with Workspace() as workspace:
            trial = Trial(seed, workspace)
            for profile in trial.profiles:
                self.assertEqual([], model.profile_problems(profile))
            whole = trial.whole()
            self.assertIsNone(comparison.difference(trial.expected, whole), f"seed {seed}, in one run")
            by_name = {profile["securityProfileName"]: profile for profile in trial.profiles}
            for event in whole:
                self.assertEqual([], model.event_problems(event))
                self.assertTrue(same_behavior(by_name[event["securityProfileName"]], event), (seed, event))
            # Also the ids are the same.
            self.assertEqual(whole, trial.in_files(), f"seed {seed}, in files")
            self.assertEqual(whole, trial.in_runs(), f"seed {seed}, with saved states")
            return len(whole)

    def test_detect_run_prints_the_events_of_the_second_evaluator(self):
        events = sum(map(self.check, range(SEED, SEED + TRIALS)))
        self.assertGreater(events, TRIALS)
        print(f"{TRIALS} trials from seed {SEED}: {events} events")


if __name__ == "__main__":
    unittest.main()
