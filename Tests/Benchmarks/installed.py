"""The benchmark of what a device installs: size, start and idle memory of the static programs, beside the dynamic one."""
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import tools
from sections import Group

sys.path.append(os.path.join(tools.ROOT, "Tests", "Release"))
import device  # noqa: E402  the broker of the release's tests

C_PROGRAM, TOOL, AGENT, DYNAMIC = "C, static", "this defender", "this bootstrap", "this defender, dynamic"
PATIENCE = 300  # seconds; a busy machine needs them


def programs():
    tools.swift_build("defender")
    return {
        TOOL: tools.released_tool(), AGENT: tools.released_bootstrap(), DYNAMIC: os.path.join(tools.RELEASE, "defender"),
    }


def installed(rounds):
    """Measures size, the time of --version, and anonymous memory between two reports over mutual TLS."""
    found = programs()
    size = Group("Program without its symbols, and without shared libraries", "MB", is_detail=True)
    for name in (TOOL, AGENT):
        size.row(name, os.path.getsize(found[name]) / 1e6, ours=True)
    return [size, version(found, rounds), idle(found)]


def version(found, rounds):
    named = {C_PROGRAM: tools.compile_c("Startup/version.c", "-static")} | found
    keys = {f"p{number}": name for number, name in enumerate(named)}
    harness = tools.compile_c("Startup/exit.c")
    output = tools.run([harness, rounds, *(f"{key}={named[name]}" for key, name in keys.items())], env={"PATH": os.environ["PATH"]})
    group = Group("`--version`: from exec to exit", "ms", is_detail=True)
    for text in output.splitlines():
        key, median, _ = text.split()
        group.row(keys[key], float(median) / 1000, ours=keys[key] != C_PROGRAM)
    return group


def idle(found):
    group = Group("Anonymous memory of the agent between reports, connected", "MiB", is_detail=True)
    with tempfile.TemporaryDirectory() as directory:
        broker = device.Broker(pathlib.Path(directory) / "broker")
        with contextlib.closing(broker):
            for number, (name, path) in enumerate(found.items()):
                group.row(name, anonymous_memory(path, broker, f"client-{number}"), ours=True)
    return group


def anonymous_memory(program, broker, client):
    """Returns the anonymous memory in MiB of an agent that has published one report and waits for the next one."""
    where = broker.authority.directory
    agent = subprocess.Popen(
        [program, "agent"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={"DEFENDER_TRANSPORT": "mqtt", "DEFENDER_MQTT_ENDPOINT": f"localhost:{broker.port}",
             "AWS_CA_BUNDLE": f"{where}/ca.pem", "DEFENDER_CERTIFICATE_FILE": f"{where}/server.pem",
             "DEFENDER_PRIVATE_KEY_FILE": f"{where}/server.key", "AWS_IOT_THING_NAME": device.THING,
             "DEFENDER_CLIENT_ID": client, "DEFENDER_CONFIRMATION_SECONDS": "0"})
    expiry = threading.Timer(PATIENCE, agent.kill)
    expiry.start()
    log = []
    try:
        for line in agent.stderr:
            log.append(line)
            if "Published report" in line:
                settle(agent.pid)
                return int(field(agent.pid, "status", "RssAnon:")) / 1024
        sys.exit(f"{program} agent published no report:\n{''.join(log)}")
    finally:
        expiry.cancel()
        agent.kill()
        agent.wait()
        agent.stderr.close()


def field(pid, file, name):
    for line in pathlib.Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(name):
            return line.split()[1]
    raise ValueError(f"/proc/{pid}/{file} has no {name}")


def settle(pid):
    """Waits until a process uses no processor time for half a second."""
    before = None
    while before != (before := pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]):
        time.sleep(0.5)
