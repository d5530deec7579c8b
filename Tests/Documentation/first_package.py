"""Builds the package on the page "Writing a handler", then with the handler from "Calling asynchronous code", and invokes both.

Run `swift build` first.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
CATALOG = ROOT / "Sources/LambdaRuntime/LambdaRuntime.docc"
# Built in the same directory each time, so that later builds are incremental.
WORK = ROOT / ".build/first-package"


def snippets(page):
    return re.findall(r"^```swift\n(.*?)^```", (CATALOG / page).read_text(), flags=re.S | re.M)


def check(page, package, handler, options, answer):
    (package / "Sources/hello/main.swift").write_text(handler)
    command = ["swift", "build", "--quiet", "--package-path", package, "--scratch-path", WORK]
    if subprocess.run(command).returncode:
        sys.exit(f"the package of {page} doesn't build")
    invoke = [ROOT / ".build/debug/defender", "invoke", *options, "--event", '"world"']
    run = subprocess.run(invoke, capture_output=True, text=True, timeout=60)
    if answer not in run.stdout:
        sys.exit(f"the function of {page} didn't answer {answer}:\n{run.stdout}{run.stderr}")
    print(f"the package of {page} builds and answers")


manifest, handler = snippets("WritingAHandler.md")[:2]
emulator = re.search(r"^\$ defender emulator --port 9000 --bootstrap \.build/(\S+) (--env \S+) &$",
                     (CATALOG / "WritingAHandler.md").read_text(), flags=re.M)
program = ["--bootstrap", WORK / emulator[1]]
with tempfile.TemporaryDirectory() as directory:
    package = pathlib.Path(directory, "hello")
    (package / "Sources/hello").mkdir(parents=True)
    (package / "Package.swift").write_text(manifest)
    # The page's name for this package's directory, which may have a different name here.
    os.symlink(ROOT, pathlib.Path(directory, "device-defender-swift"))
    check("WritingAHandler.md", package, handler, [*program, *emulator[2].split()], '"hello number 1"')
    check("AsynchronousCode.md", package, snippets("AsynchronousCode.md")[0], program, '"looked up world"')
