"""The programs under test: how they are started, and what is looked at while they run."""
import json
import os
import re
import signal
import subprocess
import threading
import time

import faults


class Program:
    """One `bootstrap`, which is started again whenever it was killed."""

    # What a process may take beyond what it had three seconds after its start.
    MORE_MEMORY_KIB, MORE_DESCRIPTORS = 2048, 8

    def __init__(self, name, command, environment, book):
        self.name, self.command, self.environment, self.book = name, command, environment, book
        self.process, self.starts, self.is_stopping, self.is_frozen = None, 0, False, False
        self.first, self.started = None, 0

    def start(self, has_netlink=True):
        self.book.began(self)
        self.started, self.first, self.is_stopping = time.monotonic(), None, False
        self.process = subprocess.Popen(
            self.command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, preexec_fn=None if has_netlink else faults.without_netlink)
        self.starts += 1
        threading.Thread(target=self.follow, args=(self.process.stdout,), daemon=True).start()

    def follow(self, stream):
        with stream:
            for line in stream:
                self.book.log(self.name, line.decode("utf-8", "replace"))

    def kill(self):
        self.is_stopping = True
        self.process.kill()
        self.process.wait()

    def stop(self, seconds=60):
        """Asks the program to end, and tells whether it did by itself and with success."""
        self.is_stopping = True
        self.process.terminate()
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.book.breach(f"{self.name} doesn't end within {seconds} s of SIGTERM")
            return self.kill()
        if status != 0:
            self.book.breach(f"{self.name} ended with status {status} when it was asked to stop")

    def look(self):
        """Checks what the kernel tells about the process."""
        if self.is_stopping:
            return
        status = self.process.poll()
        if status is not None:
            return self.ended(status)
        now = self.figures()
        if now is None or time.monotonic() - self.started < 3:
            return
        if self.first is None:
            self.first = now
        memory, descriptors = now[0] - self.first[0], now[1] - self.first[1]
        if memory > self.MORE_MEMORY_KIB:
            self.book.breach(f"{self.name}: anonymous memory went from {self.first[0]} to {now[0]} KiB")
        if descriptors > self.MORE_DESCRIPTORS:
            self.book.breach(f"{self.name}: descriptors went from {self.first[1]} to {now[1]}")

    def ended(self, status):
        # A Runtime API that isn't there for 1.5 s is given up by design; nothing else ends a program.
        if not (self.name == "function" and status == 1 and self.book.gave_up()):
            self.book.breach(f"{self.name} ended by itself with status {status}")
        self.start()

    def figures(self):
        """Anonymous memory in KiB, and open descriptors; None of a process that is just ending."""
        try:
            with open(f"/proc/{self.process.pid}/status") as status:
                memory = re.search(r"RssAnon:\s+(\d+)", status.read())
            descriptors = len(os.listdir(f"/proc/{self.process.pid}/fd"))
        except OSError:
            return None
        return (int(memory[1]), descriptors) if memory else None


def zombies():
    """Processes that have ended and that nobody waits for, but for this one's own: (process, parent, name)."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat") as stat:
                name, rest = re.match(r"\d+ \((.*)\) (.*)", stat.read(), re.S).groups()
        except OSError:
            continue
        state, parent = rest.split()[:2]
        if state == "Z":
            found.append((int(entry), int(parent), name))
    return found


def saved_state(directory):
    """The saved state; None where there is none."""
    try:
        with open(os.path.join(directory, "state.json")) as file:
            return json.load(file)
    except FileNotFoundError:
        return None
