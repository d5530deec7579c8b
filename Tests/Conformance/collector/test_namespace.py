"""In a network namespace of its own, under socket-load: nothing comes or goes but what these tests do."""

import json
import socket
import subprocess
import unittest

import reports


class InANamespace(unittest.TestCase):
    def test_names_each_socket_as_psutil_does(self):
        expected = reports.counted()
        self.assertGreater(sum(expected.connections.values()), 250, "socket-load didn't load")
        self.assertGreater(max(expected.tcp_ports.values()), 1, "no port with several listeners")
        said = reports.reported(reports.json_reports("-n", "1", "-l", "100000")[0])
        self.assertEqual(said, expected)

    def test_says_the_same_from_files(self):
        said = reports.reported(reports.json_reports("-n", "1", "-l", "100000")[0])
        # Any root but /proc selects the files.
        from_files = reports.reported(
            reports.json_reports("-n", "1", "-l", "100000", "--procfs", "/proc/.")[0])
        self.assertEqual(from_files, said)

    def test_samples_lists_and_keeps_totals(self):
        full = reports.json_reports("-n", "1", "-l", "100000")[0]["metrics"]
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
        # Each packet leaves and arrives on lo, which counts its data and the 28 bytes of UDP's and IPv4's headers.
        size = 50 * (1_000 + 28)
        self.assertEqual(
            second["metrics"]["network_stats"],
            {"bytes_in": size, "bytes_out": size, "packets_in": 50, "packets_out": 50})


if __name__ == "__main__":
    unittest.main()
