"""`detect learn`: its profiles are valid, raise no alarm over what they were learned from, and find simulated attacks."""
import json
import unittest

import healthy
import model
from product import Workspace

# Devices, and the intervals of five minutes that each records.
FLEETS = [(1, 288), (10, 144), (1000, 25)]


class Learning(unittest.TestCase):
    def learn(self, workspace, content, *options, status=0):
        """Returns the profile learned from the bytes of a file, and the messages."""
        path = workspace.file("healthy", content)
        done = workspace.defender("detect", "learn", *options, path)
        self.assertEqual(status, done.returncode, done.stderr.decode())
        again = workspace.defender("detect", "learn", *options, "-", stdin=content)
        self.assertEqual(done.stdout, again.stdout, "from standard input the profile is another")
        return json.loads(done.stdout), done.stderr.decode()

    def check(self, workspace, profile, content):
        """Checks that a profile is valid and raises no alarm over what it was learned from."""
        path = workspace.file("profile.json", profile)
        self.assertEqual([], model.profile_problems(profile))
        self.assertEqual(0, workspace.validate(path).returncode)
        self.assertEqual([], workspace.run([path], workspace.file("same", content)))
        behaviors = profile["behaviors"]
        elements = [element for behavior in behaviors for value in behavior["criteria"]["value"].values()
                    for element in (value if isinstance(value, list) else [value])]
        self.assertLessEqual(len(behaviors), 100)
        self.assertLessEqual(len(elements), 1000)
        return path

    def test_each_attack_raises_an_alarm_and_health_does_not(self):
        for things, steps in FLEETS:
            with self.subTest(things=things), Workspace() as workspace:
                fleet = healthy.Fleet(things)
                content = healthy.written(fleet.recording(steps, gaps=0.02, restarts=0.01), "lines")
                profile, _ = self.learn(workspace, content)
                path = self.check(workspace, profile, content)
                later = fleet.recording(24, first=steps, most=20)
                self.assertEqual([], workspace.run([path], "-", stdin=healthy.written(later, "lines")), "healthy devices")
                for behavior, attack in healthy.ATTACKS.items():
                    attacked = healthy.Fleet(things, seed=2).recording(25, first=steps, change=attack, most=20)
                    events = workspace.run([path], "-", "--fail-on-alarm", stdin=healthy.written(attacked, "lines"), status=3)
                    self.assertIn((behavior, "pump-0"), {(event["behavior"]["name"], event["thingName"]) for event in events})
                    self.assertEqual({"pump-0"}, {event["thingName"] for event in events}, attack)
                # The slow exfiltration stays below the bound of short windows.
                self.assertNotIn("bytes-out-600s", self.alarms(workspace, path, healthy.slow, things, steps))

    def alarms(self, workspace, path, attack, things, steps):
        attacked = healthy.Fleet(things, seed=2).recording(25, first=steps, change=attack, most=20)
        return {event["behavior"]["name"] for event in workspace.run([path], "-", stdin=healthy.written(attacked, "lines"))}

    def test_every_encoding_gives_the_same_profile(self):
        documents = healthy.Fleet(3).recording(40)
        with Workspace() as workspace:
            profiles = [self.learn(workspace, healthy.written(documents, encoding))[0] for encoding in ("lines", "pretty", "array", "cbor")]
        self.assertEqual(profiles[0], profiles[1])
        self.assertEqual(profiles[0], profiles[2])
        self.assertEqual(profiles[0], profiles[3])
        names = {behavior["name"] for behavior in profiles[0]["behaviors"]}
        self.assertLessEqual({"custom:temperature:most", "custom:temperature:least", "custom:users", "custom:codes", "custom:resolvers"},
                             names)

    def test_a_custom_metric_out_of_what_was_learned_raises_an_alarm(self):
        changes = {"custom:temperature:most": {"temperature": 60}, "custom:temperature:least": {"temperature": 20},
                   "custom:users": {"users": ["root", "eve"]}, "custom:codes": {"codes": [7]}}
        fleet = healthy.Fleet(2)
        with Workspace() as workspace:
            content = healthy.written(fleet.recording(60), "lines")
            path = self.check(workspace, self.learn(workspace, content)[0], content)
            for behavior, change in changes.items():
                attacked = fleet.recording(2, first=60, change=lambda _, values, change=change: values.update(change))
                events = workspace.run([path], "-", stdin=healthy.written(attacked, "lines"))
                self.assertEqual({behavior}, {event["behavior"]["name"] for event in events})

    def test_damaged_lines_are_counted_and_skipped(self):
        documents = healthy.Fleet(10).recording(60)
        with Workspace() as workspace:
            content = healthy.written(documents, "lines", damage=0.05)
            profile, messages = self.learn(workspace, content)
            self.check(workspace, profile, content)
        self.assertIn("is skipped: ", messages)
        count = int(messages.partition("Reports skipped: ")[2].partition(",")[0])
        self.assertGreater(count, 10)
        self.assertIn(f"Reports: {len(documents) - count}. ", profile["securityProfileDescription"])

    def test_a_sampled_list_is_reported(self):
        def many(_, values):
            values["peers"] = [f"10.1.{number % 4}.{number % 250 + 1}" for number in range(80)]
            values["connections"] = 80

        with Workspace() as workspace:
            content = healthy.written(healthy.Fleet(1).recording(60, change=many), "lines")
            profile, messages = self.learn(workspace, content)
            self.check(workspace, profile, content)
        self.assertIn("Reports with incomplete lists: 60.", messages)

    def test_learning_again_gives_the_same_and_margin_and_name_apply(self):
        content = healthy.written(healthy.Fleet(2).recording(60), "lines")
        with Workspace() as workspace:
            first, _ = self.learn(workspace, content, "--margin", "0", "--profile-name", "pumps")
            second, _ = self.learn(workspace, content, "--margin", "100", "--profile-name", "pumps")
            self.assertEqual(first, self.learn(workspace, content, "--margin", "0", "--profile-name", "pumps")[0])
            self.check(workspace, first, content)

        def bound(profile):
            return {one["name"]: one["criteria"]["value"] for one in profile["behaviors"]}["bytes-out-600s"]["count"]

        self.assertEqual("pumps", first["securityProfileName"])
        self.assertEqual(2 * bound(first), bound(second))

    def test_nothing_to_learn_from_is_an_error(self):
        with Workspace() as workspace:
            for content in (b"", b"{}\n", b"[1]\n"):
                done = workspace.defender("detect", "learn", "-", stdin=content)
                self.assertEqual((1, b""), (done.returncode, done.stdout))
                self.assertIn(b"nothing to learn from", done.stderr)
            missing = workspace.defender("detect", "learn", "missing.jsonl")
            self.assertEqual(1, missing.returncode)
            self.assertIn(b"'missing.jsonl' can't be read", missing.stderr)
            for options in (["--margin", "1001"], ["--margin", "-1"], ["--profile-name", "a b"], ["-", "-"]):
                self.assertEqual(64, workspace.defender("detect", "learn", *options).returncode, options)


if __name__ == "__main__":
    unittest.main()
