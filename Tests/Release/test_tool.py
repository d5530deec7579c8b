"""Tests the static `defender`: its file, its bill of materials, and that it runs in an empty root and in Debian 12.

Requires root and a separate mount namespace, which Tests/Release/package provides. Environment: PACKAGES (what lambda/package --tool
wrote), RELEASE_ARCH, DEBIAN (a Debian 12 root).
"""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import device

ARCH = os.environ["RELEASE_ARCH"]
TOOL = pathlib.Path(os.environ["PACKAGES"]) / f"defender-{ARCH}"
PROJECT = pathlib.Path(__file__).resolve().parents[2]
# 22.3 MB (`lambda/package --tool` prints it).
LARGEST_FILE = 24_000_000


class ToolTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        cls.broker = device.Broker(pathlib.Path(directory.name) / "broker")
        cls.addClassCleanup(cls.broker.close)

    def readelf(self, *options):
        command = ["readelf", "-W", *options, TOOL]
        return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}).stdout

    def root(self, base=None):
        """Returns a root that holds the file, /proc and, if `base` is given, that system."""
        root = self.enterContext(device.temporary_root(base))
        shutil.copy(TOOL, root / "defender")
        return root

    def run_in(self, root, *arguments, **variables):
        process = device.start(root, ["/defender", *arguments], variables)
        output = process.communicate(timeout=device.PATIENCE)[0]
        return process.returncode, output

    def test_needs_no_loader_no_library_and_no_version_of_glibc(self):
        self.assertNotIn("INTERP", self.readelf("-l"))
        self.assertNotIn("(NEEDED)", self.readelf("-d"))
        self.assertEqual(self.readelf("-V").strip(), "No version information found in this file.")
        segments = re.findall(r"^ +(LOAD|GNU_STACK|GNU_RELRO) .*? ([R ][W ][E ]) 0x", self.readelf("-l"), re.MULTILINE)
        self.assertFalse([each for each in segments if "W" in each[1] and "E" in each[1]])
        self.assertEqual({kind for kind, _ in segments}, {"LOAD", "GNU_STACK", "GNU_RELRO"})

    def test_is_small_and_names_no_path_of_the_build_machine(self):
        contents = TOOL.read_bytes()
        self.assertLessEqual(len(contents), LARGEST_FILE)
        for path in (str(PROJECT), os.path.expanduser("~")):
            self.assertFalse(path.encode() + b"/" in contents, path)

    def test_bill_and_notices_name_what_the_version_prints(self):
        bill = json.loads(TOOL.with_name(TOOL.name + ".cdx.json").read_text())
        product = bill["metadata"]["component"]
        self.assertEqual(product["bom-ref"], "defender")
        self.assertEqual(product["hashes"][0]["content"], hashlib.sha256(TOOL.read_bytes()).hexdigest())
        names = [component["name"] for component in bill["components"]]
        for name in ("openssl", "curl", "c-ares", "swift", "swift-argument-parser", "swift-nio", "swift-collections"):
            self.assertIn(name, names)
        linked = ", ".join(f"{component['name']} {component['version']}" for component in bill["components"])
        status, output = self.run_in(self.root(), "--version")
        self.assertEqual(status, 0, output)
        self.assertIn(f"linked statically: {linked}\n", output)
        notices = TOOL.with_name(TOOL.name + ".notices.txt").read_text()
        for component in bill["components"]:
            licence = component["licenses"][0]["expression"]
            self.assertIn(f"{component['name']} {component['version']}: {licence}\n", notices)
        for text in ("llhttp", "Permission is hereby granted", "Runtime Library Exception to the Apache 2.0 License"):
            self.assertIn(text, notices)

    def test_prints_a_report_in_an_empty_root_and_in_debian(self):
        for base in (None, os.environ["DEBIAN"]):
            with self.subTest(base=base):
                status, output = self.run_in(self.root(base), "collect")
                self.assertEqual(status, 0, output)
                self.assertIn("listening_tcp_ports", json.loads(output)["metrics"])

    def test_publishes_with_the_flags_of_the_python_agent(self):
        for base in (None, os.environ["DEBIAN"]):
            with self.subTest(base=base):
                root = self.root(base)
                self.broker.install_identity(root / "keys")
                (root / "keys/private.key").chmod(0o644)  # the agent runs as another user
                process = device.start(root, [
                    "/defender", "agent", "--endpoint", f"localhost:{self.broker.port}", "--rootCA", "/keys/ca.pem",
                    "--cert", "/keys/certificate.pem", "--key", "/keys/private.key", "--format", "json", "-i", "300",
                    "-id", device.THING], {})
                status, log = device.until_published(process)
                self.assertEqual(status, 0, log)
                self.assertIn("Published report", log)

    def test_names_the_mount_that_it_needs(self):
        root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        root.chmod(0o755)
        shutil.copy(TOOL, root / "defender")
        status, output = self.run_in(root, "--version")
        self.assertEqual((status, output), (
            2, "defender: Can't read the command line from /proc. Mount it: mount -t proc proc /proc\n"))

    def test_runs_a_command_on_the_threads_of_the_runtime(self):
        # SwiftNIO starts threads. Their end must not unwind a stack, because the program has no unwind tables.
        root = self.root(os.environ["DEBIAN"])
        status, output = self.run_in(root, "invoke", "--bootstrap", "/bin/false")
        self.assertEqual(status, 1, output)
        self.assertIn("The function failed:", output)


if __name__ == "__main__":
    unittest.main()
