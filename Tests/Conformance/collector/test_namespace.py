"""Tests in a separate network namespace with socket-load, where only these tests open and close sockets."""

import collections
import errno
import fcntl
import json
import socket
import struct
import subprocess
import tempfile
import unittest

import reports
import restricted

SIOCSIFADDR = 0x8916
EVERYTHING = ("-n", "1", "-l", "100000")


def setUpModule():
    """A listener on a second, separately named address of the loopback interface."""
    listener = socket.socket()
    address = struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton("192.0.2.7"))
    fcntl.ioctl(listener, SIOCSIFADDR, struct.pack("16s", b"lo:1") + address + bytes(8))
    listener.bind(("192.0.2.7", 8_883))
    listener.listen()
    unittest.addModuleCleanup(listener.close)


class InANamespace(unittest.TestCase):
    def test_names_each_socket_as_psutil_does(self):
        expected = reports.counted()
        self.assertGreater(sum(expected.connections.values()), 250, "socket-load opened too few connections")
        self.assertGreater(max(expected.tcp_ports.values()), 1, "no port has several listeners")
        said = reports.reported(reports.json_reports(*EVERYTHING)[0])
        self.assertEqual(said, expected)
        self.assertEqual(said.tcp_ports[8_883, "lo:1"], 1)

    def test_reports_the_same_from_files(self):
        said = reports.reported(reports.json_reports(*EVERYTHING)[0])
        # Any root other than /proc makes the collector read files.
        from_files = reports.reported(
            reports.json_reports(*EVERYTHING, "--procfs", "/proc/.")[0])
        self.assertEqual(from_files, said)

    def test_reports_the_same_if_netlink_is_denied(self):
        said = reports.reported(reports.json_reports(*EVERYTHING)[0])
        tables = {"TCP sockets", "UDP sockets", "interface counters", "interface addresses"}
        sockets = {"TCP sockets", "UDP sockets"}
        for denied, error, missing in (
            (None, errno.EAFNOSUPPORT, tables),
            (restricted.NETLINK_SOCK_DIAG, errno.EPROTONOSUPPORT, sockets),
            (restricted.NETLINK_ROUTE, errno.EPERM, tables - sockets),
        ):
            with self.subTest(denied=denied):
                command = [reports.DEFENDER, "collect", "--compact", "-n", "2", "-s", "0.1", "-l", "100000"]
                done = subprocess.run(
                    command, check=True, capture_output=True, text=True, timeout=120,
                    preexec_fn=restricted.without_netlink(denied, error))
                for line in done.stdout.splitlines():
                    self.assertEqual(reports.reported(json.loads(line)), said)
                self.assertEqual(len(done.stdout.splitlines()), 2)
                # Logged once for each table, not for each sample.
                lines = done.stderr.splitlines()
                self.assertEqual(len(lines), len(missing), done.stderr)
                for table in missing:
                    self.assertEqual(sum(f"Netlink doesn't provide {table}: " in line for line in lines), 1)

    def test_reports_the_host_from_a_container(self):
        said = reports.reported(reports.json_reports(*EVERYTHING)[0])
        none = reports.Sockets(*(collections.Counter() for _ in said))
        # No file lists the IPv4 address of an interface, only networks and their interfaces.
        ports = collections.Counter({(8_883, None): 1}) + said.tcp_ports
        del ports[8_883, "lo:1"]
        from_outside = said._replace(tcp_ports=ports)
        own, container = [], ["unshare", "--net", "--"]
        for entering, options, expected in (
            (container, ["--procfs"], from_outside),
            (own, ["--procfs"], said),
            (container, [], none),
        ):
            with self.subTest(entering=entering, options=options), tempfile.TemporaryDirectory() as host:
                # This network namespace acts as the host, with a shell as process 1. The container has a different one.
                host_shell = 'mount --bind /proc "$0" && { "$@"; exit "$?"; }'
                command = ["unshare", "--pid", "--mount", "--fork", "--mount-proc", "--", "sh", "-c", host_shell, host]
                command += [*entering, reports.DEFENDER, "collect", "--compact", *EVERYTHING]
                command += [*options, host] if options else []
                done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
                self.assertEqual(reports.reported(json.loads(done.stdout)), expected)
                self.assertEqual(done.stderr, "")

    def test_samples_lists_and_keeps_totals(self):
        full = reports.json_reports(*EVERYTHING)[0]["metrics"]
        cut = reports.json_reports("-n", "1", "-l", "7")[0]["metrics"]
        for name, inner, items in (
            ("tcp_connections", "established_connections", "connections"),
            ("listening_tcp_ports", None, "ports"),
            ("listening_udp_ports", None, "ports"),
        ):
            whole, part = full[name], cut[name]
            if inner:
                whole, part = whole[inner], part[inner]
            self.assertEqual(part["total"], whole["total"])
            self.assertEqual(len(part[items]), 7)
            self.assertTrue(all(item in whole[items] for item in part[items]))

    def test_counts_to_the_byte(self):
        receiver, sender = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        self.addCleanup(receiver.close)
        self.addCleanup(sender.close)
        receiver.bind(("127.0.0.1", 0))
        command = [reports.DEFENDER, "collect", "--compact", "-n", "2", "-s", "1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
            first = json.loads(process.stdout.readline())
            for _ in range(50):
                sender.sendto(bytes(1_000), receiver.getsockname())
            second = json.loads(process.stdout.readline())
        self.assertEqual(process.returncode, 0)
        self.assertNotIn("network_stats", first["metrics"])
        # Each packet is sent and received on lo, which counts its data and 28 bytes of UDP and IPv4 headers.
        size = 50 * (1_000 + 28)
        self.assertEqual(
            second["metrics"]["network_stats"],
            {"bytes_in": size, "bytes_out": size, "packets_in": 50, "packets_out": 50})


if __name__ == "__main__":
    unittest.main()
