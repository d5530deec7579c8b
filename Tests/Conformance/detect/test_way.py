"""Runs the commands of "The whole way, on one machine" in docs/detect.md, with seconds instead of minutes and hours.

The machine is a network namespace with one listening port. A second port opens after the first recording.
"""
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import unittest

from product import DEFENDER, SECONDS, Workspace

PROJECT = pathlib.Path(__file__).resolve().parents[3]
HEALTHY, NEW = 2222, 4444


def commands():
    """Returns the commands of the page's first sh block, which record for seconds."""
    text = (PROJECT / "docs/detect.md").read_text().split("## The whole way, on one machine")[1]
    block = re.search(r"^```sh\n(.*?)^```$", text, re.M | re.S)[1]
    found = [line for line in block.splitlines() if not line.startswith("#")]
    return [re.sub(r"-s 60 -n \d+", "-s 1 -n 3", command) for command in found]


def inside():
    """Runs the commands in the current namespace and directory. Prints their output and errors as JSON."""
    # The namespace ends with this process, and both sockets with it.
    sockets = [socket.create_server(("0.0.0.0", HEALTHY))]
    results = []
    for command in commands():
        done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=SECONDS)
        results.append([command, done.returncode, done.stdout.decode(), done.stderr.decode()])
        if "learn" in command:
            sockets.append(socket.create_server(("0.0.0.0", NEW)))
    print(json.dumps(results))


class Way(unittest.TestCase):
    maxDiff = None

    def test_the_way_from_collect_to_a_live_machine_finds_a_new_port(self):
        with Workspace() as workspace:
            (workspace.path / "bin").mkdir()
            (workspace.path / "bin" / "defender").symlink_to(DEFENDER)
            environment = {**os.environ, "PATH": f"{workspace.path}/bin:/usr/bin:/bin:/usr/sbin:/sbin"}
            done = subprocess.run(
                ["unshare", "--map-root-user", "--net", sys.executable, __file__, "--inside"], cwd=workspace.path, env=environment,
                capture_output=True, timeout=2 * SECONDS)
            self.assertEqual(done.returncode, 0, done.stderr.decode())
            results = json.loads(done.stdout)
            self.assertEqual([status for _, status, _, _ in results], [0] * 6, results)
            # A window for the number of ports may or may not end during the recording, so only the sets of ports are compared.
            events = [json.loads(line) for line in results[3][2].splitlines()]
            found = [(event["violationEventType"], event["metricValue"]) for event in events if "ports" in event["metricValue"]]
            self.assertEqual(found, [("in-alarm", {"ports": [NEW]})])
            page = (workspace.path / "today.html").read_text()
            self.assertIn("<h1>1 of 1 thing in alarm</h1>", page)
            self.assertRegex(page, f'TCP {NEW}</th><td class="text">[^<]*</td><td>[^<]*</td><td>[^<]*</td><td>3</td><td class="text">violates ')
            self.assertRegex(page, f'TCP {HEALTHY}</th><td class="text">present throughout</td><td>[^<]*</td><td>[^<]*</td><td>3</td><td class="text">allowed')
            self.assertRegex(results[5][3], f"in-alarm: .*: {NEW}")
            # The recording from which the profile was learned violates nothing.
            self.assertEqual(workspace.run(["mine.json"], "healthy.jsonl"), [])


if __name__ == "__main__":
    inside() if sys.argv[1:] == ["--inside"] else unittest.main()
