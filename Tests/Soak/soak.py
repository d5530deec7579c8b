"""The soak test (see Tests/Soak/run)."""
import argparse
import fcntl
import json
import os
import random
import secrets
import signal
import socket
import struct
import sys
import time

import books
import broker
import faults
import programs
import rotation
import servers

RATES = {
    "runtime": {"refuse": 0.02, "error": 0.02, "garbage": 0.01, "hang up": 0.02, "lose": 0.02, "cut": 0.02, "late": 0.01},
    "iot": {"refuse": 0.04, "error": 0.06, "garbage": 0.02, "hang up": 0.04, "lose": 0.05, "cut": 0.04, "late": 0.02},
    "credentials": {"refuse": 0.05, "error": 0.05, "garbage": 0.03, "hang up": 0.03, "lose": 0.03, "cut": 0.03, "late": 0.02},
}
RATES["mqtt"] = {"refuse": 0.04, "error": 0.02, "garbage": 0.01, "hang up": 0.02, "lose": 0.03, "cut": 0.03, "late": 0.02,
                 "refuse subscription": 0.02, "only answer": 0.05, "no answer": 0.02, "reject": 0.05,
                 "refuse version": 0.1, "refuse report": 0.01, "disconnect": 0.02}
RATES["spool"] = {"refuse": 0.02, "error": 0.02, "garbage": 0.01, "hang up": 0.02, "lose": 0.03, "cut": 0.03, "late": 0.01,
                  "refuse version": 0.1, "refuse report": 0.02, "disconnect": 0.02}
METRICS = """#!/bin/sh
case $(cat "$(dirname "$0")/manner") in
fail) echo broken >&2; exit 3 ;;
garbage) head -c 300 /dev/urandom ;;
hang) sleep 60 & sleep 60 ;;
*) echo '{"queue_depth":[{"number":3}]}' ;;
esac
"""


class Soak:
    def __init__(self, arguments):
        self.arguments, self.random = arguments, random.Random(arguments.seed)
        self.directory = os.path.join(arguments.work, "soak")
        os.mkdir(self.directory)
        self.secrets = {"secret access key": secrets.token_urlsafe(30), "session token": secrets.token_urlsafe(60),
                        "container's token": secrets.token_urlsafe(30)}
        self.certificates = rotation.Certificates(f"{self.directory}/certificates")
        self.book = books.Book({**self.secrets, **self.certificates.secrets()})
        self.clock = faults.Clock(f"{self.directory}/clock")
        self.tree = faults.Tree(f"{self.directory}/proc")
        self.disks = {name: faults.Disk(f"{self.directory}/{name}") for name in ["function", "agent", "mqtt"]}
        # Each waiting report takes a page of 4 KiB there.
        self.disks["spool"] = faults.Disk(f"{self.directory}/spool", "1m")
        self.spool_tree = faults.Tree(f"{self.directory}/spool-proc")
        self.reports = {"function": books.Reports("function", self.book, faults.Tree.BYTES),
                        "agent": books.Reports("agent", self.book), "mqtt": books.Reports("mqtt", self.book),
                        "spool": books.SpooledReports("spool", self.book)}
        self.plans = {name: faults.Plan(arguments.seed, name, RATES[name.split()[0]])
                      for name in ["runtime", "credentials", "iot function", "iot agent", "mqtt", "spool"]}
        self.invocations = books.Invocations(self.plans["runtime"], self.clock, self.book)
        self.runtime = servers.FaultyServer(self.plans["runtime"], self.invocations.answer)
        self.iot = {name: servers.FaultyServer(self.plans[f"iot {name}"], self.publish) for name in ["function", "agent"]}
        self.iot["mqtt"] = broker.FaultyBroker(
            self.plans["mqtt"], lambda report: self.take("mqtt", report), self.certificates.server())
        self.iot["spool"] = broker.FaultyBroker(self.plans["spool"], self.take_spooled)
        self.credentials = servers.FaultyServer(self.plans["credentials"], self.credential)
        self.happened = {}
        self.make_metrics()
        command = os.path.abspath(arguments.bootstrap)
        self.programs = [
            programs.Program("function", [command], self.environment("function", {
                "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.runtime.port}", "AWS_LAMBDA_LOG_LEVEL": "TRACE",
                "PROCFS_PATH": self.tree.directory}), self.book),
            programs.Program("agent", [command, "agent"], self.environment("agent", {
                "SAMPLE_INTERVAL_SECONDS": "0.2", "DEFENDER_JITTER": "0", "AWS_LAMBDA_LOG_FORMAT": "JSON",
                "DEFENDER_CUSTOM_METRICS": "cpu_usage,open_files",
                "DEFENDER_CUSTOM_METRICS_COMMAND": f"{self.directory}/metrics"}), self.book),
            programs.Program("mqtt", [command, "agent"], self.environment("mqtt", {
                "SAMPLE_INTERVAL_SECONDS": "0.2", "DEFENDER_JITTER": "0", "DEFENDER_TRANSPORT": "mqtt",
                "DEFENDER_MQTT_ENDPOINT": f"localhost:{self.iot['mqtt'].port}", "AWS_CA_BUNDLE": self.certificates.authority,
                "DEFENDER_CERTIFICATE_FILE": self.certificates.certificate,
                "DEFENDER_PRIVATE_KEY_FILE": self.certificates.key,
                "DEFENDER_TOPIC": "$aws/things/{thing}/defender/metrics/{format}",
                "DEFENDER_CONFIRMATION_SECONDS": "1"}), self.book),
            programs.Program("spool", [command, "agent"], self.environment("spool", {
                "SAMPLE_INTERVAL_SECONDS": "1", "DEFENDER_JITTER": "0", "DEFENDER_TRANSPORT": "mqtt",
                "DEFENDER_MQTT_ENDPOINT": f"mqtt://127.0.0.1:{self.iot['spool'].port}",
                "DEFENDER_SPOOL_BYTES": "65536", "PROCFS_PATH": self.spool_tree.directory}), self.book)]
        self.book.began = self.began

    def environment(self, name, more):
        return {"PATH": os.environ["PATH"], "AWS_IOT_THING_NAME": name, "DEFENDER_TOPIC": "soak/{thing}",
                "DEFENDER_TRANSPORT": "https", "AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL_IOT_DATA_PLANE": f"http://127.0.0.1:{self.iot[name].port}",
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{self.credentials.port}/role",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN": self.secrets["container's token"], "AWS_EC2_METADATA_DISABLED": "true",
                "DEFENDER_MINIMUM_INTERVAL_SECONDS": "0.05", "DEFENDER_STATE_DIRECTORY": f"{self.directory}/{name}/state",
                "LD_PRELOAD": f"{self.arguments.work}/clock.so", "SOAK_CLOCK": f"{self.directory}/clock", **more}

    def make_metrics(self):
        self.set_manner("well")
        with open(f"{self.directory}/metrics", "w") as script:
            script.write(METRICS)
        os.chmod(f"{self.directory}/metrics", 0o700)

    def set_manner(self, manner):
        with open(f"{self.directory}/manner", "w") as file:
            file.write(manner)

    def credential(self, method, path, headers, body):
        if headers.get("authorization") != self.secrets["container's token"]:
            return 403, {}, b"{}", lambda delivery: None
        # Credentials that are valid for less than a minute are requested again for each report.
        expiration = time.gmtime(time.time() + self.clock.offset + 45)
        answer = {"AccessKeyId": "ASIASOAK", "SecretAccessKey": self.secrets["secret access key"],
                  "Token": self.secrets["session token"], "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", expiration)}
        return 200, {}, json.dumps(answer).encode(), lambda delivery: None

    def publish(self, method, path, headers, body):
        afterwards = self.take(path.split("?")[0].rpartition("%2F")[2], body)
        return 200, {"Content-Type": "application/json"}, b'{"message":"OK","traceId":"soak"}', afterwards

    def take(self, name, body):
        """Checks a report. Returns the function to call with whether the sender has received the acknowledgement."""
        reports = self.reports[name]
        with self.book.lock:
            span = self.span(name)
            reports.may_lack |= name == "function" and self.tree.hidden is not None
            answered = reports.take(body, span)
        if name == "function":
            self.tree.advance()

        def afterwards(delivery):
            with self.book.lock:
                answered(delivery)
        return afterwards

    def take_spooled(self, body):
        with self.book.lock:
            answered = self.reports["spool"].take(body)
        self.spool_tree.advance()

        def afterwards(delivery):
            with self.book.lock:
                answered(delivery)
        return afterwards

    def spooled(self):
        """Returns the names of the reports that wait in the spool."""
        try:
            return os.listdir(f"{self.directory}/spool/state/spool")
        except FileNotFoundError:
            return []

    def settle_spool(self):
        """Waits until the agent's spool is empty and a report was published at once, and compares the deltas with the counter."""
        self.wait_for_spool()
        program = next(program for program in self.programs if program.name == "spool")
        # A program that has stopped has saved its baseline.
        program.stop()
        if not self.spooled():
            self.reports["spool"].settle(programs.saved_state(f"{self.directory}/spool/state"))
        program.start()
        # Before it handles signals, SIGTERM would end it with another status.
        self.wait_for_spool()

    def wait_for_spool(self):
        """Waits until another report was published and the spool is empty."""
        end = time.monotonic() + 120
        before = self.reports["spool"].published
        while self.spooled() or self.reports["spool"].published <= before:
            if time.monotonic() > end and not self.book.breaches:
                self.book.breach(f"the spool isn't empty two minutes after the last fault: {self.spooled()}")
            if self.book.breaches:
                return
            self.pause(0.2)

    def span(self, name):
        """Returns the range from the counter at the previous report to the counter now."""
        if name == "function":
            # Nothing changes it during a snapshot.
            return (self.tree.step * faults.Tree.BYTES,) * 2
        with open("/proc/net/dev") as file:
            now = int(file.read().split("lo:")[1].split()[0])
        return (self.reports[name].earlier, now)

    def began(self, program):
        """Prepares for the start of a program, which continues with the saved state."""
        reports = self.reports[program.name]
        self.iot[program.name].wait_until_idle()
        if program.name == "spool":
            return
        with self.book.lock:
            self.tree.show()
            try:
                state = programs.saved_state(f"{self.directory}/{program.name}/state")
            except ValueError as error:
                self.book.breach(f"{program.name}: can't read state.json: {error}")
                state = None
            reports.restarted(state, (0, 0))
            if program.name != "function" and reports.bases == [None]:
                # The agent doesn't publish its first sample, which is only a baseline.
                reports.bases = [(0, 1 << 62)]
            for name in os.listdir(f"{self.directory}/{program.name}/state") if state else []:
                if "unusable" in name:
                    self.book.breach(f"{program.name}: a saved state was damaged: {name}")

    def disturb(self):
        """Injects one fault outside of the servers."""
        program = self.random.choice(self.programs)
        kind = self.random.choice(
            ["kill", "kill", "freeze", "disk", "procfs", "clock", "clock", "metrics", "stop", "rotate", "outage", "outage"])
        self.happened[kind] = self.happened.get(kind, 0) + 1
        if program.name == "spool" and kind in ("kill", "disk"):
            self.reports["spool"].may_repeat = True
        if kind == "outage":
            self.iot["spool"].is_away = True
            self.pause(self.random.choice([2, 5, 8]))
            self.iot["spool"].is_away = False
        elif kind == "kill":
            program.kill()
            program.start(has_netlink=self.random.random() < 0.5)
        elif kind == "stop":
            program.stop()
            program.start(has_netlink=self.random.random() < 0.5)
        elif kind == "freeze":
            program.is_frozen = True
            program.process.send_signal(signal.SIGSTOP)
            self.pause(self.random.choice([0.1, 1, 3]))
            program.process.send_signal(signal.SIGCONT)
            program.is_frozen = False
        elif kind == "disk":
            self.disks[program.name].fill()
            self.pause(1)
            if self.random.random() < 0.5:
                program.kill()
                program.start()
                self.pause(1)
            self.disks[program.name].free()
        elif kind == "procfs":
            with self.book.lock:
                self.tree.hide(all_of_it=self.random.random() < 0.5)
                self.reports["function"].may_lack = True
            self.pause(1)
            with self.book.lock:
                self.tree.show()
                self.reports["function"].may_lack = True
        elif kind == "rotate":
            self.certificates.renew(lambda: self.pause(self.random.choice([0.05, 0.5, 1])), self.random.choice)
        elif kind == "clock":
            self.clock.set(self.random.choice([0, -3600, 3600, 30, -30, 86_400]))
        else:
            self.set_manner(self.random.choice(["fail", "garbage", "hang"]))
            self.pause(0.5)
            self.set_manner("well")

    def pause(self, seconds):
        """Waits, and checks the invariants meanwhile."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.book.breaches:
            self.look()
            time.sleep(0.05)

    def look(self):
        for program in self.programs:
            program.look()
        self.invocations.look()
        own = {program.process.pid for program in self.programs}
        awake = {program.process.pid for program in self.programs if not program.is_frozen}
        for process, parent, name in programs.zombies():
            if parent in awake and not self.is_reaped_soon(process):
                self.book.breach(f"zombie process: {name}, child of {parent}")
            if parent == os.getpid() and process not in own:
                os.waitpid(process, os.WNOHANG)

    def is_reaped_soon(self, process):
        """Checks for zombies. A parent has five seconds to reap a child that has ended."""
        for _ in range(50):
            time.sleep(0.1)
            if process not in [each for each, _, _ in programs.zombies()]:
                return True
        return False

    def calm(self):
        """Stops all faults. All programs must report within two minutes; the longest delay between retries is one minute."""
        for plan in self.plans.values():
            plan.is_off = True
        self.clock.set(0)
        before = {name: reports.published for name, reports in self.reports.items()}
        answered = self.invocations.answered
        end = time.monotonic() + 120
        while time.monotonic() < end and not self.book.breaches:
            self.pause(0.5)
            if self.invocations.answered > answered + 2 and all(
                    reports.published > before[name] + 2 for name, reports in self.reports.items()):
                break
        else:
            if not self.book.breaches:
                self.book.breach("not all programs report again within two minutes after the last fault")
        if not self.book.breaches:
            self.settle_spool()
        for plan in self.plans.values():
            plan.is_off = False

    def check_certificate(self):
        """Checks that the agent uses the renewed certificate. It looks at the files once a minute while a connection is open."""
        name, shown = self.certificates.name(self.certificates.current), self.iot["mqtt"].shown
        end = time.monotonic() + 150
        while time.monotonic() < end and not self.book.breaches and shown[-1:] != [name]:
            self.pause(0.5)
        if shown[-1:] != [name] and not self.book.breaches:
            self.book.breach(f"the last connection used the certificate of {shown[-1:]}, not that of {name}")

    def run(self):
        end = time.monotonic() + self.arguments.minutes * 60
        for program in self.programs:
            program.start()
        round_end = time.monotonic()
        while time.monotonic() < end and not self.book.breaches:
            self.pause(self.random.choice([0.5, 1, 2]))
            self.disturb()
            if time.monotonic() > round_end + 20:
                self.calm()
                round_end = time.monotonic()
        if not self.book.breaches:
            self.calm()
            self.check_certificate()
        for program in self.programs:
            if not self.book.breaches:
                program.stop()
        self.print_summary()
        return 1 if self.book.breaches else 0

    def print_summary(self):
        counts = {f"{name}: {fault}": count for name, plan in self.plans.items()
                  for fault, count in plan.counts.items() if count}
        print("faults:", ", ".join(f"{name} {count}" for name, count in {**counts, **self.happened}.items()))
        for program in self.programs:
            print(f"{program.name}: {program.starts} starts, {self.reports[program.name].published} reports acknowledged")
        shown = self.iot["mqtt"].shown
        print(f"mqtt: {len(shown)} connections with {len(set(shown))} certificates")
        print(f"{self.invocations.answered} invocations answered, {self.book.lines} log lines read")
        missing = {"kill", "freeze", "disk", "procfs", "clock", "metrics", "stop", "rotate", "outage"} - set(self.happened)
        if missing and self.arguments.minutes >= 1:
            print(f"faults that didn't occur: {', '.join(sorted(missing))}")
        if self.book.breaches:
            print(*self.book.last_lines, sep="\n")
        print(f"{len(self.book.breaches)} breaches; seed {self.arguments.seed}")


def raise_loopback():
    """ip link set lo up (netdevice(7): SIOCSIFFLAGS with IFF_UP)."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh22x", b"lo", 1))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", required=True)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}, {arguments.minutes} min", flush=True)
    raise_loopback()
    sys.exit(Soak(arguments).run())


main()
