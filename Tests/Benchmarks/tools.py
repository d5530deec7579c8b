"""Builds and runs programs for the benchmarks, with valgrind and a Python environment for the peers."""
import glob
import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
WORK = os.path.join(ROOT, ".build", "benchmarks")
RELEASE = os.path.join(ROOT, ".build", "release")
PEERS = os.path.join(HERE, "peers")
os.environ["DEVICE_DEFENDER_TOOLS"] = "1"  # without it, Package.swift has no benchmarks


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(command, **options):
    """Returns the standard output of a command. Exits with an error if the command fails."""
    command = [str(word) for word in command]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def lines(command, **options):
    """Returns the lines of JSON that a command prints."""
    return [json.loads(line) for line in run(command, **options).splitlines()]


def line(command, **options):
    (only,) = lines(command, **options)
    return only


def swift_build(*products):
    for product in products:
        run(["swift", "build", "-c", "release", "--product", product], cwd=ROOT)


def static_echo(product="echo-function"):
    """Builds an example function as a static executable, linked like a release."""
    scratch = os.path.join(ROOT, ".build", "benchmarks-static")
    run(["swift", "build", "-c", "release", "--product", product, "-Xswiftc", "-static-executable",
         "--scratch-path", scratch], cwd=ROOT)
    target = os.path.join(WORK, product)
    run(["strip", "-o", target, os.path.join(scratch, "release", product)])
    return target


def released(name, form):
    """Returns the path of a file in .build/package, which lambda/package writes. Builds it if it doesn't exist."""
    path = os.path.join(ROOT, ".build", "package", name)
    if not os.path.exists(path):
        say(f"packaging {name} (minutes)")
        run([os.path.join(ROOT, "lambda", "package"), f"--{form}"], cwd=ROOT)
    return path


def architecture():
    return os.uname().machine.replace("aarch64", "arm64")


def released_tool():
    """Returns the static `defender`."""
    return released(f"defender-{architecture()}", "tool")


def released_bootstrap():
    """Returns `bootstrap` from the release's zip."""
    place = os.path.join(WORK, "released")
    run(["unzip", "-q", "-o", released(f"device-defender-{architecture()}.zip", "zip"), "bootstrap", "-d", place])
    return os.path.join(place, "bootstrap")


def compile_c(source, *options):
    """Compiles `source`, a path below this directory."""
    target = os.path.join(WORK, source.replace("/", "-").removesuffix(".c"))
    information = json.loads(run(["swiftc", "-print-target-info"]))
    compiler = os.path.join(os.path.dirname(os.path.dirname(information["paths"]["runtimeResourcePath"])), "bin", "clang")
    run([compiler, "-O2", "-o", target, os.path.join(HERE, source), *options])
    return target


def python():
    """Returns a Python interpreter with the peers from PyPI, in an environment that is created once."""
    place = os.path.join(WORK, "python")
    with open(os.path.join(HERE, "requirements.txt")) as file:
        wanted = file.read()
    stamp = os.path.join(place, "requirements.txt")
    if not os.path.exists(stamp) or open(stamp).read() != wanted:
        say("installing the peers from PyPI")
        shutil.rmtree(place, ignore_errors=True)
        run([sys.executable, "-m", "venv", place])
        pip = [os.path.join(place, "bin", "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run(pip + ["-r", os.path.join(HERE, "requirements.txt")])
        # Its other dependencies are only for publishing.
        run(pip + ["--no-deps", "AWSIoTDeviceDefenderAgentSDK==2.0.0"])
        with open(stamp, "w") as file:
            file.write(wanted)
    return os.path.join(place, "bin", "python")


def python_program(function, *modules):
    """Returns a program that starts AWS's runtime client for Python with a function of the directory `peers`."""
    place = os.path.join(WORK, function.removesuffix(".py"))
    os.makedirs(place, exist_ok=True)
    for name in (function, *modules):
        shutil.copy(os.path.join(PEERS, name), place)
    program = os.path.join(place, "bootstrap")
    with open(os.path.join(PEERS, function)) as file, open(program, "w") as copy:
        copy.write(f"#!{python()}\n{file.read()}")
    os.chmod(program, 0o755)
    return program


def under_sockets(command, established):
    """Runs `command` in a separate network namespace with the given number of established connections."""
    return [f"{RELEASE}/socket-load", "--established", str(established), "--listen", "10", "--udp", "10", "--", *command]


def processor_seconds(command, output):
    """Runs a command, with its standard output in a file. Returns its user and system time."""
    with open(output, "wb") as file:
        process = subprocess.Popen(command, stdout=file)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)}: status {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def peak_memory(command, source):
    """Runs a command with a file on a pipe to its standard input. Returns its most resident memory before the end, in KiB."""
    with open(source, "rb") as file, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        shutil.copyfileobj(file, process.stdin)
        process.stdin.flush()
        with open(f"/proc/{process.pid}/status") as status:
            (peak,) = re.findall(r"VmHWM:\s*(\d+) kB", status.read())
        process.stdin.close()
    if process.returncode:
        sys.exit(f"{' '.join(command)}: status {process.returncode}")
    return int(peak)


CALLGRIND = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
MEMCHECK = ["valgrind", "--tool=memcheck", "--leak-check=no", "--undef-value-errors=no"]


def counted(command, environment=None):
    """Runs a command with valgrind. Returns its number of instructions (callgrind) or allocations (memcheck)."""
    command = [str(word) for word in command]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    found = re.findall(r"(?:Collected : |total heap usage: )([\d,]+)", done.stderr)
    if done.returncode or not found:
        sys.exit(f"{' '.join(command)}: status {done.returncode}\n{done.stderr}")
    return [int(count.replace(",", "")) for count in found]
