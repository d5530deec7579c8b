"""A broker and root directories for the tests of what a device installs. Requires root and a separate mount namespace."""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import world

# Far more than any step needs on a busy machine.
PATIENCE = 60
# This name's slot in an interval of 300 s is 0.1 s, so that the first report is due at once.
THING = "pump-675"


class Broker:
    """Debian's mosquitto with mutual TLS on loopback."""

    def __init__(self, directory):
        directory.mkdir()
        self.authority = world.Authority(directory / "authority", "localhost")
        where = self.authority.directory
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        (directory / "mosquitto.conf").write_text(
            f"user root\nallow_anonymous true\nlog_dest stdout\nlistener {self.port} 127.0.0.1\n"
            f"cafile {where}/ca.pem\ncertfile {where}/server.pem\nkeyfile {where}/server.key\nrequire_certificate true\n")
        self.process = subprocess.Popen(
            ["/usr/sbin/mosquitto", "-c", directory / "mosquitto.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def install_identity(self, directory):
        """Copies the authority and the device's certificate and key to a directory."""
        directory.mkdir(parents=True, exist_ok=True)
        for name, target in (("ca.pem", "ca.pem"), ("server.pem", "certificate.pem"), ("server.key", "private.key")):
            shutil.copy(self.authority.directory / name, directory / target)

    def close(self):
        self.process.terminate()
        self.process.wait()


@contextlib.contextmanager
def temporary_root(base=None):
    """Yields a root directory: empty, or a copy of another one. /proc and /dev/null are mounted in it."""
    root = pathlib.Path(tempfile.mkdtemp(prefix="device-"))
    root.chmod(0o755)
    try:
        if base:
            subprocess.run(["cp", "-a", f"{base}/.", root], check=True)
            (root / "dev/null").unlink(missing_ok=True)
            (root / "dev/null").touch()
            subprocess.run(["mount", "--bind", "/dev/null", root / "dev/null"], check=True)
        (root / "proc").mkdir(exist_ok=True)
        subprocess.run(["mount", "--rbind", "/proc", root / "proc"], check=True)
        yield root
    finally:
        for place in ("proc", "dev/null"):
            subprocess.run(["umount", "-R", "-l", root / place], stderr=subprocess.DEVNULL)
        shutil.rmtree(root)


def start(root, command, variables, uid=65534):
    """Starts a program in a root, without a terminal, as another user than root by default."""

    def enter():
        os.chroot(root)
        os.chdir("/")
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)

    return subprocess.Popen(
        command, env=variables, preexec_fn=enter, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True)


def until_published(process):
    """Stops an agent as soon as a report of it is acknowledged, or after ``PATIENCE``. Returns its status and its log."""
    timer = threading.Timer(PATIENCE, process.kill)
    timer.start()
    log = []
    try:
        for line in process.stdout:
            log.append(line)
            if "Published report" in line:
                process.terminate()
        return process.wait(), "".join(log)
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        process.stdout.close()
