"""Builds the package of "Writing a handler" as it stands on that page, and invokes it as the page does, after `swift build`."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
page = (ROOT / "Sources/LambdaRuntime/LambdaRuntime.docc/WritingAHandler.md").read_text()
manifest, handler = re.findall(r"^```swift\n(.*?)^```", page, flags=re.S | re.M)[:2]
options = re.search(r"^\$ defender emulator --port 9000 --bootstrap (\S+) (--env \S+) &$", page, flags=re.M)
program, environment = options.groups()
# Built in the same folder each time, so that the second time is short.
work = ROOT / ".build/first-package"
with tempfile.TemporaryDirectory() as directory:
    package = pathlib.Path(directory, "hello")
    (package / "Sources/hello").mkdir(parents=True)
    (package / "Package.swift").write_text(manifest)
    (package / "Sources/hello/main.swift").write_text(handler)
    # The page's name for the folder of this package, whatever this copy of it is called.
    os.symlink(ROOT, pathlib.Path(directory, "device-defender-swift"))
    command = ["swift", "build", "--quiet", "--package-path", package, "--scratch-path", work]
    if subprocess.run(command).returncode:
        sys.exit("the package of WritingAHandler.md doesn't build")
invoke = [ROOT / ".build/debug/defender", "invoke", "--bootstrap", work / program.removeprefix(".build/")]
run = subprocess.run([*invoke, *environment.split(), "--event", '"world"'], capture_output=True, text=True, timeout=60)
if '"hello number 1"' not in run.stdout:
    sys.exit(f"the function of WritingAHandler.md didn't answer:\n{run.stdout}{run.stderr}")
print("the package of WritingAHandler.md builds and answers")
