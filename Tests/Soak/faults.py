"""Chooses faults and their times at random from a seed."""
import ctypes
import errno
import os
import platform
import random
import struct
import subprocess
import threading


class Plan:
    """The faults of one server. Each has its own random generator, so that its faults don't depend on another's traffic."""

    def __init__(self, seed, name, rates):
        self.random, self.rates, self.counts = random.Random(f"{seed} {name}"), rates, {}
        self.name, self.is_off, self.lock = name, False, threading.Lock()

    def draw(self, fault):
        with self.lock:
            happens = self.random.random() < self.rates.get(fault, 0) and not self.is_off
            self.counts[fault] = self.counts.get(fault, 0) + happens
            return happens

    def choose(self, values):
        with self.lock:
            return self.random.choice(values)


class Clock:
    """The offset of the programs' wall clock from the real one, in seconds."""

    def __init__(self, file):
        self.file, self.offset = file, 0
        self.set(0)

    def set(self, offset):
        self.offset = offset
        # Write in place, because the programs have mapped this file.
        with open(self.file, "r+b" if os.path.exists(self.file) else "wb") as stream:
            stream.write(struct.pack("=q", offset))


class Disk:
    """A small file system that can be filled."""

    def __init__(self, directory, size="64k"):
        self.directory, self.filler = directory, os.path.join(directory, "filler")
        os.mkdir(directory)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", directory], check=True)

    def fill(self):
        with open(self.filler, "wb", buffering=0) as stream:
            try:
                while True:
                    stream.write(bytes(4096))
            except OSError as error:
                assert error.errno == errno.ENOSPC, error

    def free(self):
        if os.path.exists(self.filler):
            os.remove(self.filler)


class Tree:
    """A procfs whose counters advance in steps and in a known relation, and whose files can disappear."""

    BYTES, PACKETS = 1_000_003, 7

    def __init__(self, directory):
        self.directory, self.step, self.hidden = directory, 1, None
        self.lock = threading.RLock()
        os.makedirs(f"{directory}/net")
        os.makedirs(f"{directory}/sys/kernel/random")
        self.put("sys/kernel/random/boot_id", "6d2f1c1e-0000-4000-8000-000000000001\n")
        for name in ["tcp", "tcp6", "udp", "udp6"]:
            self.put(f"net/{name}", "  sl  local_address rem_address   st tx_queue rx_queue\n")
        self.advance()

    def put(self, name, text):
        # Write in place, because the inode of net/dev identifies the namespace.
        path = f"{self.directory}/{name}"
        with open(path, "r+b" if os.path.exists(path) else "wb") as stream:
            stream.write(text.encode())

    def advance(self):
        """Advances the counters. Called only while the function waits for an answer, so that it isn't reading them."""
        with self.lock:
            if self.hidden:
                return
            self.step += 1
            count, packets = self.step * self.BYTES, self.step * self.PACKETS
            self.put("net/dev", "Inter-|   Receive  |  Transmit\n face |bytes    packets |bytes packets\n"
                     f"  eth0: {count:020} {packets:020} 0 0 0 0 0 0 {2 * count:020} {packets:020} 0 0 0 0 0 0\n")

    def hide(self, all_of_it):
        """Removes the directory net, or the contents of net/dev."""
        with self.lock:
            self.hidden = f"{self.directory}/net" + ("" if all_of_it else "/dev")
            what = ["-t", "tmpfs", "none"] if all_of_it else ["--bind", "/dev/null"]
            subprocess.run(["mount", *what, self.hidden], check=True)

    def show(self):
        with self.lock:
            if self.hidden:
                subprocess.run(["umount", "-l", self.hidden], check=True)
                self.hidden = None


def without_netlink():
    """Denies netlink sockets to this process and the programs that it executes (seccomp(2))."""
    machine = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}[platform.machine()]
    refuse = 0x00050000 | errno.EACCES
    # Offsets in struct seccomp_data: nr 0, arch 4, args[0] 16. AF_NETLINK is 16.
    program = [(0x20, 0, 0, 4), (0x15, 0, 5, machine[0]), (0x20, 0, 0, 0), (0x15, 0, 3, machine[1]),
               (0x20, 0, 0, 16), (0x15, 0, 1, 16), (0x06, 0, 0, refuse), (0x06, 0, 0, 0x7FFF0000)]
    code = b"".join(struct.pack("=HBBI", *line) for line in program)
    buffer = ctypes.create_string_buffer(code)
    header = struct.pack("@HxxxxxxP", len(program), ctypes.addressof(buffer))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(38, 1, 0, 0, 0) or prctl(22, 2, ctypes.c_char_p(header), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")
