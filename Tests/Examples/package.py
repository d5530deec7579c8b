"""A package in a folder, the commands of SwiftPM in it, and the programs that they build. All packages share one directory of builds."""
import contextlib
import os
import pathlib
import re
import struct
import subprocess
import urllib.request
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILDS = ROOT / ".build/examples"
DEFENDER = os.environ.get("DEFENDER", str(ROOT / ".build/debug/defender"))


class Package:
    def __init__(self, path):
        self.path = pathlib.Path(path)

    def run(self, command, **variables):
        """Runs a command of a shell in the package. Returns its status, its standard output and its standard error."""
        done = subprocess.run(["bash", "-c", command], cwd=self.path, env=os.environ | variables, capture_output=True, text=True, timeout=3600)
        return done.returncode, done.stdout, done.stderr

    def swift(self, command, *arguments):
        done = subprocess.run(["swift", command, "--scratch-path", BUILDS / "debug", *arguments], cwd=self.path, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=3600)
        return done.returncode, done.stdout + done.stderr

    def archive(self, output, *arguments, scratch=BUILDS / "release"):
        """Runs `swift package lambda-archive`. Returns its status and all that it printed."""
        return self.swift("package", "lambda-archive", "--scratch-path", str(scratch), "--output", str(output), *arguments)


class Archive:
    """A zip that lambda-archive has written."""

    def __init__(self, path):
        self.size = path.stat().st_size
        with zipfile.ZipFile(path) as opened:
            self.entries = opened.infolist()
            self.program = opened.read("bootstrap")

    def unpack(self, directory):
        program = pathlib.Path(directory, "bootstrap")
        program.write_bytes(self.program)
        program.chmod(0o755)
        return program

    @property
    def machine(self):
        return struct.unpack_from("<H", self.program, 18)[0]

    @property
    def is_static(self):
        """Whether the program needs neither a loader nor shared libraries: no segment has the type PT_DYNAMIC or PT_INTERP (elf(5))."""
        start, = struct.unpack_from("<Q", self.program, 32)
        size, count = struct.unpack_from("<HH", self.program, 54)
        return {struct.unpack_from("<I", self.program, start + index * size)[0] for index in range(count)}.isdisjoint({2, 3})


@contextlib.contextmanager
def emulator(program, *options):
    """Runs `defender emulator` with a program. Yields a function that invokes it."""
    process = subprocess.Popen([DEFENDER, "emulator", "--port", "0", "--bootstrap", program, *options], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if found := re.search(r"http://\S+/invocations", line):
                break
        else:
            raise AssertionError(f"the emulator didn't start: {''.join(lines)}")

        def invoke(event):
            with urllib.request.urlopen(urllib.request.Request(found[0], data=event), timeout=60) as response:
                return response.read().decode()
        yield invoke
    finally:
        process.terminate()
        process.communicate(timeout=60)
