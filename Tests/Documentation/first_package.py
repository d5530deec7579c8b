"""Builds the package on the page "Writing a handler", then with the handler from "Calling asynchronous code", and invokes both.

The package depends on this one by URL and version, as on the page; the URL leads to a snapshot of this tree. Run `lambda/run` first.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
CATALOG = ROOT / "Sources/LambdaRuntime/LambdaRuntime.docc"
sys.path.append(str(ROOT / "Tests/Dependents"))
sys.dont_write_bytecode = True
import snapshot


def snippets(page):
    return re.findall(r"^```swift\n(.*?)^```", (CATALOG / page).read_text(), flags=re.S | re.M)


def check(page, package, handler, options, answer):
    (package / "Sources/hello/main.swift").write_text(handler)
    command = ["swift", "build", "--quiet", *find]
    if subprocess.run(command, cwd=package, env=environment).returncode:
        sys.exit(f"the package of {page} doesn't build")
    invoke = [ROOT / ".build/debug/defender", "invoke", *options, "--event", '"world"']
    run = subprocess.run(invoke, capture_output=True, text=True, timeout=60)
    if answer not in run.stdout:
        sys.exit(f"the function of {page} didn't answer {answer}:\n{run.stdout}{run.stderr}")
    print(f"the package of {page} builds and answers")


manifest, handler = snippets("WritingAHandler.md")[:2]
url, version = re.search(r'\.package\(url: "([^"]+)", from: "([^"]+)"\)', manifest).groups()
if version != snapshot.version():
    sys.exit(f"WritingAHandler.md depends on version {version}, but this is {snapshot.version()}")
emulator = re.search(r"^\$ defender emulator --port 9000 --bootstrap (\S+) (--env \S+) &$",
                     (CATALOG / "WritingAHandler.md").read_text(), flags=re.M)
with tempfile.TemporaryDirectory() as directory:
    environment, find = snapshot.publish(directory, url)
    package = pathlib.Path(directory, "hello")
    (package / "Sources/hello").mkdir(parents=True)
    (package / "Package.swift").write_text(manifest)
    program = ["--bootstrap", package / emulator[1]]
    check("WritingAHandler.md", package, handler, [*program, *emulator[2].split()], '"hello number 1"')
    (package / "Package.swift").write_text(manifest.replace('name: "LambdaRuntime"', 'name: "LambdaRuntimeAsync"'))
    check("AsynchronousCode.md", package, snippets("AsynchronousCode.md")[0], program, '"looked up world"')
