"""Runs the commands of `defender` in docs/detect.md, and compares their output with the page's."""
import os
import pathlib
import pty
import re
import subprocess
import textwrap
import unittest

from product import DEFENDER, SECONDS, Workspace

PROJECT = pathlib.Path(__file__).resolve().parents[3]


def examples():
    """Yields each command of the page's console blocks with the lines after it."""
    text = (PROJECT / "docs/detect.md").read_text()
    for block in re.findall(r"^ *```console\n(.*?)```$", text, re.M | re.S):
        for example in re.split(r"^\$ ", textwrap.dedent(block), flags=re.M)[1:]:
            command, _, output = example.partition("\n")
            yield command, output


def on_a_terminal(command, directory, environment):
    """Returns what a command prints on a terminal, whose window is wide."""
    controller, terminal = pty.openpty()
    with subprocess.Popen(["sh", "-c", command], cwd=directory, env=environment, stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        output = b""
        try:
            while chunk := os.read(controller, 65536):
                output += chunk
        except OSError:
            pass  # Linux reports the end of a terminal as EIO.
        process.wait(timeout=SECONDS)
    os.close(controller)
    return output.decode().replace("\r\n", "\n")


class Page(unittest.TestCase):
    maxDiff = None

    def test_the_commands_of_the_page_print_what_the_page_shows(self):
        found = list(examples())
        self.assertGreaterEqual(len([command for command, _ in found if command.startswith("defender detect")]), 3)
        with Workspace() as workspace:
            (workspace.path / "docs").symlink_to(PROJECT / "docs")
            (workspace.path / "bin").mkdir()
            (workspace.path / "bin" / "defender").symlink_to(DEFENDER)
            environment = {"PATH": f"{workspace.path}/bin:/usr/bin:/bin", "TERM": "xterm", "LANG": "C.UTF-8"}
            for command, output in found:
                self.assertEqual(output, on_a_terminal(command, workspace.path, environment), command)


if __name__ == "__main__":
    unittest.main()
