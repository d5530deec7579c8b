"""Starts the programs under test, and checks their resources while they run."""
import json
import os
import re
import signal
import subprocess
import threading
import time

import faults


class Program:
    """A `bootstrap` process, which is restarted after it is killed."""

    # The permitted growth compared with three seconds after the start.
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
        """Asks the program to stop. Returns whether it exited in time and with status 0."""
        self.is_stopping = True
        self.process.terminate()
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.book.breach(f"{self.name} is still running {seconds} s after SIGTERM")
            return self.kill()
        if status != 0:
            self.book.breach(f"{self.name} exited with status {status} after SIGTERM")

    def look(self):
        """Checks the memory and the descriptors of the process."""
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
            self.book.breach(f"{self.name}: anonymous memory grew from {self.first[0]} to {now[0]} KiB")
        if descriptors > self.MORE_DESCRIPTORS:
            self.book.breach(f"{self.name}: the number of descriptors grew from {self.first[1]} to {now[1]}")

    def ended(self, status):
        # By design, a function exits if the Runtime API is unreachable for 1.5 s. No other fault may end a program.
        if not (self.name == "function" and status == 1 and self.book.gave_up()):
            self.book.breach(f"{self.name} exited unexpectedly with status {status}")
        self.start()

    def figures(self):
        """Returns anonymous memory in KiB and the number of open descriptors; None for a process that is ending."""
        try:
            with open(f"/proc/{self.process.pid}/status") as status:
                memory = re.search(r"RssAnon:\s+(\d+)", status.read())
            descriptors = len(os.listdir(f"/proc/{self.process.pid}/fd"))
        except OSError:
            return None
        return (int(memory[1]), descriptors) if memory else None


def zombies():
    """Returns zombies other than children of this process, as (process, parent, name)."""
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
    """Returns the saved state; None if there is none."""
    try:
        with open(os.path.join(directory, "state.json")) as file:
            return json.load(file)
    except FileNotFoundError:
        return None
