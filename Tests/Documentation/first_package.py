"""Follows the page "Writing a handler" word for word: its files, its commands and their results. Then does the same with the handler from
"Calling asynchronous code".

The package depends on this one by URL and version, as on the page; the URL leads to a snapshot of this tree. Run `lambda/run` first.
"""
import json
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
CATALOG = ROOT / "Sources/LambdaRuntime/LambdaRuntime.docc"
PAGE = (CATALOG / "WritingAHandler.md").read_text()
sys.path.append(str(ROOT / "Tests/Dependents"))
sys.dont_write_bytecode = True
import snapshot


def blocks(language, page=PAGE):
    return re.findall(rf"^```{language}\n(.*?)^```", page, flags=re.S | re.M)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def wait_for(port):
    for _ in range(600):
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    sys.exit(f"nothing listens on port {port}")


def run(command):
    """Runs a command of the page. Returns what it prints, or the process if the command ends in `&`."""
    if command.endswith("&"):
        return subprocess.Popen("exec " + command.removesuffix("&"), shell=True, cwd=package, env=environment)
    done = subprocess.run(command, shell=True, cwd=package, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"this command of WritingAHandler.md failed:\n{command}\n{done.stdout}")
    return done.stdout


def follow():
    """Runs all commands of the page in their order, with a free port. Checks the answer and the zip."""
    port = free_port()
    commands = re.findall(r"^\$ (.*)", "".join(blocks("console")), flags=re.M)
    answer = re.search(r"^The answer is `(.*?)`", PAGE, flags=re.M)[1]
    servers, answers = [], []
    for command in commands:
        result = run(command.replace("9000", str(port)))
        if isinstance(result, subprocess.Popen):
            servers.append(result)
            wait_for(port)
        elif command.startswith("curl"):
            answers.append(result)
    for server in servers:
        server.terminate()
        server.wait(timeout=60)
    if [json.loads(each) for each in answers] != [json.loads(answer)]:
        sys.exit(f"the function of WritingAHandler.md didn't answer {answer}: {answers}")
    zip, = package.glob(".build/lambda-archive/*/hello.zip")
    path = re.search(r"`(\.build/lambda-archive/)x86_64/hello\.zip`", PAGE)[1]
    if not str(zip.relative_to(package)).startswith(path):
        sys.exit(f"WritingAHandler.md says {path}, but the zip is {zip}")
    zipfile.ZipFile(zip).extract("bootstrap", directory)
    program = pathlib.Path(directory, "bootstrap")
    program.chmod(0o755)
    expect(program, answer, "the archived function of WritingAHandler.md", "--env", "GREETING=hello")


def expect(program, answer, name, *options):
    invoke = ["defender", "invoke", "--bootstrap", program, *options, "--event", '"world"']
    done = subprocess.run(invoke, capture_output=True, text=True, timeout=60, env=environment)
    if answer not in done.stdout:
        sys.exit(f"{name} didn't answer {answer}:\n{done.stdout}{done.stderr}")
    print(f"{name} answers")


manifest, handler = blocks("swift")[:2]
url, version = re.search(r'\.package\(url: "([^"]+)", from: "([^"]+)"\)', manifest).groups()
if version != snapshot.version():
    sys.exit(f"WritingAHandler.md depends on version {version}, but this is {snapshot.version()}")
with tempfile.TemporaryDirectory() as directory:
    environment, _ = snapshot.publish(directory, url)
    # SwiftPM remembers for each user which commit a version had.
    environment |= {"HOME": directory, "CFFIXED_USER_HOME": directory, "PATH": f"{ROOT}/.build/debug:{environment['PATH']}"}
    package = pathlib.Path(directory, "hello")
    (package / "Sources/hello").mkdir(parents=True)
    (package / "Package.swift").write_text(manifest)
    (package / "Sources/hello/main.swift").write_text(handler)
    follow()
    (package / "Package.swift").write_text(manifest.replace('name: "LambdaRuntime"', 'name: "LambdaRuntimeAsync"'))
    (package / "Sources/hello/main.swift").write_text(blocks("swift", (CATALOG / "AsynchronousCode.md").read_text())[0])
    run("swift build --quiet")
    expect(package / ".build/debug/hello", '"looked up world"', "the function of AsynchronousCode.md")
