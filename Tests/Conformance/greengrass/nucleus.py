"""Starts the fake nucleus for a test, with or without a component, and reads its events."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
BOOTSTRAP = os.environ.get("BOOTSTRAP", str(HERE.parents[2] / ".build/debug/bootstrap"))
TOKEN = "0123456789ABCDEF"
ACCESS = {"aws.greengrass.ipc.mqttproxy": {"policy": {
    "operations": ["aws.greengrass#PublishToIoTCore", "aws.greengrass#SubscribeToIoTCore"],
    "resources": ["$aws/things/*/defender/metrics/*"]}}}


def is_static(path):
    """Returns whether the program is static like the release, that is, names no dynamic linker (PT_INTERP, elf(5))."""
    data = pathlib.Path(path).read_bytes()
    start, size, count = (int.from_bytes(data[at:at + n], "little") for at, n in ((32, 8), (54, 2), (56, 2)))
    return all(int.from_bytes(data[start + i * size:start + i * size + 4], "little") != 3 for i in range(count))


class Nucleus:
    def __init__(self, manner, configuration=None, arguments=(), component=None, environment=None):
        self.directory = pathlib.Path(tempfile.mkdtemp())
        self.directory.chmod(0o755)
        self.socket = self.directory / "ipc.socket"
        command = [sys.executable, HERE / "fake_nucleus.py", "--socket", self.socket, "--manner", manner,
                   "--token", TOKEN, "--configuration", json.dumps(configuration or {}),
                   "--directory", self.directory, *arguments]
        if component:
            command += ["--run", *component]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={"PATH": os.environ["PATH"], "AWS_IOT_THING_NAME": "t1", "AWS_REGION": "eu-central-1",
                 **(environment or {})})
        self.events, self.more, self.position = [], threading.Condition(), 0
        threading.Thread(target=self.follow, daemon=True).start()
        self.next("listening")

    def follow(self):
        for line in self.process.stdout:
            with self.more:
                self.events.append({**json.loads(line), "at": time.monotonic()})
                self.more.notify_all()

    def next(self, name, timeout=30):
        """Returns the next event of this name, and skips others before it."""
        deadline = time.monotonic() + timeout
        with self.more:
            while True:
                while self.position < len(self.events):
                    self.position += 1
                    if self.events[self.position - 1]["event"] == name:
                        return self.events[self.position - 1]
                if not self.more.wait(deadline - time.monotonic()):
                    raise AssertionError(f"no {name!r} event; the last were "
                                         f"{[str(event)[:300] for event in self.events[-15:]]}")

    def all(self, name):
        return [event for event in list(self.events) if event["event"] == name]

    def do(self, what, **command):
        self.send({"do": what, **command})
        return self.next("done")

    def send(self, *commands):
        self.process.stdin.write("".join(json.dumps(command) + "\n" for command in commands))
        self.process.stdin.flush()

    def log(self):
        return [event["line"] for event in self.all("log")]

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.directory)
