"""Publishes this tree at a URL and with a version, for packages that depend on it: in a local Git repository instead of on a host."""
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def version():
    return subprocess.run([ROOT / "lambda/packaging/version"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def environment(**variables):
    """Returns the environment of a dependent's build: that of this process, without the variable for the tools of this package."""
    return {name: value for name, value in os.environ.items() if name != "DEVICE_DEFENDER_TOOLS"} | variables


def copy(place):
    """Copies this tree, including uncommitted changes, to `place`."""
    shutil.copytree(ROOT, place, symlinks=True, ignore=shutil.ignore_patterns(
        ".build*", ".git", ".swiftpm", "Package.resolved", "__pycache__"))
    return place


def publish(directory, url):
    """Publishes this tree, with the tag of its version, at `url`. Returns the environment and the options with which SwiftPM finds it."""
    host, _, name = url.rpartition("/")
    repository = copy(pathlib.Path(directory, "host", name))
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgSign=false"]
    for command in (["init", "--quiet"], ["add", "--all"], [*identity, "commit", "--quiet", "--no-verify", "--message", "snapshot"],
                    ["tag", "--no-sign", version()]):
        subprocess.run(["git", *command], cwd=repository, check=True)
    options = []
    # SwiftPM remembers for each user which commit a version had.
    for kind in ("cache", "config", "security"):
        options += [f"--{kind}-path", pathlib.Path(directory, kind)]
    return environment(GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0=f"url.file://{repository.parent}/.insteadOf",
                       GIT_CONFIG_VALUE_0=f"{host}/"), options
