"""Tests how a component handles the peculiarities of nucleus lite: it loses no traffic and keeps running."""
import random
import re
import time
import unittest

from nucleus import ACCESS, TOKEN
from test_component import FAST, Machine, TestCase, anonymous_kib, descriptors, report

QUICK = {**FAST, "ConfirmationSeconds": 0.3, "PublishRetryCount": 0}
NAMED = {"DEFENDER_COMPONENT_NAME": "the.component"}
MQTT_PROXY = ["SubscribeToIoTCore"]
CONFIGURATION = ["SubscribeToConfigurationUpdate"]


def delta(event):
    return report(event)["metrics"].get("network_stats", {}).get("bytes_in")


def report_id(event):
    return report(event)["header"]["report_id"]


class LiteTestCase(TestCase):
    def lite(self, configuration=QUICK, arguments=(), environment=None):
        nucleus = self.component("lite", configuration, ["--component-name", "the.component", *arguments], environment)
        self.addCleanup(lambda: self.check(nucleus))
        return nucleus

    def check(self, nucleus):
        """Checks the invariants of all tests."""
        self.assertEqual(nucleus.all("malformed"), [])
        self.assertEqual(nucleus.all("exited"), [])
        self.assertEqual([line for line in nucleus.log() if re.search(r"[^.]\.\.([^.]|$)", line)], [])
        self.assertNotIn(TOKEN, "".join(nucleus.log()))

    def until(self, nucleus, event, condition, what):
        """Waits for more events of a name until the condition holds. The time is limited, because a component that keeps
        reporting would otherwise keep a failed test running."""
        deadline = time.monotonic() + 60
        while not condition():
            self.assertLess(time.monotonic(), deadline, what)
            nucleus.next(event)

    def line(self, nucleus, text, times=1):
        """Waits for a log line."""
        self.until(nucleus, "log", lambda: self.count(nucleus, text) >= times, f"no line with {text!r}")

    def count(self, nucleus, text):
        return sum(text in line for line in nucleus.log())

    def machine(self, configuration=QUICK, **more):
        nucleus = self.lite(configuration, **more)
        machine = Machine(nucleus.directory)
        (machine.path / "sys/kernel/random").mkdir(parents=True, exist_ok=True)
        machine.write("sys/kernel/random/boot_id", "7d5ff60b-5a4e-4b7e-9d2e-0c7c6f0f3f51\n")
        nucleus.do("configure", configuration={**configuration, "ProcfsPath": str(machine.path)})
        return nucleus, machine


class Subscriptions(LiteTestCase):
    def test_are_renewed_if_they_die_silently(self):
        # At the default level, a missing answer is logged once within four minutes.
        nucleus = self.lite(environment={"AWS_LAMBDA_LOG_LEVEL": "DEBUG"})
        nucleus.do("start")
        self.line(nucleus, "accepted report")
        for times in (1, 2):
            nucleus.do("kill-subscriptions", operations=MQTT_PROXY)
            self.line(nucleus, "No answer to report", times)
            self.line(nucleus, "accepted report", self.count(nucleus, "accepted report") + 2)
        self.assertEqual(len(nucleus.all("connect")), 1)
        self.assertGreaterEqual(len(nucleus.all("subscribe")), 6)

    def test_to_the_configuration_may_die_and_a_change_still_takes_effect(self):
        nucleus = self.lite()
        nucleus.do("start")
        nucleus.next("publish")
        nucleus.do("kill-subscriptions", operations=CONFIGURATION)
        nucleus.do("configure", configuration={**QUICK, "ReportNames": "short"})
        self.until(nucleus, "publish", lambda: "hed" in report(nucleus.all("publish")[-1]), "the change had no effect")
        self.line(nucleus, "the nucleus didn't announce it")
        self.until(nucleus, "publish", lambda: len(nucleus.all("subscribe-configuration")) > 1, "no new subscription")
        self.assertEqual(len(nucleus.all("connect")), 1)
        # A permanent error is logged once and has no other effect.
        nucleus.do("kill-subscriptions", operations=CONFIGURATION)
        nucleus.do("configure", configuration={**QUICK, "ReportNames": "tiny"})
        self.line(nucleus, "ReportNames is 'tiny'")
        for _ in range(20):
            nucleus.next("publish")
        self.assertEqual(self.count(nucleus, "ReportNames is 'tiny'"), 1)

    def test_are_refused_while_offline_and_accepted_with_the_first_publish(self):
        nucleus = self.lite({**QUICK, "AcknowledgeOn": "accepted"})
        nucleus.do("offline")
        nucleus.do("start")
        self.line(nucleus, "ServiceError: Failed to publish the message. ")
        self.line(nucleus, "ServiceError: Failed to bind the subscription. ")
        nucleus.do("online")
        nucleus.next("publish")
        second = nucleus.next("publish")
        self.line(nucleus, f"accepted report {report_id(second)}")
        self.assertEqual(len(nucleus.all("connect")), 1)

    def test_do_not_turn_accepted_into_publish_if_they_stay_refused(self):
        nucleus, machine = self.machine({**QUICK, "AcknowledgeOn": "accepted"})
        nucleus.do("start")
        self.line(nucleus, "accepted report")
        nucleus.do("fault", operation="SubscribeToIoTCore", fault="refuse", count=100_000)
        nucleus.do("kill-subscriptions", operations=MQTT_PROXY)
        before = len(nucleus.all("publish"))
        reported = []
        while len(reported) < 8:
            machine.move(100)
            reported.append(delta(nucleus.next("publish")))
        self.line(nucleus, "repeats the traffic")
        self.assertEqual(reported[2:], sorted(reported[2:]), f"a growing delta, from report {before} on")
        self.assertGreater(reported[-1], reported[2] + 200)
        self.assertEqual(self.count(nucleus, "repeats the traffic"), 1)
        self.assertEqual(self.count(nucleus, "Likely cause: answers can't be received"), 1)


    def test_are_refused_temporarily_with_matching_advice(self):
        nucleus = self.lite()
        nucleus.do("start")
        self.line(nucleus, "accepted report")
        nucleus.do("fault", operation="SubscribeToIoTCore", fault="refuse", error="UnauthorizedError", count=4)
        nucleus.do("kill-subscriptions", operations=MQTT_PROXY)
        self.line(nucleus, "made up. It allowed this before.")
        self.line(nucleus, "accepted report", self.count(nucleus, "accepted report") + 2)
        self.assertEqual(self.count(nucleus, "Allow it in the component's configuration"), 0)


class Token(LiteTestCase):
    def test_is_replaced_by_name_after_it_was_forgotten(self):
        nucleus = self.lite(environment=NAMED)
        nucleus.do("start")
        nucleus.next("publish")
        for _ in range(2):
            nucleus.do("forget-token")
            nucleus.do("drop")
            connects = [nucleus.next("connect") for _ in range(2)]
            self.assertEqual([(c["by"], c["accepted"]) for c in connects], [("token", False), ("name", True)])
            nucleus.next("publish")
        # The new token works for the next connection.
        nucleus.do("drop")
        connect = nucleus.next("connect")
        self.assertEqual((connect["by"], connect["accepted"]), ("token", True))
        nucleus.next("publish")
        self.assertGreaterEqual(self.count(nucleus, "no longer recognized this component's token"), 1)

    def test_survives_a_restart_of_the_nucleus(self):
        nucleus = self.lite(environment=NAMED)
        nucleus.do("start")
        nucleus.next("publish")
        nucleus.do("restart", seconds=1)
        nucleus.next("connect")
        nucleus.next("publish")
        self.assertEqual([event["by"] for event in nucleus.all("connect") if event["accepted"]], ["token"] * 2)


class Delivery(LiteTestCase):
    def test_loses_nothing_if_success_proves_nothing(self):
        nucleus, machine = self.machine()
        begin = machine.bytes
        nucleus.do("start")
        self.line(nucleus, "accepted report")
        self.line(nucleus, "accepted by the nucleus")
        self.assertEqual(self.count(nucleus, ": acknowledged"), 0)
        nucleus.do("fault", operation="PublishToIoTCore", fault="lost", count=4)
        machine.move(5_000_000)
        lost = 0
        while lost < 4:
            if not nucleus.next("publish")["delivered"]:
                lost += 1
                machine.move(1000)
        self.line(nucleus, "repeats the traffic")
        self.assertEqual(self.count(nucleus, "repeats the traffic"), 1)
        machine.move(77)
        self.settle(nucleus, machine, begin)

    def settle(self, nucleus, machine, begin):
        """Waits until accepted reports contain all traffic, and none of it twice."""
        deadline = time.monotonic() + 60
        while (reported := self.accepted_bytes(nucleus)) < machine.bytes - begin:
            self.assertLess(time.monotonic(), deadline, f"{reported} of {machine.bytes - begin} bytes were reported")
            nucleus.next("publish")
        self.assertEqual(reported, machine.bytes - begin)

    def accepted_bytes(self, nucleus):
        """Returns the traffic in reports that Device Defender has accepted and whose acceptance the component has received."""
        accepted = {int(n) for line in nucleus.log() for n in re.findall(r"accepted report (\d+)", line)}
        reports = {report_id(event): event for event in nucleus.all("publish") if event["delivered"]}
        self.assertLessEqual(accepted, set(reports), "accepted, and never delivered")
        return sum(delta(reports[n]) or 0 for n in accepted)

    def test_is_not_proven_by_success_after_a_restart_either(self):
        nucleus, machine = self.machine()
        configuration = {**QUICK, "ProcfsPath": str(machine.path), "StateDirectory": str(nucleus.directory / "state")}
        nucleus.do("configure", configuration=configuration)
        nucleus.do("start")
        self.line(nucleus, "accepted report")
        nucleus.do("stop")
        self.assertEqual(nucleus.next("exited")["status"], 0)
        nucleus.events[:] = [event for event in nucleus.events if event["event"] != "exited"]
        nucleus.position = len(nucleus.events)
        machine.move(4321, in_place=True)
        nucleus.do("fault", operation="PublishToIoTCore", fault="lost")
        nucleus.do("start")
        lost = nucleus.next("publish")
        self.assertFalse(lost["delivered"])
        machine.move(1)
        self.assertGreaterEqual(delta(nucleus.next("publish")), 4322)

    def test_is_not_proven_by_success_while_the_subscription_is_refused(self):
        nucleus, machine = self.machine()
        begin = machine.bytes
        configuration = {**QUICK, "ProcfsPath": str(machine.path)}
        nucleus.do("start")
        self.line(nucleus, "accepted report")
        policy = {"operations": ["aws.greengrass#PublishToIoTCore"], "resources": ["*"]}
        nucleus.do("configure", configuration={
            **configuration, "accessControl": {"aws.greengrass.ipc.mqttproxy": {"policy": policy}}})
        nucleus.do("kill-subscriptions", operations=MQTT_PROXY)
        self.line(nucleus, "Can't receive Device Defender's answers")
        nucleus.do("fault", operation="PublishToIoTCore", fault="lost", count=3)
        machine.move(5_000_000)
        self.until(nucleus, "publish", lambda: sum(not e["delivered"] for e in nucleus.all("publish")) == 3, "none lost")
        self.line(nucleus, "repeats the traffic")
        self.assertEqual(self.count(nucleus, "repeats the traffic"), 1)
        cause = next(line for line in nucleus.log() if "repeats the traffic" in line)
        self.assertIn("Likely cause: answers can't be received", cause)
        self.assertIn("operations aws.greengrass#SubscribeToIoTCore", cause)
        nucleus.do("configure", configuration=configuration)
        machine.move(77)
        self.settle(nucleus, machine, begin)

    def test_answered_late_is_not_repeated(self):
        nucleus, machine = self.machine({**QUICK, "SampleIntervalSeconds": 2, "MinimumIntervalSeconds": 2})
        nucleus.do("start")
        self.line(nucleus, "accepted report")
        machine.move(500)
        nucleus.do("fault", operation="confirm", fault="late", seconds=0.8)
        late = nucleus.next("publish")
        self.assertEqual(delta(late), 500)
        self.line(nucleus, f"No answer to report {report_id(late)}")
        machine.move(7)
        self.assertEqual(delta(nucleus.next("publish")), 7)
        self.line(nucleus, f"accepted report {report_id(late)}")

    def test_is_retried_while_a_former_permission_is_missing(self):
        nucleus = self.lite({**QUICK, "PublishRetryCount": 5})
        nucleus.do("start")
        nucleus.next("publish")
        nucleus.do("withdraw", seconds=1)
        self.line(nucleus, "after 2 attempts")
        self.assertEqual(self.count(nucleus, "was not published"), 0)

    def test_skips_what_lite_never_accepts(self):
        nucleus, machine = self.machine({**QUICK, "MaximumReportBytes": 100_000, "MaximumListSize": 1_000,
                                         "PublishRetryCount": 5})
        machine.connect(300)
        nucleus.do("start")
        self.line(nucleus, "Greengrass nucleus lite accepts at most 7293 bytes")
        machine.connect(10)
        nucleus.next("publish")
        self.assertEqual(nucleus.all("too-long"), [])
        self.assertEqual(len(nucleus.all("connect")), 1)


class Lifecycle(LiteTestCase):
    def test_startup_is_reported_before_the_first_report(self):
        for transport in ({}, {"Transport": "https", "Topic": "own/{thing}/{format}"}):
            with self.subTest(transport):
                nucleus = self.lite({"accessControl": ACCESS, **transport})
                directory = nucleus.directory / "state"
                directory.mkdir()
                # A report has just been made, so the next one is due in five minutes.
                (directory / "state.json").write_text(
                    '{"version":1,"last_report_id":%d,"boot_id":"b","network_namespace":1,"procfs":"/proc"}' % time.time())
                nucleus.do("configure", configuration={
                    "accessControl": ACCESS, "StateDirectory": str(directory), **transport})
                nucleus.do("start")
                self.assertEqual(nucleus.next("state")["state"], "RUNNING")
                self.assertEqual(nucleus.all("publish"), [])

    def test_running_is_reported_later_to_a_nucleus_that_could_not_accept_it(self):
        nucleus = self.lite()
        nucleus.do("fault", operation="UpdateState", fault="refuse", error="ServiceError", count=3)
        nucleus.do("start")
        self.assertEqual(nucleus.next("state")["state"], "RUNNING")

    def test_running_is_retried_long_before_the_next_report(self):
        # The interval is 300 s, and lite kills a `startup` component after 120 s.
        for error in ("ServiceError", "UnauthorizedError"):
            with self.subTest(error):
                nucleus = self.lite({"accessControl": ACCESS}, environment={"DEFENDER_JITTER": "0"})
                nucleus.do("offline")
                nucleus.do("fault", operation="UpdateState", fault="refuse", error=error, count=2)
                nucleus.do("start")
                self.assertEqual(nucleus.next("state", timeout=90)["state"], "RUNNING")
                self.assertEqual(nucleus.all("publish"), [])

    def test_running_is_not_retried_by_a_nucleus_without_states(self):
        nucleus = self.lite({**QUICK, "SampleIntervalSeconds": 0.05})
        nucleus.do("fault", operation="UpdateState", fault="refuse", error="InvalidArgumentsError", count=1)
        nucleus.do("start")
        for _ in range(5):
            nucleus.next("publish")
        self.assertEqual(nucleus.all("state"), [])

    def test_numbers_may_be_text(self):
        nucleus = self.lite({**QUICK, "MaximumReportBytes": 7000, "MaximumListSize": 20}, ["--numbers-as-text"])
        nucleus.do("start")
        for _ in range(3):
            nucleus.next("publish")
        self.assertEqual(self.count(nucleus, "Rejected the configuration"), 0)


class Random(Delivery):
    """Tests random faults during a thousand reports."""
    # Skip the tests of the superclass, which have already run.
    test_loses_nothing_if_success_proves_nothing = None
    test_is_not_proven_by_success_after_a_restart_either = None
    test_is_not_proven_by_success_while_the_subscription_is_refused = None
    test_answered_late_is_not_repeated = None
    test_is_retried_while_a_former_permission_is_missing = None
    test_skips_what_lite_never_accepts = None

    def disturb(self, nucleus, number):
        publish = {"do": "fault", "operation": "PublishToIoTCore"}
        choices = {
            "lost": [{**publish, "fault": "lost", "count": number}],
            "late": [{"do": "fault", "operation": "confirm", "fault": "late", "seconds": number * 0.2}],
            "dead subscriptions": [{"do": "kill-subscriptions", "operations": MQTT_PROXY + CONFIGURATION}],
            "token": [{"do": "forget-token"}, {"do": "drop"}],
            "offline": [{"do": "offline", "seconds": 0.1 * number}],
            "withdrawn": [{"do": "withdraw", "seconds": 0.1 * number}],
            "pings": [{"do": "ping", "count": 100 * number}],
            "reset": [{**publish, "fault": random.choice(["drop-before", "drop-after", "garbage", "text-error"])}],
            "restart": [{"do": "restart", "seconds": 0.1 * number}],
            "slow": [{**publish, "fault": "late", "seconds": 0.1 * number}],
        }
        name = random.choice(sorted(choices))
        nucleus.send(*choices[name])
        return name

    def test_a_thousand_reports_lose_nothing_and_repeat_only_what_was_not_answered(self):
        seed = random.randrange(1 << 32)
        random.seed(seed)
        nucleus, machine = self.machine(
            {**QUICK, "SampleIntervalSeconds": 0.02, "MinimumIntervalSeconds": 0.02, "ConfirmationSeconds": 0.2},
            environment={**NAMED, "AWS_LAMBDA_LOG_LEVEL": "DEBUG"}, arguments=["--numbers-as-text"])
        print(f"seed {seed}")
        begin = machine.bytes
        nucleus.do("start")
        self.line(nucleus, "accepted report")
        pid = nucleus.all("started")[0]["pid"]
        kinds, memory, done = {}, [], 0
        while done < 1000:
            if random.random() < 0.15:
                kind = self.disturb(nucleus, random.randint(1, 3))
                kinds[kind] = kinds.get(kind, 0) + 1
            machine.move(random.randint(0, 10_000))
            nucleus.next("publish", timeout=60)
            done += 1
            if done in (200, 1000):
                memory.append(anonymous_kib(pid))
        machine.move(1)
        self.settle(nucleus, machine, begin)
        events = nucleus.all("publish")
        answered_at_once = {e["report"] for e in nucleus.all("answer") if e["streams"] > 0 and not e["late"]}
        accepted = {int(n) for line in nucleus.log() for n in re.findall(r"accepted report (\d+)", line)}
        # The component repeats a report if the answer is late, or if publishing appears to have failed. An answer is also lost if
        # the connection breaks, or while the subscription is rejected.
        repeated = {int(n) for line in nucleus.log() for n in re.findall(
            r"(?:No answer to report|Report) (\d+) (?:within|was not)", line)}
        unreceived = answered_at_once - accepted - repeated - {report_id(e) for e in events if not e["acknowledged"]}
        ids = [report_id(event) for event in events]
        self.assertEqual(ids, sorted(set(ids)))
        self.assertLess(memory[1] - memory[0], 256, f"KiB of anonymous memory: {memory}")
        total = sum(delta(event) or 0 for event in events if event["delivered"])
        print(f"{len(ids)} reports, {len(accepted)} accepted, {len(unreceived)} answers not received, {kinds}; "
              f"{total / (machine.bytes - begin):.3f} times the traffic delivered, none lost; memory {memory} KiB, "
              f"{descriptors(pid)} descriptors, {len(nucleus.log())} lines of log")
        self.assertLessEqual(len(unreceived), sum(kinds.get(kind, 0) for kind in ("token", "restart", "offline", "withdrawn")))


if __name__ == "__main__":
    unittest.main()
