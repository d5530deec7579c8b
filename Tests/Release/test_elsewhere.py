"""Tests that the released bootstrap runs without any file of the build machine: in an empty root directory and in an old Debian.

Requires root and a separate network namespace, because it serves port 53; Tests/Release/run provides both. Environment: RELEASE_ZIP,
OLD_USERLAND (a Debian root with libnss-resolve and libnss-myhostname), and EMULATOR (a static qemu, for a foreign architecture).
"""

import contextlib
import itertools
import os
import pathlib
import queue
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
import zipfile

import world

ZIP = os.environ["RELEASE_ZIP"]
OLD_USERLAND = os.environ.get("OLD_USERLAND")
EMULATOR = os.environ.get("EMULATOR")
API_NAME, IOT_NAME = "runtime-api.defender.test", "iot.defender.test"
TOPIC = "devices/one/metrics"
NOBODY = 65534
# Far more time than any step needs, even on an emulated processor.
PATIENCE = 120 if EMULATOR else 30
SILENT = "fd00:dd::9" if ":" in world.LOOPBACK else "127.0.0.9"


def setUpModule():
    if ":" in SILENT:
        subprocess.run(["ip", "address", "add", f"{SILENT}/128", "dev", "lo", "nodad"], check=True)


class Place:
    """A root directory, which is read-only while a program runs in it."""

    def __init__(self, base, userland=None):
        self.root = base
        base.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755,size=600m", "tmpfs", base], check=True)
        if userland:
            subprocess.run(["cp", "-a", f"{userland}/.", base], check=True)
        for name in ("etc", "proc", "dev", "tmp", "var/task"):
            (base / name).mkdir(parents=True, exist_ok=True)
        (base / "tmp").chmod(0o555)
        subprocess.run(["mount", "--rbind", "/proc", base / "proc"], check=True)
        (base / "dev/null").touch()
        subprocess.run(["mount", "--bind", "/dev/null", base / "dev/null"], check=True)
        # In a container, the clock is the only other thing that a resolver reads and that may differ from the host.
        self.write("etc/resolv.conf", f"nameserver {world.LOOPBACK}\noptions timeout:2 attempts:1\n")
        self.write("etc/hosts", f"{world.LOOPBACK} localhost\n")
        with zipfile.ZipFile(ZIP) as archive:
            archive.extractall(base / "var/task")
        (base / "var/task/bootstrap").chmod(0o755)
        if EMULATOR:
            shutil.copy(EMULATOR, base / "emulator")

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def start(self, arguments, variables, uid):
        def enter():
            os.chroot(self.root)
            os.chdir("/var/task")
            if uid:
                os.setgroups([])
                os.setgid(uid)
                os.setuid(uid)

        self.remount("ro")
        command = [*(["/emulator"] if EMULATOR else []), "/var/task/bootstrap", *arguments]
        return subprocess.Popen(
            command, executable=command[0], env=variables, preexec_fn=enter, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def remount(self, mode):
        subprocess.run(["mount", "-o", f"remount,{mode}", self.root], check=True)


class ElsewhereTests(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="release-"))
        cls.authority = world.Authority(cls.directory / "authority", IOT_NAME)
        cls.stranger = world.Authority(cls.directory / "stranger", IOT_NAME)
        cls.names = world.NameServer([API_NAME, IOT_NAME])
        cls.iot = world.IoTDataPlane(cls.authority)
        cls.places = {"empty": Place(cls.directory / "empty")}
        if OLD_USERLAND:
            cls.places["old"] = Place(cls.directory / "old", OLD_USERLAND)
            # The configuration of systemd-resolved. glibc's resolver would load these modules and a second libc with them.
            cls.places["old"].write("etc/nsswitch.conf", "hosts: files resolve [!UNAVAIL=return] dns myhostname\n")
        for place in cls.places.values():
            place.write("etc/known.pem", cls.authority.certificate.read_text())
            place.write("etc/stranger.pem", cls.stranger.certificate.read_text())
            place.write("etc/empty.pem", "")
        cls.addClassCleanup(cls.remove)

    @classmethod
    def remove(cls):
        for place in cls.places.values():
            subprocess.run(["umount", "-R", "-l", place.root], check=True)
        shutil.rmtree(cls.directory)

    @contextlib.contextmanager
    def running(self, place, uid=0, host=world.HOST, trust="/etc/known.pem", **more):
        """Runs a Runtime API and the bootstrap that polls it until the end of the block."""
        api = world.RuntimeAPI()
        self.addCleanup(api.close)
        variables = {
            "AWS_LAMBDA_RUNTIME_API": f"{host}:{api.port}",
            "AWS_ENDPOINT_URL_IOT_DATA_PLANE": f"https://{IOT_NAME}:{self.iot.port}",
            "AWS_REGION": world.REGION,
            "DEFENDER_TOPIC": TOPIC,
            **world.CREDENTIALS,
            **({"AWS_CA_BUNDLE": trust} if trust else {}),
            **more,
        }
        process = place.start([], variables, uid)
        try:
            yield api, process
        finally:
            process.kill()
            process.communicate()

    def answer(self, api, process, event=b'{"reports":1}'):
        """Hands out the event. Returns the answer as ("response" | "error" | "init", document)."""
        api.events.put((event, int(time.time() + PATIENCE) * 1000))
        try:
            return api.answers.get(timeout=PATIENCE)
        except queue.Empty:
            process.kill()
            self.fail(f"no answer: exit status {process.wait()}, output: {process.stdout.read()}")

    def invoke(self, *where, **more):
        """Takes the arguments of `running` and returns the result of `answer`."""
        with self.running(*where, **more) as (api, process):
            return self.answer(api, process)

    def take_published(self):
        path, body = self.iot.published.get(timeout=5)
        self.assertEqual(path.partition("?")[0], "/topics/" + TOPIC.replace("/", "%2F"))
        self.assertIn(b'"header"', body)
        self.assertTrue(self.iot.published.empty())

    def test_publishes_from_everywhere_by_every_kind_of_host(self):
        hosts = (world.HOST, "localhost", API_NAME)
        for (name, place), uid, host in itertools.product(self.places.items(), (0, NOBODY), hosts):
            with self.subTest(place=name, uid=uid, host=host):
                self.names.asked.clear()
                kind, answer = self.invoke(place, uid, host)
                self.assertEqual((kind, answer.get("published")), ("response", 1), answer)
                self.take_published()
                expected = {IOT_NAME, API_NAME} if host == API_NAME else {IOT_NAME}
                self.assertEqual(self.names.asked, expected)

    def test_signs_the_host_that_it_sends_whatever_the_spelling(self):
        ipv4 = ["127.0.0.1"]
        ipv6 = ["[::1]", "[0:0:0:0:0:0:0:1]", "[::0001]", "[0::1]"]
        spellings = ipv6 if world.FAMILY == socket.AF_INET6 else ipv4
        for spelling in [*spellings, IOT_NAME.upper()]:
            with self.subTest(spelling=spelling):
                url = f"https://{spelling}:{self.iot.port}"
                kind, answer = self.invoke(self.places["empty"], NOBODY, AWS_ENDPOINT_URL_IOT_DATA_PLANE=url)
                # The data plane computes the signature over the Host that it received.
                self.assertEqual((kind, answer.get("published")), ("response", 1), answer)
                self.take_published()

    def test_refuses_an_authority_that_it_does_not_know(self):
        for trust, sentence in [
            ("/etc/stranger.pem", "certificate"),
            ("/etc/empty.pem", "AWS_CA_BUNDLE"),
            ("/etc/absent.pem", "AWS_CA_BUNDLE"),
            (None, "certificate"),
        ]:
            with self.subTest(trust=trust):
                before = self.iot.requests
                kind, answer = self.invoke(self.places["empty"], NOBODY, trust=trust)
                self.assertIn(kind, ("error", "init"), answer)
                self.assertIn(sentence, answer["errorMessage"])
                self.assertEqual(self.iot.requests, before, "a request was sent to an untrusted server")

    def test_finds_the_bundle_of_amazon_linux(self):
        place = self.places["empty"]
        place.remount("rw")
        place.write("etc/pki/tls/certs/ca-bundle.crt", self.authority.certificate.read_text())
        kind, answer = self.invoke(place, NOBODY, trust=None)
        self.assertEqual((kind, answer.get("published")), ("response", 1), answer)
        self.take_published()
        place.remount("rw")
        shutil.rmtree(place.root / "etc/pki")

    def test_finds_the_runtime_api_although_the_first_name_server_is_silent(self):
        silent = world.NameServer([], SILENT, is_silent=lambda kind: True)
        self.addCleanup(silent.close)
        place = self.places["empty"]
        place.remount("rw")
        before = (place.root / "etc/resolv.conf").read_text()
        # By default, glibc waits 5 s for the first server and then asks the second.
        place.write("etc/resolv.conf", f"nameserver {SILENT}\nnameserver {world.LOOPBACK}\n")
        try:
            kind, answer = self.invoke(place, NOBODY, API_NAME)
        finally:
            place.remount("rw")
            place.write("etc/resolv.conf", before)
        self.assertEqual((kind, answer.get("published")), ("response", 1), answer)
        self.assertGreater(silent.queries, 0)
        self.take_published()

    def test_reports_a_name_that_does_not_resolve(self):
        kind, answer = self.invoke(
            self.places["empty"], AWS_ENDPOINT_URL_IOT_DATA_PLANE=f"https://absent.defender.test:{self.iot.port}")
        self.assertEqual(kind, "error", answer)
        self.assertIn("absent.defender.test", answer["errorMessage"])

    def test_loads_nothing_that_the_openssl_configuration_of_the_target_names(self):
        configuration = (
            "openssl_conf = start\n[start]\nproviders = all\n"
            "[all]\nstrange = strange\ndefault = default\n[default]\nactivate = 1\n"
            "[strange]\nmodule = /etc/strange.so\nactivate = 1\n")
        place = self.places.get("old", self.places["empty"])
        place.remount("rw")
        place.write("usr/lib/ssl/openssl.cnf", configuration)
        # A real shared object, which would load a second libc.
        found = sorted((place.root / "lib").glob("*-linux-gnu*/libnss_resolve.so.2"))
        if found:
            shutil.copy(found[0], place.root / "etc/strange.so")
        kind, answer = self.invoke(place, NOBODY)
        self.assertEqual((kind, answer.get("published")), ("response", 1), answer)
        self.take_published()

    # Under an emulator, the memory use would be the emulator's.
    if not EMULATOR:
        def test_uses_little_memory_between_reports(self):
            iot = world.IoTDataPlane(self.authority)
            variables = {"AWS_ENDPOINT_URL_IOT_DATA_PLANE": f"https://{IOT_NAME}:{iot.port}",
                         "DEFENDER_MINIMUM_INTERVAL_SECONDS": "2", "DEFENDER_JITTER": "0"}
            with self.running(self.places["empty"], NOBODY, API_NAME, **variables) as (api, process):
                api.events.put((b'{"interval_seconds":2}', int(time.time() + 3600) * 1000))
                for _ in range(3):
                    iot.published.get(timeout=PATIENCE)
                # It uses more memory while it makes and sends a report.
                samples, deadline = [], time.monotonic() + PATIENCE
                while iot.published.qsize() < 2 and time.monotonic() < deadline:
                    samples.append(anonymous_kib(process.pid))
                    time.sleep(0.05)
                print(f"anonymous memory between reports over HTTPS: {min(samples)} KiB")
                self.assertLessEqual(min(samples), 1024)

    def test_prints_its_version(self):
        place = self.places["empty"]
        process = place.start(["--version"], {}, NOBODY)
        output, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0, output)
        self.assertRegex(output, r"^bootstrap \d+\.\d+\.\d+\nlibcurl/\S+ OpenSSL/\S+ c-ares/\S+ glibc/\S+\nlinked statically: c-ares ")


def anonymous_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("RssAnon:")))


if __name__ == "__main__":
    unittest.main()
