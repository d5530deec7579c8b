"""Tests `bootstrap` as a component of the fake nucleus, and the fake nucleus with AWS's own client."""
import base64
import concurrent.futures
import json
import os
import pathlib
import queue
import shutil
import signal
import socket
import tempfile
import time
import unittest

import awsiot.greengrasscoreipc.clientv2 as aws
from awsiot.greengrasscoreipc.model import QOS, UnauthorizedError

import event_stream
from nucleus import ACCESS, BOOTSTRAP, HERE, TOKEN, Nucleus, is_static

TOPIC = "$aws/things/t1/defender/metrics/json"
FAST = {"SampleIntervalSeconds": 0.05, "MinimumIntervalSeconds": 0.05, "accessControl": ACCESS}
MANNERS = ("classic", "lite")
# Two seconds, and some time for a busy machine. Without the behaviour under test it would take ten.
SOON = 8


def report(event):
    return json.loads(base64.b64decode(event["payload"]))


def aws_client(nucleus):
    os.environ["AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT"] = str(nucleus.socket)
    os.environ["SVCUID"] = TOKEN
    return aws.GreengrassCoreIPCClientV2()


def parts(frame):
    """Returns a frame in a form that doesn't depend on the order of its headers."""
    headers, payload = event_stream.decode(bytes.fromhex(frame))
    return len(frame), sorted(headers), payload


class TestCase(unittest.TestCase):
    def nucleus(self, *arguments, **more):
        nucleus = Nucleus(*arguments, **more)
        self.addCleanup(nucleus.close)
        return nucleus

    def component(self, manner, configuration=FAST, arguments=(), environment=None):
        return self.nucleus(manner, configuration, ["--confirm", "accepted", *arguments], component=[BOOTSTRAP], environment=environment)


class FakeNucleus(TestCase):
    """Tests that AWS's client accepts the fake nucleus."""

    def test_serves_the_client_of_aws(self):
        for manner in MANNERS:
            with self.subTest(manner):
                nucleus = self.nucleus(manner, {"SampleIntervalSeconds": 300, "accessControl": ACCESS},
                                       ["--confirm", "accepted"])
                client = aws_client(nucleus)
                self.addCleanup(client.close)
                self.assertEqual(client.get_configuration().value["SampleIntervalSeconds"], 300)
                self.assertEqual(client.get_configuration(key_path=["SampleIntervalSeconds"]).value,
                                 {"SampleIntervalSeconds": 300})
                answers, updates = [], []
                client.subscribe_to_iot_core(topic_name=TOPIC + "/accepted", qos=QOS.AT_LEAST_ONCE,
                                             on_stream_event=lambda event: answers.append(event.message.payload))
                client.subscribe_to_configuration_update(on_stream_event=updates.append)
                client.publish_to_iot_core(topic_name=TOPIC, qos=QOS.AT_LEAST_ONCE,
                                           payload=b'{"header":{"report_id":7}}')
                with self.assertRaises(UnauthorizedError):
                    client.publish_to_iot_core(topic_name="elsewhere", qos=QOS.AT_LEAST_ONCE, payload=b"")
                client.update_state(state="RUNNING")
                nucleus.do("configure", configuration={"SampleIntervalSeconds": 60, "accessControl": ACCESS})
                deadline = time.monotonic() + 20
                while not (answers and updates) and time.monotonic() < deadline:
                    time.sleep(0.01)
                self.assertEqual(json.loads(answers[0])["reportId"], 7)
                self.assertEqual(updates[0].configuration_update_event.key_path, ["SampleIntervalSeconds"])
                self.assertEqual(nucleus.all("malformed"), [])

    def test_announces_the_connection_to_the_client_of_aws(self):
        nucleus = self.nucleus("classic", {}, ["--connection-status"])
        client = aws_client(nucleus)
        self.addCleanup(client.close)
        announced = queue.Queue()
        client.subscribe_to_iot_core_connection_status(
            on_stream_event=lambda event: announced.put(event.connection_status_event.status))
        self.assertEqual(announced.get(timeout=20), "CONNECTED")
        nucleus.do("core-offline")
        self.assertEqual(announced.get(timeout=20), "DISCONNECTED")

    def test_refuses_a_wrong_token_of_the_client_of_aws(self):
        for manner in MANNERS:
            with self.subTest(manner):
                nucleus = self.nucleus(manner, {})
                os.environ["AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT"] = str(nucleus.socket)
                os.environ["SVCUID"] = "wrong"
                with self.assertRaises(Exception):
                    aws.GreengrassCoreIPCClientV2()
                self.assertFalse(nucleus.next("connect")["accepted"])


class Frames(TestCase):
    def test_of_bootstrap_are_those_of_the_client_of_aws(self):
        nucleus = self.component("classic")
        nucleus.do("start")
        ours = [nucleus.next("publish") for _ in range(2)][1]
        nucleus.do("stop")
        nucleus.next("exited")
        our_connect = nucleus.all("connect")[0]["frame"]
        client = aws_client(nucleus)
        self.addCleanup(client.close)
        stream = next(value for name, _, value in parts(ours["frame"])[1] if name == ":stream-id")
        for _ in range(stream):  # their streams begin at 1: until theirs has our number
            client.publish_to_iot_core(topic_name=TOPIC, qos=QOS.AT_LEAST_ONCE,
                                       payload=base64.b64decode(ours["payload"]))
            theirs = nucleus.next("publish")
        self.assertEqual(parts(theirs["frame"]), parts(ours["frame"]))
        self.assertEqual(parts(nucleus.all("connect")[-1]["frame"]), parts(our_connect))


class Component(TestCase):
    def test_reports_at_once_and_stops_soon(self):
        for manner in MANNERS:
            with self.subTest(manner):
                nucleus = self.component(manner, {"accessControl": ACCESS})
                nucleus.do("start")
                first = nucleus.next("publish")
                self.assertNotIn("network_stats", report(first)["metrics"])
                started = nucleus.all("started")[0]
                nucleus.do("stop")
                asked = nucleus.all("done")[-1]["at"]
                stopped = nucleus.next("exited")
                self.assertEqual(stopped["status"], 0)
                self.assertLess(stopped["at"] - asked, SOON)
                print(f"{manner}: first report {first['at'] - started['at']:.3f} s after the start, "
                      f"stopped {stopped['at'] - asked:.3f} s after SIGTERM")

    def test_idles_in_little_memory(self):
        for manner in MANNERS:
            with self.subTest(manner):
                nucleus = self.component(manner)
                nucleus.do("start")
                for _ in range(100):
                    nucleus.next("publish")
                nucleus.do("configure", configuration={"accessControl": ACCESS})
                nucleus.next("get-configuration")
                pid = nucleus.all("started")[0]["pid"]
                memory = anonymous_kib(pid)
                print(f"{manner}: {memory} KiB of anonymous memory after 100 reports")
                # The release is static. Another build also needs memory for the loader's relocations.
                self.assertLessEqual(memory, 1_024 if is_static(BOOTSTRAP) else 4_096)

    def test_stops_soon_with_a_publish_that_is_not_answered(self):
        nucleus = self.component("classic")
        nucleus.do("fault", operation="PublishToIoTCore", fault="mute", count=100)
        nucleus.do("start")
        nucleus.next("request")
        nucleus.do("stop")
        asked = nucleus.all("done")[-1]["at"]
        self.assertLess(nucleus.next("exited")["at"] - asked, SOON)

    def test_stops_soon_with_a_metrics_program_that_hangs(self):
        nucleus = self.component("classic")
        program = nucleus.directory / "metrics"
        program.write_text(f"#!/bin/sh\ntouch {nucleus.directory}/hangs\nexec sleep 600\n")
        program.chmod(0o755)
        nucleus.do("configure", configuration={**FAST, "DEFENDER_CUSTOM_METRICS_COMMAND": str(program)})
        nucleus.do("start")
        deadline = time.monotonic() + 20
        while not (nucleus.directory / "hangs").exists():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        nucleus.do("stop")
        asked = nucleus.all("done")[-1]["at"]
        self.assertLess(nucleus.next("exited")["at"] - asked, SOON)

    def test_stops_soon_while_there_is_no_nucleus(self):
        nucleus = self.component("lite")
        nucleus.do("start")
        nucleus.next("publish")
        nucleus.do("restart", seconds=600)
        while not any("can't be reached" in line for line in nucleus.log()):
            nucleus.next("log")
        nucleus.do("stop")
        asked = nucleus.all("done")[-1]["at"]
        self.assertLess(nucleus.next("exited")["at"] - asked, SOON)

    def test_follows_its_configuration_without_a_restart(self):
        nucleus = self.component("lite")
        nucleus.do("start")
        nucleus.next("publish")
        nucleus.do("configure", configuration={**FAST, "ReportFormat": "cbor", "ReportNames": "short"})
        while not nucleus.next("publish")["topic"].endswith("/cbor"):
            pass
        nucleus.do("configure", configuration={**FAST, "ReportNames": "short", "SampleIntervalSeconds": "0.1"})
        while not (event := nucleus.next("publish"))["topic"].endswith("/json"):
            pass
        self.assertEqual(sorted(report(event)), ["hed", "met"])
        nucleus.do("configure", configuration={**FAST, "ReportNames": "tiny", "PublishRetryCount": 73})
        while not any("Rejected the configuration" in line for line in nucleus.log()):
            nucleus.next("log")
        line = next(line for line in nucleus.log() if "Rejected the configuration" in line)
        self.assertIn("ReportNames is 'tiny'; allowed: long, short", line)
        self.assertIn("PublishRetryCount is 73; expected a whole number from 0 to 72", line)
        self.assertEqual(sorted(report(nucleus.next("publish"))), ["hed", "met"])
        self.assertEqual(len(nucleus.all("started")), 1)

    def test_starts_with_a_bad_configuration_and_waits_for_a_better_one(self):
        nucleus = self.component("lite", {**FAST, "SampleIntervalSeconds": "often"})
        nucleus.do("start")
        # The state may come before the log line, and the first wait must not skip the event for which the second one waits.
        self.assertEqual(nucleus.next("state")["state"], "ERRORED")
        while not any("SampleIntervalSeconds is 'often'" in line for line in nucleus.log()):
            nucleus.next("log")
        nucleus.do("configure", configuration=FAST)
        self.assertEqual(nucleus.next("state")["state"], "RUNNING")
        nucleus.next("publish")
        self.assertEqual(nucleus.all("exited"), [])

    def test_makes_the_classic_nucleus_fail_a_deployment_that_can_not_work(self):
        nucleus = self.component("classic", {**FAST, "SampleIntervalSeconds": "often"})
        nucleus.do("start")
        nucleus.next("broken")
        self.assertEqual([event["state"] for event in nucleus.all("state")], ["ERRORED"] * 3)
        self.assertEqual([event["status"] for event in nucleus.all("exited")], [0] * 3)
        self.assertEqual(nucleus.all("killed"), [])
        # The deployment is rolled back or replaced.
        nucleus.do("configure", configuration=FAST)
        nucleus.do("start")
        self.assertEqual(nucleus.next("state")["state"], "RUNNING")
        nucleus.next("publish")

    def test_waits_if_a_deployment_can_not_correct_the_failure(self):
        nucleus = self.component("classic")
        directory = nucleus.directory / "not" / "there"
        nucleus.do("configure", configuration={**FAST, "StateDirectory": str(directory)})
        nucleus.do("start")
        while not any("StateDirectory is" in line for line in nucleus.log()):
            nucleus.next("log")
        directory.parent.mkdir()
        # Any configuration event makes the component read the configuration again.
        nucleus.do("configure", configuration={**FAST, "StateDirectory": str(directory), "ReportNames": "short"})
        nucleus.next("publish")
        self.assertEqual(nucleus.all("exited"), [])
        self.assertEqual([event["state"] for event in nucleus.all("state")], ["RUNNING"])

    def test_reports_running_once_before_the_first_report(self):
        for manner in MANNERS:
            with self.subTest(manner):
                nucleus = self.component(manner)
                nucleus.do("start")
                for _ in range(5):
                    nucleus.next("publish")
                states = nucleus.all("state")
                self.assertEqual([event["state"] for event in states], ["RUNNING"])
                self.assertLess(states[0]["at"], nucleus.all("publish")[0]["at"])

    def test_reports_if_the_nucleus_knows_no_states(self):
        nucleus = self.component("lite")
        nucleus.do("fault", operation="UpdateState", fault="refuse", error="ServiceError")
        nucleus.do("start")
        for _ in range(3):
            nucleus.next("publish")
        self.assertEqual([line for line in nucleus.log() if "[INFO]" not in line], [])

    def test_spools_reports_while_the_core_is_offline(self):
        with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(f"{directory}/notify")
            manager.settimeout(30)
            nucleus = self.component("classic", arguments=["--connection-status"],
                                     environment={"NOTIFY_SOCKET": f"{directory}/notify"})
            nucleus.do("core-offline")
            nucleus.do("start")
            while (status := manager.recv(4096)) and b"(spooled)" not in status:
                pass
            self.assertTrue(status.startswith(b"STATUS=Connected, but the core has no connection to AWS IoT; last report "), status)
            nucleus.do("core-online")
            while (status := manager.recv(4096)) and (b"but the core" in status or b"(spooled)" in status):
                pass
            self.assertTrue(status.startswith(b"STATUS=Connected; last report "), status)
        while "The Greengrass core is connected to AWS IoT again." not in nucleus.next("log")["line"]:
            pass
        # The answers to spooled reports don't count as missing.
        log = nucleus.log()
        self.assertEqual([line for line in log if "[INFO]" not in line], [])
        self.assertEqual(len([line for line in log if "The Greengrass core" in line]), 2, log)
        self.assertTrue(any("Spooled report" in line for line in log), log)

    def test_logs_the_missing_permission_once_and_reports_when_it_is_granted(self):
        for manner in MANNERS:
            with self.subTest(manner):
                nucleus = self.component(manner, {"SampleIntervalSeconds": 1, "MinimumIntervalSeconds": 1})
                nucleus.do("start")
                while not any("was not published" in line for line in nucleus.log()):
                    nucleus.next("log")
                line = next(line for line in nucleus.log() if "was not published" in line)
                self.assertIn("accessControl, aws.greengrass.ipc.mqttproxy, operations "
                              "aws.greengrass#PublishToIoTCore, resources " + TOPIC, line)
                nucleus.do("configure", configuration={
                    "SampleIntervalSeconds": 1, "MinimumIntervalSeconds": 1, "accessControl": ACCESS})
                nucleus.next("publish")
                self.assertEqual(len(nucleus.all("subscribe")), 2)
                self.assertEqual(nucleus.all("exited"), [])

    def test_survives_a_wrong_token_and_logs_it_once(self):
        for manner in MANNERS:
            with self.subTest(manner):
                nucleus = self.component(manner)
                # The process inherits the token from the fake's environment, so the fake must forget it.
                nucleus.do("forget-token")
                nucleus.do("start")
                for _ in range(4):
                    self.assertFalse(nucleus.next("connect")["accepted"])
                lines = [event for event in nucleus.all("log") if "SVCUID" in event["line"]]
                self.assertEqual(len(lines), 1, lines)
                self.assertEqual(lines[0]["level"], "WARN")
                self.assertNotIn(TOKEN, "".join(nucleus.log()))
                self.assertEqual(nucleus.all("exited"), [])

    def test_three_faults_within_an_hour_end_nothing(self):
        nucleus = self.component("lite", {**FAST, "PublishRetryCount": 0})
        nucleus.do("start")
        nucleus.next("publish")
        for fault in ("drop-before", "garbage", "text-error", "restart", "drop-after"):
            nucleus.do("fault", operation="PublishToIoTCore", fault=fault)
            nucleus.next("closed" if fault != "text-error" else "request")
            nucleus.next("publish")
        self.assertEqual(nucleus.all("exited"), [])


class Machine:
    """A procfs whose network counters and connections a test controls."""

    def __init__(self, directory):
        self.path = pathlib.Path(directory) / "proc"
        shutil.copytree(HERE.parents[1] / "Fixtures/proc/basic/t0", self.path)
        self.bytes = 1_000_000
        for name in ("net/tcp6", "net/udp6"):
            heading = (self.path / name).read_text().splitlines(True)[0]
            self.write(name, heading)
        self.move(0)

    def move(self, count, in_place=False):
        """Adds `count` to the bytes received, and advances the other counters accordingly. With `in_place`, the file keeps its
        inode, so that a component that starts later assumes the same network namespace."""
        self.bytes += count
        text = ("Inter-|   Receive                                                |  Transmit\n"
                " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo "
                "colls carrier compressed\n"
                f"  eth0: {self.bytes} {self.bytes // 10} 0 0 0 0 0 0 {self.bytes * 2} {self.bytes // 5} 0 0 0 0 0 0\n")
        if in_place:
            (self.path / "net/dev").write_text(text)
        else:
            self.write("net/dev", text)

    def connect(self, count):
        head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        lines = [f"{n:4d}: 0100007F:1F90 {0x0100007F + (n % 200 << 16):08X}:{40000 + n:04X} 01 00000000:00000000 "
                 f"00:00000000 00000000     0        0 {n + 1000} 1 0000000000000000 20 4 30 10 -1\n"
                 for n in range(count)]
        self.write("net/tcp", head + "".join(lines))

    def write(self, name, text):
        temporary = self.path / (name + ".new")
        temporary.write_text(text)
        temporary.rename(self.path / name)


class Reports(TestCase):
    def machine(self, manner, configuration, arguments=()):
        nucleus = self.component(manner, configuration, arguments)
        machine = Machine(nucleus.directory)
        nucleus.do("configure", configuration={**configuration, "ProcfsPath": str(machine.path)})
        return nucleus, machine

    def test_a_thousand_lose_nothing(self):
        # In parallel, because each one waits for a minute.
        with concurrent.futures.ThreadPoolExecutor() as pool:
            outcomes = [(manner, pool.submit(self.lose_nothing, manner)) for manner in MANNERS]
        for manner, outcome in outcomes:
            with self.subTest(manner):
                outcome.result()

    def lose_nothing(self, manner):
        faults = ["drop-before", "none", "drop-after", "pings", "late", "refuse", "text-error", "garbage", "restart"]
        nucleus, machine = self.machine(manner, {
            **FAST, "SampleIntervalSeconds": 0.02, "MinimumIntervalSeconds": 0.02, "PublishRetryCount": 0})
        begin = machine.bytes
        nucleus.do("start")
        nucleus.next("publish")
        started = nucleus.all("started")[0]["pid"]
        memory = []
        for number in range(1000):
            if number % 10 == 0:
                fault = faults[number // 10 % len(faults)]
                more = {"error": "UnauthorizedError"} if fault == "refuse" and number % 20 else {}
                nucleus.send({"do": "fault", "operation": "PublishToIoTCore", "fault": fault, "seconds": 0.05,
                              "pings": 2000, **more})
            machine.move(number * 7 + 1)
            nucleus.next("publish")
            if number in (100, 999):
                memory.append(anonymous_kib(started))
        # Wait until an acknowledged report contains the last of the traffic.
        while True:
            acknowledged = [e for e in nucleus.all("publish") if e["acknowledged"]]
            told = [report(e)["metrics"]["network_stats"] for e in acknowledged
                    if "network_stats" in report(e)["metrics"]]
            if sum(stats["bytes_in"] for stats in told) >= machine.bytes - begin:
                break
            nucleus.next("publish")
        self.assertEqual(sum(stats["bytes_in"] for stats in told), machine.bytes - begin)
        self.assertEqual(sum(stats["bytes_out"] for stats in told), 2 * (machine.bytes - begin))
        ids = [report(event)["header"]["report_id"] for event in nucleus.all("publish")]
        self.assertEqual(ids, sorted(ids))
        self.assertEqual(nucleus.all("exited"), [])
        self.assertEqual(nucleus.all("malformed"), [])
        self.assertLess(memory[1] - memory[0], 128, f"KiB of anonymous memory: {memory}")
        print(f"{manner}: {len(ids)} reports, {len(acknowledged)} acknowledged, anonymous memory {memory} KiB, "
              f"{descriptors(started)} descriptors, {len(nucleus.log())} lines of log")

    def test_fit_into_a_message_of_lite_to_the_entry(self):
        nucleus, machine = self.machine("lite", {**FAST, "MaximumListSize": 1000})
        listed = []
        machine.connect(60)
        nucleus.do("start")
        for count in range(60, 160):
            machine.connect(count)
            nucleus.next("publish")
            event = nucleus.next("publish")  # started after the file existed
            connections = report(event)["metrics"]["tcp_connections"]["established_connections"]
            size = len(base64.b64decode(event["payload"]))
            self.assertEqual(connections["total"], count)
            self.assertLessEqual(size, 7293)
            listed.append((len(connections["connections"]), size))
            if listed[-1][0] < count:
                break
        else:
            self.fail("no report was cut")
        whole = listed[-2]
        self.assertEqual(whole[0], count - 1)
        entry = whole[1] - listed[-3][1]
        self.assertGreater(whole[1] + entry, 7293, "cut before it had to be")
        self.assertEqual(nucleus.all("too-long"), [])
        print(f"lite: a report of {whole[0]} connections ({whole[1]} bytes) is sent whole; {count} are cut to {listed[-1]}")


def anonymous_kib(pid):
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


if __name__ == "__main__":
    unittest.main()
