"""Tests that `bootstrap agent` doesn't wait for the resolver if no name server answers. Uses its own network namespace."""
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

BOOTSTRAP = os.environ["BOOTSTRAP"]
# The time that glibc waits for one server: 5 s, twice.
RESOLVER_TIME = 10


class Resolver(unittest.TestCase):
    def test_does_not_prevent_the_agent_from_ending(self):
        rights = [] if os.geteuid() == 0 else ["--map-root-user"]
        result = subprocess.run(["unshare", *rights, "--mount", "--net", sys.executable, __file__],
                                capture_output=True, text=True, env={**os.environ, "BOOTSTRAP": BOOTSTRAP})
        self.assertEqual(result.returncode, 0, result.stderr)
        took, *log = result.stdout.splitlines()
        print(f"stopped {took} s after SIGTERM, during name resolution")
        self.assertLess(float(took), RESOLVER_TIME / 2)
        self.assertTrue(any("a stop was requested before the connection" in line for line in log), log)


def raise_loopback():
    SIOCSIFFLAGS, IFF_UP = 0x8914, 1  # netdevice(7)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def in_network_of_its_own():
    raise_loopback()
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("nameserver 127.0.0.1\n")
        file.flush()
        subprocess.run(["mount", "--bind", file.name, "/etc/resolv.conf"], check=True)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    agent = subprocess.Popen(
        [BOOTSTRAP, "agent"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={"DEFENDER_TRANSPORT": "mqtt", "DEFENDER_MQTT_ENDPOINT": "wss://abc.example.com", "DEFENDER_JITTER": "0",
             "AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "made-up",
             "AWS_IOT_THING_NAME": "pump-7", "SAMPLE_INTERVAL_SECONDS": "0.1",
             "DEFENDER_MINIMUM_INTERVAL_SECONDS": "0.1"})
    server.recv(512)  # a query, which is never answered
    begin = time.monotonic()
    agent.send_signal(signal.SIGTERM)
    _, log = agent.communicate()
    print(f"{time.monotonic() - begin:.2f}\n{log}")
    sys.exit(agent.returncode)


if __name__ == "__main__":
    in_network_of_its_own()
