"""Tests the Lambda import: the handler shim with a fake nucleus, from a zip unpacked in the same way as by a nucleus."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import zipfile

from nucleus import ACCESS, BOOTSTRAP, TOKEN, Nucleus
from work_api import WorkAPI

HERE = pathlib.Path(__file__).resolve().parent
SHIM = HERE.parents[2] / "lambda/greengrass/greengrass_defender_agent.py"
NOBODY = 65534


AS_NOBODY = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def python():
    """Returns a Python interpreter that an unprivileged user can run. Root's may be in root's home directory."""
    for candidate in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        try:
            subprocess.run([candidate, "-c", "import ctypes, urllib.request"], check=True, cwd="/", **AS_NOBODY)
            return candidate
        except (OSError, subprocess.CalledProcessError):
            pass
    raise AssertionError("no python3 that an unprivileged user can run; install Debian's python3")


# Makes only HOME writable, in a new mount namespace in which the other candidate directories are read-only.
ONLY_HOME = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", """
for place in /tmp /var/tmp /dev/shm; do mount --bind "$place" "$place"; mount -o remount,bind,ro "$place"; done
mount -t tmpfs -o mode=700 tmpfs "$HOME"
exec "$@"
""", "sh")


class Function:
    """An imported function with read-only artifacts without execute bits, whose runtime runs as an unprivileged user.

    `output` replaces `lines` as its output. `inside` is a command that wraps it.
    """

    def __init__(self, agent, environment=None, output=None, inside=()):
        self.directory = pathlib.Path(tempfile.mkdtemp())
        self.directory.chmod(0o755)
        archive = self.directory / "release.zip"
        with zipfile.ZipFile(archive, "w") as release:
            release.writestr("bootstrap", agent)
            release.write(SHIM, SHIM.name)
        self.artifacts = self.directory / "artifacts"
        with zipfile.ZipFile(archive) as release:
            release.extractall(self.artifacts)
        for file in self.artifacts.iterdir():
            file.chmod(0o444)
        self.artifacts.chmod(0o555)
        (self.directory / "work").mkdir()
        self.temporary = self.directory / "tmp"
        self.temporary.mkdir()
        self.temporary.chmod(0o777)
        shutil.copy(HERE / "work_api.py", self.directory)  # readable by all users there
        self.api = WorkAPI()
        (self.directory / "home").mkdir()
        self.process = subprocess.Popen(
            [*inside, python(), "-u", self.directory / "work_api.py",
             "--handler=greengrass_defender_agent.function_handler"],
            cwd=self.directory / "work", stdout=output or subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **AS_NOBODY,
            env={"PATH": os.environ["PATH"], "TMPDIR": str(self.temporary), "HOME": str(self.directory / "home"), "ARTIFACTS": str(self.artifacts),
                 "PYTHONDONTWRITEBYTECODE": "1", "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9", **self.api.environment(),
                 **(environment or {})})
        self.lines, self.more = [], threading.Condition()
        if not output:
            threading.Thread(target=self.follow, daemon=True).start()

    def follow(self):
        for line in self.process.stdout:
            with self.more:
                self.lines.append(line.rstrip("\n"))
                self.more.notify_all()

    def line(self, start, after=0, timeout=20):
        """Waits for a log line that begins with `start`, ignoring the first `after` lines, and returns it."""
        def found():
            return next((line for line in self.lines[after:] if line.startswith(start)), None)
        with self.more:
            if not self.more.wait_for(found, timeout):
                raise AssertionError(f"no line '{start}…' in {self.lines}")
            return found()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.api.close()
        self.artifacts.chmod(0o755)
        shutil.rmtree(self.directory)


def gone(pid):
    """Waits until no process has this ID."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            if pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except OSError:
            return
        time.sleep(0.02)
    raise AssertionError(f"process {pid} is still running")


class LambdaImport(unittest.TestCase):
    def setUp(self):
        self.nucleus = Nucleus("classic", {"SampleIntervalSeconds": 1, "MinimumIntervalSeconds": 1,
                                           "lambdaExecutionParameters": {}, "accessControl": ACCESS},
                               ["--confirm", "accepted"])
        self.addCleanup(self.nucleus.close)

    def function(self, agent=None, variables=(), **more):
        """Starts an imported function with `bootstrap` or another program as its agent."""
        function = Function(agent or pathlib.Path(BOOTSTRAP).read_bytes(), {
            "SVCUID": TOKEN, "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT": str(self.nucleus.socket),
            "AWS_IOT_THING_NAME": "t1", "AWS_REGION": "eu-central-1", "PROCFS_PATH": "/proc", **dict(variables)}, **more)
        self.addCleanup(function.close)
        return function

    def agent(self, function):
        """Waits until the agent reports and returns its process."""
        self.nucleus.next("publish")
        children = pathlib.Path(f"/proc/{function.process.pid}/task").glob("*/children")
        pids = [int(pid) for file in children for pid in file.read_text().split()]
        self.assertEqual(len(pids), 1)
        return pids[0]

    def test_reports_forwards_the_log_and_answers(self):
        function = self.function()
        pid = self.agent(function)
        line = function.line("[INFO]")
        self.assertIn("Started as a Greengrass component", line)
        self.assertEqual(function.api.invoke({"any": "event"}), {"running": True, "starts": 1})
        self.assertGreaterEqual(function.api.pings, 1)
        self.assertEqual(list(function.temporary.iterdir()), [], "a copy stayed behind")
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        self.assertNotIn("\nUid:\t0", status)
        self.assertNotIn(b"AWS_LAMBDA_RUNTIME_API", pathlib.Path(f"/proc/{pid}/environ").read_bytes())

    def test_stops_the_agent_on_sigterm(self):
        function = self.function()
        pid = self.agent(function)
        function.process.send_signal(signal.SIGTERM)
        gone(pid)
        self.assertEqual(function.process.wait(30), 0)

    def test_kills_an_agent_that_does_not_stop(self):
        function = self.function()
        pid = self.agent(function)
        os.kill(pid, signal.SIGSTOP)
        function.process.send_signal(signal.SIGTERM)
        gone(pid)
        self.assertEqual(function.process.wait(30), 0)

    def test_ends_the_agent_when_it_is_killed(self):
        function = self.function()
        pid = self.agent(function)
        function.process.kill()
        gone(pid)

    def test_starts_a_crashed_agent_again_and_waits_longer_each_time(self):
        function = self.function()
        ends = []
        for _ in range(3):
            seen = len(function.lines)
            os.kill(self.agent(function), signal.SIGKILL)
            function.line("The agent exited with status -9", after=seen)
            self.nucleus.next("closed")
            ends.append(time.monotonic())
        self.assertGreater(ends[2] - ends[1], ends[1] - ends[0])
        self.assertEqual(function.api.invoke({})["starts"], 3)

    def test_restarts_a_crashed_agent_although_its_metrics_program_hangs(self):
        directory = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, directory)
        directory.chmod(0o777)
        program = directory / "metrics"
        program.write_text(f"#!/bin/sh\ntouch {directory}/hangs\nexec sleep 120\n")
        program.chmod(0o755)
        function = self.function(variables={"DEFENDER_CUSTOM_METRICS_COMMAND": str(program)})
        end = time.monotonic() + 20
        while not (directory / "hangs").exists() and time.monotonic() < end:
            time.sleep(0.02)
        children = pathlib.Path(f"/proc/{function.process.pid}/task").glob("*/children")
        (pid,) = (int(pid) for file in children for pid in file.read_text().split())
        os.kill(pid, signal.SIGKILL)
        function.line("The agent exited with status -9")

    def test_continues_with_the_same_agent_if_nothing_can_be_printed(self):
        reader, writer = os.pipe()
        os.close(reader)
        self.addCleanup(os.close, writer)
        function = self.function(output=writer)
        for _ in range(5):  # one second each; another agent would have started after 2 s
            self.agent(function)
        self.assertEqual(function.api.invoke({}), {"running": True, "starts": 1})

    def test_prints_the_log_even_if_a_character_can_not_be_printed(self):
        socket = pathlib.Path(self.nucleus.socket).with_name("\N{EURO SIGN}")  # not there yet: the agent warns, and tries again
        function = self.function(variables={
            "PYTHONIOENCODING": "ascii", "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT": str(socket)})
        line = function.line("[WARN]")
        self.assertIn("can't be reached at", line)
        self.assertIn("\\u20ac", line)
        seen = len(function.lines)
        socket.symlink_to(self.nucleus.socket)
        self.nucleus.next("publish")
        function.line("[INFO]", after=seen)
        self.assertEqual(function.api.invoke({}), {"running": True, "starts": 1})

    def test_starts_the_agent_from_home_if_no_temporary_directory_is_writable(self):
        function = self.function(inside=ONLY_HOME)
        self.nucleus.next("publish")
        self.assertEqual(function.api.invoke({}), {"running": True, "starts": 1})

    def test_starts_one_agent_if_its_copy_can_not_be_removed(self):
        directory = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, directory)
        directory.chmod(0o755)
        (directory / "sitecustomize.py").write_text(
            "import os\ndef rmdir(*_, **__):\n    raise OSError(39, 'Directory not empty')\nos.rmdir = rmdir\n")
        function = self.function(variables={"PYTHONPATH": str(directory)})
        self.agent(function)
        self.assertEqual(function.api.invoke({}), {"running": True, "starts": 1})

    def test_reports_why_an_agent_can_not_be_started(self):
        function = self.function(b"\x7fELF no program")
        self.assertIn("Exec format error", function.line("Can't start the agent: "))
        self.assertEqual(function.api.invoke({}), {"running": False, "starts": 0})


if __name__ == "__main__":
    unittest.main()
