"""Tests the contents of the release's zip and its bill of materials, and that the binary depends on no other file.

Environment: RELEASE_ZIP; RELEASE_ARCH (x86_64 or arm64); REBUILT_ZIP, an optional second build of the same source.
"""

import base64
import hashlib
import json
import os
import pathlib
import re
import stat
import subprocess
import tempfile
import unittest
import zipfile

ZIP = pathlib.Path(os.environ["RELEASE_ZIP"])
ARCH = os.environ["RELEASE_ARCH"]
PROJECT = pathlib.Path(__file__).resolve().parents[2]
VERSION = subprocess.run([PROJECT / "lambda/packaging/version"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()

CONTENTS = {
    "bootstrap": 0o755,
    "LICENSE": 0o644,
    "greengrass_defender_agent.py": 0o644,
    "lambda-function-component.json": 0o644,
    "THIRD-PARTY-NOTICES.txt": 0o644,
}
# 5.50 MB and 12.6 MB (`lambda/package` prints them). Detection added 0.19 MB to the zip and 0.44 MB to `bootstrap`, and detection for a
# fleet with its clients of DynamoDB and SNS about 0.2 MB and 0.4 MB.
LARGEST_ZIP, LARGEST_FILE = 5_600_000, 13_200_000


class ZipTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.zip = zipfile.ZipFile(ZIP)
        cls.binary = cls.zip.read("bootstrap")
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        cls.path = pathlib.Path(directory.name) / "bootstrap"
        cls.path.write_bytes(cls.binary)
        cls.bill = json.loads(ZIP.with_suffix(".cdx.json").read_text())

    def readelf(self, *options):
        return subprocess.run(
            ["readelf", "-W", *options, self.path], check=True, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}
        ).stdout

    def test_contains_exactly_these_files(self):
        modes = {entry.filename: stat.S_IMODE(entry.external_attr >> 16) for entry in self.zip.infolist()}
        self.assertEqual(modes, CONTENTS)
        self.assertTrue(all(stat.S_ISREG(entry.external_attr >> 16) for entry in self.zip.infolist()))

    def test_is_small(self):
        self.assertLessEqual(ZIP.stat().st_size, LARGEST_ZIP)
        self.assertLessEqual(len(self.binary), LARGEST_FILE)

    def test_contains_no_date_and_no_user(self):
        for entry in self.zip.infolist():
            self.assertEqual((entry.date_time, entry.extra), ((1980, 1, 1, 0, 0, 0), b""), entry.filename)

    if "REBUILT_ZIP" in os.environ:
        def test_is_the_same_when_built_again_elsewhere(self):
            # Also the tool, the package, the image and the bills beside the zip.
            directories = (ZIP.parent, pathlib.Path(os.environ["REBUILT_ZIP"]).parent)
            self.assertEqual(*[{
                str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in directory.rglob("*") if path.is_file()} for directory in directories])

    def test_names_no_path_of_the_build_machine(self):
        for path in (str(PROJECT), os.path.expanduser("~")):
            self.assertFalse(path.encode() + b"/" in self.binary, path)  # assertNotIn would print the binary

    def test_needs_no_loader_no_library_and_no_version_of_glibc(self):
        segments = self.readelf("-l")
        self.assertNotIn("INTERP", segments)
        self.assertNotIn("(NEEDED)", self.readelf("-d"))
        self.assertEqual(self.readelf("-V").strip(), "No version information found in this file.")
        header = self.readelf("-h")
        self.assertIn({"x86_64": "X86-64", "arm64": "AArch64"}[ARCH], header)
        self.assertIn("DYN" if "-pie" in ZIP.name else "EXEC", re.search(r"Type:(.*)", header)[1])

    def test_has_no_page_that_can_be_written_and_run(self):
        segments = re.findall(r"^ +(LOAD|GNU_STACK|GNU_RELRO) .*? ([R ][W ][E ]) 0x", self.readelf("-l"), re.MULTILINE)
        self.assertFalse([each for each in segments if "W" in each[1] and "E" in each[1]])
        self.assertEqual({kind for kind, _ in segments}, {"LOAD", "GNU_STACK", "GNU_RELRO"})

    def test_keeps_its_constants_read_only(self):
        flags = dict(re.findall(r"\] (\.rodata|\.text|\.data) +\w+ +\w+ \w+ \w+ \w+ +([A-Za-z]+)", self.readelf("-S")))
        self.assertEqual({name: "W" in flags[name] for name in flags}, {".rodata": False, ".text": False, ".data": True})

    def test_links_no_foundation_no_regular_expressions_and_no_concurrency(self):
        archives = next(each for each in self.bill["components"] if each["name"] == "swift")["properties"][0]["value"]
        self.assertEqual(set(archives.split()), {"libswiftCore.a", "libswiftGlibc.a"})

    def test_bill_of_materials_matches_this_file(self):
        self.assertEqual((self.bill["bomFormat"], self.bill["specVersion"]), ("CycloneDX", "1.5"))
        product = self.bill["metadata"]["component"]
        self.assertEqual(product["hashes"], [{"alg": "SHA-256", "content": hashlib.sha256(self.binary).hexdigest()}])
        self.assertEqual(product["version"], VERSION)
        self.assertEqual(product["properties"], [{"name": "architecture", "value": ARCH}])

    def test_bill_of_materials_names_what_the_binary_and_the_notices_name(self):
        components = self.bill["components"]
        linked = ", ".join(f"{component['name']} {component['version']}" for component in components)
        self.assertTrue(linked.encode() in self.binary, f"--version doesn't print {linked}")
        notices = self.zip.read("THIRD-PARTY-NOTICES.txt").decode()
        names = [component["name"] for component in components]
        self.assertEqual([re.sub(r"-\d+$", "", name) for name in names], ["c-ares", "ca-certificates", "curl", "gcc", "glibc", "openssl", "swift"])
        for component in components:
            self.assertRegex(component["purl"], r"^pkg:(deb|github)/[a-z]+/\S+@\S+$")
            licence = component["licenses"][0]["expression"]
            self.assertIn(f"{component['name']} {component['version']}: {licence}\n", notices)
        for sentence in ("Mozilla Public License Version 2.0", "GNU LESSER GENERAL PUBLIC LICENSE", "GCC RUNTIME LIBRARY EXCEPTION", "Daniel Stenberg",
                         "The OpenSSL Project", "Runtime Library Exception to the Apache 2.0 License", "c-ares"):
            self.assertIn(sentence.lower(), notices.lower())

    def test_bill_of_materials_names_each_certificate_that_is_compiled_in(self):
        blocks = re.findall(rb"-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=\n]+)-----END CERTIFICATE-----", self.binary)
        found = [hashlib.sha256(base64.b64decode(block)).hexdigest() for block in blocks]
        certificates = next(each for each in self.bill["components"] if each["name"] == "ca-certificates")
        self.assertEqual(sorted(each["value"] for each in certificates["properties"]), sorted(found))
        # Amazon Root CA 1, from https://www.amazontrust.com/repository/ for independent confirmation.
        self.assertIn("8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e", found)

    def test_changelog_names_the_version(self):
        headings = re.findall(r"^## (.*)$", (PROJECT / "CHANGELOG.md").read_text(), re.MULTILINE)
        self.assertRegex(headings[0], rf"^\[(Unreleased|{re.escape(VERSION)})\]")


if __name__ == "__main__":
    unittest.main()
