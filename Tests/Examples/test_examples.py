"""Runs the commands in the README.md of each example, and invokes the archived program."""
import json
import pathlib
import re
import shlex
import tempfile
import unittest

from package import BUILDS, DEFENDER, ROOT, Archive, Package, emulator

EXAMPLES = sorted(path.parent.name for path in ROOT.glob("lambda/examples/*/Package.swift"))
EXPECTED = ["async", "echo", "function-url-api", "log-fields", "several-handlers", "sqs-partial-failure", "streaming", "testing", "typed"]


def commands(readme):
    """Returns the commands of a page, each with the lines that it prints."""
    block = re.search(r"^```console\n(.*?)^```", readme, flags=re.S | re.M)[1]
    return [(command, output) for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, flags=re.M)]


def here(command, output):
    """Returns a command with the paths of these tests."""
    command = re.sub(r"^swift (build|test)", f"swift \\1 --scratch-path {BUILDS}/debug", command)
    command = command.replace("swift package lambda-archive", f"swift package --scratch-path {BUILDS}/debug lambda-archive "
                              f"--scratch-path {BUILDS}/release --output {output}")
    return command.replace(" .build/debug/", f" {BUILDS}/debug/debug/").replace("defender ", f"{DEFENDER} ", 1)


class Examples(unittest.TestCase):
    def test_all_are_here_and_listed(self):
        self.assertEqual(EXAMPLES, EXPECTED)
        page = (ROOT / "lambda/examples/README.md").read_text()
        self.assertEqual(sorted(re.findall(r"^\| \[(\S+)\]\(\1/README.md\)", page, flags=re.M)), EXAMPLES)

    def follow(self, name):
        package = Package(ROOT / "lambda/examples" / name)
        readme = (package.path / "README.md").read_text()
        self.assertLessEqual(len(re.sub(r"```.*?```", "", readme, flags=re.S).split("\n")), 10)
        steps = commands(readme)
        zips = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for command, expected in steps:
            status, output, errors = package.run(here(command, zips))
            self.assertEqual(status, 0, f"{command}\n{output}{errors}")
            if expected:
                self.assertEqual(output.strip(), expected.strip(), command)
        invocation = next(command for command, _ in steps if "defender invoke" in command)
        answer = next(expected for command, expected in steps if "defender invoke" in command)
        self.assertIn("swift package lambda-archive", [command for command, _ in steps])
        zip, = zips.glob("*.zip")
        archive = Archive(zip)
        # A module's name is part of its types' metadata.
        self.assertEqual(b"FoundationEssentials" in archive.program, name == "typed")
        self.check(package, archive, shlex.split(invocation), answer.split("answered:\n")[1])

    def check(self, package, archive, words, answer):
        """Invokes an archived program with the event of a command `defender invoke`."""
        self.assertEqual([entry.filename for entry in archive.entries], ["bootstrap"])
        self.assertTrue(archive.is_static)
        event = words[words.index("--event") + 1]
        event = (package.path / event[1:]).read_bytes() if event.startswith("@") else event.encode()
        options = [option for index, word in enumerate(words) if word == "--env" for option in words[index:index + 2]]
        with tempfile.TemporaryDirectory() as directory, emulator(archive.unpack(directory), *options) as invoke:
            received = invoke(event)
        try:
            self.assertEqual(json.loads(received), json.loads(answer))
        except json.JSONDecodeError:
            self.assertEqual(received.strip(), answer.strip())


for name in EXAMPLES:
    def test(self, name=name):
        self.follow(name)
    setattr(Examples, "test_" + name.replace("-", "_"), test)
