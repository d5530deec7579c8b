"""Tests that bootstrap reaches its endpoints in a faulty network: silent name servers, changed name servers, only IPv6.

The released bootstrap resolves names with c-ares, and that of `swift build` with glibc. Both are tested. Requires root and separate
network and mount namespaces, because it serves port 53 and replaces /etc/resolv.conf. Tests/Release/run provides them, once with
IPv4 and once with only IPv6 (RELEASE_LOOPBACK=::1). Environment: RELEASE_ZIP; DYNAMIC_BOOTSTRAP, the optional second program to test;
EMULATOR, a static qemu for a foreign architecture.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import zipfile

import world

EMULATOR = os.environ.get("EMULATOR")
IOT_NAME = "iot.defender.test"
TOPIC = "devices/one/metrics"
# Far more time than any step needs if it works.
PATIENCE = 180
IS_IPV6 = ":" in world.LOOPBACK
FIRST, SECOND, NOBODY = (f"fd00:dd::{n}" if IS_IPV6 else f"127.0.0.{n}" for n in (2, 3, 4))
MQTT_PORT, PLAIN_PORT = 8883, 1883


def setUpModule():
    if IS_IPV6:
        for address in (FIRST, SECOND, NOBODY):
            subprocess.run(["ip", "address", "add", f"{address}/128", "dev", "lo", "nodad"], check=True)


class Agent:
    """A running `bootstrap agent` and its log."""

    def __init__(self, command, variables, log):
        self.log = log
        with open(log, "wb") as file:
            self.process = subprocess.Popen(
                command, env=variables, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)

    @property
    def lines(self):
        return self.log.read_text(errors="replace").splitlines()

    def line(self, words, patience=PATIENCE):
        """Waits for the first log line that contains `words` and returns it."""
        end = time.monotonic() + patience
        while time.monotonic() < end and self.process.poll() is None:
            for line in self.lines:
                if words in line:
                    return line
            time.sleep(0.05)
        raise AssertionError(f"'{words}' wasn't logged within {patience} s. Log: {self.lines[-20:]}")


class NetworkTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="network-"))
        cls.directory.chmod(0o755)
        cls.authority = world.Authority(cls.directory / "authority", IOT_NAME)
        with zipfile.ZipFile(os.environ["RELEASE_ZIP"]) as archive:
            archive.extract("bootstrap", cls.directory)
        (cls.directory / "bootstrap").chmod(0o755)
        prefix = [EMULATOR] if EMULATOR else []
        cls.programs = {"release": [*prefix, str(cls.directory / "bootstrap")]}
        if os.environ.get("DYNAMIC_BOOTSTRAP"):
            cls.programs["dynamic"] = [os.environ["DYNAMIC_BOOTSTRAP"]]
        mounts = {"resolv.conf": "", "nsswitch.conf": "hosts: files dns\n", "hosts": f"{world.LOOPBACK} localhost\n"}
        for name, text in mounts.items():
            (cls.directory / name).write_text(text)
            subprocess.run(["mount", "--bind", cls.directory / name, f"/etc/{name}"], check=True)
            cls.addClassCleanup(subprocess.run, ["umount", f"/etc/{name}"], check=True)
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        cls.names = world.NameServer([IOT_NAME], SECOND)
        cls.broker = cls.start_broker()

    @classmethod
    def start_broker(cls):
        settings = cls.directory / "mosquitto.conf"
        files = cls.authority
        settings.write_text(
            f"allow_anonymous true\nuser root\nlistener {PLAIN_PORT} {world.LOOPBACK}\n"
            f"listener {MQTT_PORT} {world.LOOPBACK}\n"
            f"cafile {files.certificate}\ncertfile {files.chain}\nkeyfile {files.key}\n")
        broker = subprocess.Popen(["mosquitto", "-c", settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(broker.wait)
        cls.addClassCleanup(broker.kill)
        return broker

    def setUp(self):
        self.iot = world.IoTDataPlane(self.authority)
        self.addCleanup(self.iot.close)

    def ask(self, *servers):
        """Sets the name servers of this machine as DHCP does, by changing the existing file."""
        text = "".join(f"nameserver {server}\n" for server in servers)
        (self.directory / "resolv.conf").write_text(text)

    @contextlib.contextmanager
    def agent(self, name, **more):
        variables = {
            "AWS_ENDPOINT_URL_IOT_DATA_PLANE": f"https://{IOT_NAME}:{self.iot.port}",
            "AWS_REGION": world.REGION,
            "AWS_CA_BUNDLE": str(self.authority.certificate),
            "AWS_IOT_THING_NAME": "thing-1",
            "DEFENDER_TRANSPORT": "https",
            "DEFENDER_TOPIC": TOPIC,
            "SAMPLE_INTERVAL_SECONDS": "1",
            "DEFENDER_MINIMUM_INTERVAL_SECONDS": "1",
            "DEFENDER_JITTER": "0",
            **world.CREDENTIALS,
            **more,
        }
        while not self.iot.published.empty():
            self.iot.published.get()
        agent = Agent([*self.programs[name], "agent"], variables, self.directory / f"{name}.log")
        try:
            yield agent
        finally:
            agent.process.kill()
            agent.process.wait()

    def mqtt(self, host=IOT_NAME):
        # The broker doesn't request a certificate, but the agent needs one for mutual TLS.
        return {
            "DEFENDER_TRANSPORT": "mqtt", "DEFENDER_MQTT_ENDPOINT": f"mqtts://{host}:{MQTT_PORT}",
            "DEFENDER_CERTIFICATE_FILE": str(self.authority.chain), "DEFENDER_PRIVATE_KEY_FILE": str(self.authority.key),
        }

    def test_publishes_although_the_first_name_server_is_silent(self):
        silent = world.NameServer([], FIRST, is_silent=lambda kind: True)
        self.addCleanup(silent.close)
        self.ask(FIRST, SECOND)
        for transport, more in (("https", {}), ("mqtt", self.mqtt())):
            for name in self.programs:
                with self.subTest(build=name, transport=transport):
                    silent.queries = 0
                    with self.agent(name, **more) as agent:
                        agent.line("Published report")
                        self.assertGreater(silent.queries, 0, "the first server was never asked")
                        self.assertFalse([line for line in agent.lines if "was not published" in line])

    def test_asks_the_name_servers_that_the_file_names_now(self):
        old = world.NameServer([IOT_NAME], FIRST)
        self.addCleanup(old.close)
        for name in self.programs:
            self.ask(FIRST)
            with self.subTest(build=name), self.agent(name) as agent:
                self.iot.published.get(timeout=PATIENCE)
                self.names.asked.clear()
                self.ask(SECOND)
                end = time.monotonic() + PATIENCE
                while not self.names.asked and time.monotonic() < end:
                    time.sleep(0.05)
                self.assertEqual(self.names.asked, {IOT_NAME}, agent.lines[-5:])
                queries = old.queries
                while not self.iot.published.empty():
                    self.iot.published.get()
                for _ in range(3):
                    self.iot.published.get(timeout=PATIENCE)
                self.assertEqual(old.queries, queries, "the old name server was asked again")

    def test_recovers_if_there_was_no_network_when_it_started(self):
        for before in ([], [NOBODY]):
            for transport, more in (("https", {}), ("mqtt", self.mqtt())):
                for name in self.programs:
                    with self.subTest(build=name, before=before, transport=transport):
                        self.ask(*before)
                        with self.agent(name, **more) as agent:
                            self.assertIn("resolve", agent.line("was not published"))
                            self.ask(SECOND)
                            agent.line("Published report")

    def test_blames_the_name_servers_and_no_proxy_if_none_answers(self):
        silent = [world.NameServer([], address, is_silent=lambda kind: True) for address in (FIRST, NOBODY)]
        for server in silent:
            self.addCleanup(server.close)
        self.ask(FIRST, NOBODY)
        for transport, more in (("https", {}), ("mqtt", self.mqtt())):
            for name in self.programs:
                with self.subTest(build=name, transport=transport), self.agent(name, **more) as agent:
                    line = agent.line("was not published")
                    self.assertIn("can't resolve the host name", line)
                    self.assertIn("/etc/resolv.conf", line)
                    self.assertNotIn("PROXY", line)
                    self.assertNotIn("proxy", line)
                    # The next report waits for the name servers, too.
                    agent.process.send_signal(signal.SIGTERM)
                    agent.process.wait(timeout=15)

    def test_publishes_although_queries_of_the_other_family_are_dropped(self):
        other = world.NameServer.A if IS_IPV6 else world.NameServer.AAAA
        half = world.NameServer([IOT_NAME], FIRST, is_silent=lambda kind: kind == other)
        self.addCleanup(half.close)
        self.ask(FIRST)
        with self.agent("release") as agent:
            agent.line("Published report")
            self.assertFalse([line for line in agent.lines if "was not published" in line])

    def test_publishes_over_mqtt_by_name_and_by_address(self):
        self.ask(SECOND)
        for host in (IOT_NAME, world.HOST, *(["[0:0:0:0:0:0:0:1]"] if IS_IPV6 else [])):
            for name in self.programs:
                with self.subTest(build=name, host=host), self.agent(name, **self.mqtt(host)) as agent:
                    agent.line("Published report")


if __name__ == "__main__":
    unittest.main()
