"""Tests the life of the Debian package in a Debian 12 root: install, first report, upgrade, remove, purge.

Requires root and a separate mount namespace, which Tests/Release/package provides. Environment: PACKAGES (what lambda/package --deb
wrote) and DEBIAN (a Debian 12 root with systemd).
"""

import hashlib
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import device

PACKAGE = next(pathlib.Path(os.environ["PACKAGES"]).glob("device-defender_*.deb"))
CONFIGURATION = "etc/device-defender/agent.env"
UNIT = "usr/lib/systemd/system/device-defender.service"
# 7.8 MB (`lambda/package --deb` prints it). Both programs share most of their code, which xz finds.
LARGEST_PACKAGE = 13_000_000


class PackageTests(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.root = self.enterContext(device.temporary_root(os.environ["DEBIAN"]))

    def run_in_root(self, *command):
        result = subprocess.run(
            ["chroot", self.root, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"})
        self.assertEqual(result.returncode, 0, result.stdout)
        return result.stdout

    def dpkg(self, *words):
        """Runs dpkg in the root. A word that is a path outside of it is copied there."""
        words = list(words)
        if isinstance(words[-1], pathlib.Path):
            shutil.copy(words[-1], self.root / "tmp")
            words[-1] = f"/tmp/{words[-1].name}"
        return self.run_in_root("dpkg", *words)

    def files(self):
        """Returns the paths in the root, without dpkg's own records and the places of the test."""
        skipped = ("var/lib/dpkg", "var/log", "var/cache", "tmp", "proc", "dev", "run")
        found = set()
        for path, directories, files in os.walk(self.root):
            relative = os.path.relpath(path, self.root)
            directories[:] = [name for name in directories if os.path.normpath(f"{relative}/{name}") not in skipped]
            found |= {os.path.normpath(f"{relative}/{name}") for name in directories + files}
        return found

    def successor(self, version, changed_configuration):
        """Returns a package of a later version, with another default configuration if asked for."""
        tree, file = self.directory / version, self.directory / f"{version}.deb"
        subprocess.run(["dpkg-deb", "-R", PACKAGE, tree], check=True)
        control = tree / "DEBIAN/control"
        control.write_text(control.read_text().replace(f"Version: {PACKAGE.name.split('_')[1]}", f"Version: {version}"))
        if changed_configuration:
            with open(tree / CONFIGURATION, "a") as configuration:
                configuration.write("#NEW_DEFAULT=1\n")
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, file], check=True, capture_output=True)
        return file

    def test_is_small_and_has_a_bill(self):
        self.assertLessEqual(PACKAGE.stat().st_size, LARGEST_PACKAGE)
        product = json.loads(PACKAGE.with_suffix(".cdx.json").read_text())["metadata"]["component"]
        self.assertEqual(product["bom-ref"], PACKAGE.name)
        self.assertEqual(product["hashes"][0]["content"], hashlib.sha256(PACKAGE.read_bytes()).hexdigest())

    def test_installs_upgrades_and_is_removed_without_a_trace(self):
        before = self.files()
        self.dpkg("-i", PACKAGE)
        self.assertEqual(self.run_in_root("dpkg", "-V", "device-defender"), "", "installed files differ from the package")
        self.assertIn("2 reports of this machine were published", self.run_in_root("defender", "invoke"))
        self.assertEqual((self.root / CONFIGURATION).stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.run_in_root("systemd-analyze", "verify", "--man=no", f"/{UNIT}"), "")
        # Not enabled, because it needs an endpoint, a name and a certificate first.
        self.assertFalse((self.root / "etc/systemd/system/multi-user.target.wants/device-defender.service").exists())

        ours = "AWS_IOT_THING_NAME=pump-7\n"
        (self.root / CONFIGURATION).write_text(ours)
        certificate, state = self.root / "etc/device-defender/certificate.pem", self.root / "var/lib/private/device-defender/state.json"
        certificate.write_text("a certificate")
        state.parent.mkdir(parents=True)
        state.write_text("{}")
        (self.root / "var/lib/device-defender").symlink_to("private/device-defender")
        self.run_in_root("systemctl", "enable", "device-defender")

        self.dpkg("-i", self.successor("99.1", changed_configuration=False))
        self.assertEqual((self.root / CONFIGURATION).read_text(), ours)
        self.dpkg("--force-confdef", "--force-confold", "-i", self.successor("99.2", changed_configuration=True))
        self.assertEqual((self.root / CONFIGURATION).read_text(), ours)
        self.assertIn("#NEW_DEFAULT=1", (self.root / f"{CONFIGURATION}.dpkg-dist").read_text())
        self.assertTrue((self.root / "etc/systemd/system/multi-user.target.wants/device-defender.service").is_symlink())

        self.dpkg("-r", "device-defender")
        self.assertFalse((self.root / "usr/bin/defender").exists() or (self.root / UNIT).exists())
        self.assertEqual(((self.root / CONFIGURATION).read_text(), state.read_text()), (ours, "{}"))

        self.dpkg("-P", "device-defender")
        self.assertEqual(certificate.read_text(), "a certificate")
        certificate.unlink()
        certificate.parent.rmdir()
        created_by_test = {"var/lib/private", "etc/systemd/system/multi-user.target.wants"}
        self.assertEqual(self.files() - before - created_by_test, set())

    def test_reports_after_three_commands(self):
        """The commands of docs/agent.md. systemd doesn't run here, so the third one is replaced by what the unit starts."""
        broker = device.Broker(self.directory / "broker")
        self.addCleanup(broker.close)
        prepared = self.root / "root"
        broker.install_identity(prepared)
        (prepared / "agent.env").write_text(
            f"DEFENDER_MQTT_ENDPOINT=localhost:{broker.port}\nAWS_IOT_THING_NAME={device.THING}\n"
            "AWS_CA_BUNDLE=/etc/device-defender/ca.pem\n")
        began = time.monotonic()
        self.dpkg("-i", PACKAGE)
        self.run_in_root("install", "-m", "600", "-t", "/etc/device-defender",
                         *(f"/root/{name}" for name in ("agent.env", "certificate.pem", "private.key")))
        self.run_in_root("install", "-m", "644", "-t", "/etc/device-defender", "/root/ca.pem")
        status, log = device.until_published(self.start_service())
        self.assertEqual(status, 0, log)
        self.assertIn("Published report", log)
        print(f"from dpkg -i to the first acknowledged report: {time.monotonic() - began:.1f} s", file=sys.stderr)

    def start_service(self):
        """Starts what the unit starts, with its variables and with copies of its credentials for the dynamic user."""
        credentials, state = self.root / "run/credentials", self.root / "run/state"
        variables = {}
        values = {"%d": "/run/credentials", "%S/device-defender": "/run/state"}
        for path in (credentials, state):
            path.mkdir(parents=True)
        for line in (self.root / UNIT).read_text().splitlines():
            key, _, value = line.partition("=")
            if key == "EnvironmentFile":
                text = (self.root / value.lstrip("/")).read_text()
                variables |= dict(each.split("=", 1) for each in text.splitlines() if each and each[0] != "#")
            elif key == "Environment":
                for old, new in values.items():
                    value = value.replace(old, new)
                variables |= dict(each.split("=", 1) for each in shlex.split(value))
            elif key == "LoadCredential":
                name, _, source = value.partition(":")
                shutil.copy(self.root / source.lstrip("/"), credentials / name)
            elif key == "ExecStart":
                command = shlex.split(value)
        for path in (credentials, state, *credentials.iterdir()):
            os.chown(path, 65534, 65534)
        return device.start(self.root, command, variables)


if __name__ == "__main__":
    unittest.main()
