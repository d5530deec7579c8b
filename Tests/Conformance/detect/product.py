"""Runs the product's `defender detect` on files in a temporary directory."""
import json
import os
import pathlib
import subprocess
import tempfile

DEFENDER = os.environ.get("DEFENDER", "")
SECONDS = 60


class Workspace:
    """A temporary directory with profiles and reports, until the end of the block."""

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="detect-conformance-")
        self.path = pathlib.Path(self.directory.name)
        return self

    def __exit__(self, *_):
        self.directory.cleanup()

    def file(self, name, content):
        """Writes bytes, text or a JSON document to a file. Returns its path."""
        if not isinstance(content, (bytes, str)):
            content = json.dumps(content, indent=2)
        path = self.path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def defender(self, *arguments, stdin=b""):
        return subprocess.run([DEFENDER, *arguments], input=stdin, capture_output=True, timeout=SECONDS, cwd=self.path)

    def run(self, profiles, *arguments, stdin=b"", status=0):
        """Returns the events that `detect run` prints with profile files and further arguments."""
        options = [option for profile in profiles for option in ("--profile", profile)]
        done = self.defender("detect", "run", *options, "--json", *arguments, stdin=stdin)
        if done.returncode != status:
            raise AssertionError(f"status {done.returncode}, expected {status}: {done.stderr.decode()}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def validate(self, *arguments):
        return self.defender("detect", "validate", *arguments)


def events_of(profile, documents, *arguments, encoding="lines", status=0):
    """Returns the events of one profile over documents of reports."""
    import reports
    with Workspace() as workspace:
        path = workspace.file("profile.json", profile)
        return workspace.run([path], *arguments, "-", stdin=reports.write(documents, encoding), status=status)
