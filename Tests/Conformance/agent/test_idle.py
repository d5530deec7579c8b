"""Tests the resource use of `bootstrap agent` between reports, with Debian's mosquitto over mutual TLS."""
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest

BOOTSTRAP = os.environ["BOOTSTRAP"]
# This name's slot in an interval of 300 s is 0.1 s, so the first report is due immediately and the next in five minutes.
THING = "pump-675"
KEEP_ALIVE = 30


def openssl(directory, *arguments):
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


def certificates(directory):
    """Creates a throwaway certificate authority (ca), and certificates for a server and a device."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "2"]
    openssl(directory, "req", "-x509", *key, "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem")
    for name, host in (("server", "localhost"), ("device", "device")):
        openssl(directory, "req", "-x509", *key, "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}",
                "-addext", "basicConstraints=CA:FALSE", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-keyout", f"{name}.key", "-out", f"{name}.pem")


class Broker:
    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp())
        certificates(self.directory)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        (self.directory / "mosquitto.conf").write_text(
            f"user root\nallow_anonymous true\nlog_dest stdout\nlistener {self.port} 127.0.0.1\n"
            f"cafile {self.directory}/ca.pem\ncertfile {self.directory}/server.pem\n"
            f"keyfile {self.directory}/server.key\nrequire_certificate true\n")
        self.process = subprocess.Popen(
            ["/usr/sbin/mosquitto", "-c", self.directory / "mosquitto.conf"], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.directory)


class Agent:
    def __init__(self, broker, **variables):
        where = broker.directory
        self.process = subprocess.Popen(
            [BOOTSTRAP, "agent"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
            env={"DEFENDER_TRANSPORT": "mqtt", "DEFENDER_MQTT_ENDPOINT": f"localhost:{broker.port}",
                 "AWS_CA_BUNDLE": f"{where}/ca.pem", "DEFENDER_CERTIFICATE_FILE": f"{where}/device.pem",
                 "DEFENDER_PRIVATE_KEY_FILE": f"{where}/device.key", "AWS_IOT_THING_NAME": THING,
                 "DEFENDER_CONFIRMATION_SECONDS": "0", **variables})
        self.published, self.more = 0, threading.Condition()
        self.follower = threading.Thread(target=self.follow, daemon=True)
        self.follower.start()

    def follow(self):
        for line in self.process.stderr:
            if "Published report" in line:
                with self.more:
                    self.published += 1
                    self.more.notify_all()

    def wait_for_reports(self, count):
        with self.more:
            if not self.more.wait_for(lambda: self.published >= count, 300):  # a busy machine needs minutes
                raise AssertionError(f"{self.published} reports of {count}")

    def memory_and_files(self, count):
        """Waits for `count` published reports. Returns anonymous memory in KiB and the number of open files."""
        self.wait_for_reports(count)
        return self.status("RssAnon"), len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def settle(self):
        """Waits until the agent uses no processor time for half a second."""
        before = None
        while before != (before := self.ticks()):
            time.sleep(0.5)

    def ticks(self):
        return pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]

    def status(self, name):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line.split()[1] for line in text.splitlines() if line.startswith(name + ":")))

    @property
    def wake_ups(self):
        return self.status("voluntary_ctxt_switches") + self.status("nonvoluntary_ctxt_switches")

    @property
    def sockets(self):
        """Returns the agent's internet sockets from /proc/PID/net/tcp."""
        links = [os.readlink(entry) for entry in pathlib.Path(f"/proc/{self.process.pid}/fd").iterdir()]
        inodes = {link[len("socket:["):-1] for link in links if link.startswith("socket:[")}
        lines = [line.split() for name in ("tcp", "tcp6")
                 for line in pathlib.Path(f"/proc/{self.process.pid}/net/{name}").read_text().splitlines()[1:]]
        return sum(line[9] in inodes for line in lines)

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.follower.join()
        self.process.stderr.close()


class Idle(unittest.TestCase):
    def setUp(self):
        self.broker = Broker()
        self.addCleanup(self.broker.close)

    def agent(self, **variables):
        agent = Agent(self.broker, **variables)
        self.addCleanup(agent.close)
        return agent

    def test_sleeps_between_reports(self):
        quiet = self.agent(DEFENDER_CLIENT_ID="quiet")
        pinging = self.agent(DEFENDER_CLIENT_ID="pinging", DEFENDER_KEEP_ALIVE_SECONDS=str(KEEP_ALIVE))
        reporting = self.agent(DEFENDER_CLIENT_ID="reporting", DEFENDER_CONNECTION="per-report")
        commanded = self.agent(DEFENDER_CLIENT_ID="commanded", DEFENDER_COMMAND_TOPIC="commands/{thing}")
        agents = (quiet, pinging, reporting, commanded)
        for agent in agents:
            agent.wait_for_reports(1)
            agent.settle()
        self.assertEqual([agent.sockets for agent in agents], [1, 1, 0, 1])
        memory = [agent.status("RssAnon") for agent in agents]
        before = [agent.wake_ups for agent in agents]
        time.sleep(KEEP_ALIVE + 5)
        woken = [agent.wake_ups - count for agent, count in zip(agents, before)]
        print(f"wake-ups in {KEEP_ALIVE + 5} s: {woken[0]} by default, {woken[1]} with a keep-alive of {KEEP_ALIVE} s, "
              f"{woken[2]} per-report, {woken[3]} with a command topic; anonymous memory {memory} KiB")
        self.assertEqual([woken[0], woken[2], woken[3]], [0, 0, 0])
        # One ping is expected, and two if the period begins and ends with one.
        self.assertLessEqual(woken[1], 2)
        self.assertGreaterEqual(woken[1], 1)
        self.assertEqual([agent.sockets for agent in agents], [1, 1, 0, 1])
        if is_static(BOOTSTRAP):
            self.assertLessEqual(max(memory), 1536)

    def test_uses_no_more_memory_over_time(self):
        modes = ("persistent", "per-report")
        agents = [self.agent(DEFENDER_CONNECTION=mode, DEFENDER_CLIENT_ID=mode, SAMPLE_INTERVAL_SECONDS="0.01",
                             DEFENDER_MINIMUM_INTERVAL_SECONDS="0.01") for mode in modes]
        before = [agent.memory_and_files(100) for agent in agents]
        after = [agent.memory_and_files(1_000) for agent in agents]
        for mode, (memory, files), (later_memory, later_files) in zip(modes, before, after):
            with self.subTest(mode):
                print(f"{mode}: anonymous memory {memory} KiB after 100 reports, {later_memory} KiB after 1,000")
                self.assertLess(later_memory - memory, 256)
                self.assertLessEqual(later_files, files + 2)


def is_static(path):
    """Returns whether the program is static, that is, names no dynamic linker (PT_INTERP, elf(5))."""
    data = pathlib.Path(path).read_bytes()
    start, size, count = (int.from_bytes(data[at:at + n], "little") for at, n in ((32, 8), (54, 2), (56, 2)))
    return all(int.from_bytes(data[start + i * size:start + i * size + 4], "little") != 3 for i in range(count))


if __name__ == "__main__":
    unittest.main()
