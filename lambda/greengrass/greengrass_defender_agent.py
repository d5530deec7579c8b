"""The Python handler of the Lambda import, for Greengrass cores that run only Python functions. It starts the agent.

The agent is the executable `bootstrap` in the directory of this file. Greengrass unpacks artifacts without the execute bit, so this
module starts a copy and keeps it running. The agent communicates with the nucleus itself.
"""
import atexit
import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

LIBC = ctypes.CDLL(None)
AGENT = pathlib.Path(__file__).with_name("bootstrap")
state = {"process": None, "starts": 0, "stopping": threading.Event()}


def places():
    """Returns directories in which a copy of the agent may be allowed to execute, the most likely first."""
    named = (os.environ.get("TMPDIR"), "/tmp", "/var/tmp", os.environ.get("HOME"), ".", "/dev/shm")
    return dict.fromkeys(filter(None, named))


def start():
    """Starts a copy of the agent from the first directory that allows execution."""
    environment = {k: v for k, v in os.environ.items() if k != "AWS_LAMBDA_RUNTIME_API"}
    tried = []
    for place in places():
        try:
            directory = tempfile.mkdtemp(dir=place)
            try:
                copy = shutil.copy(AGENT, directory)
                os.chmod(copy, 0o700)
                return subprocess.Popen(
                    [copy], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT, text=True, errors="replace",
                    preexec_fn=lambda: LIBC.prctl(1, signal.SIGTERM))  # PR_SET_PDEATHSIG: ends the agent with this process
            finally:
                # The running agent doesn't need the file. If it can't be removed, as on NFS, the agent still runs.
                shutil.rmtree(directory, ignore_errors=True)
        except OSError as error:
            tried.append(f"{place}: {error}")
    raise OSError("Can't start the agent: " + "; ".join(tried))


def say(text):
    """Prints a line to the function's log. A line that can't be written is lost, but doesn't stop the agent."""
    with contextlib.suppress(OSError, ValueError):
        try:
            print(text, flush=True)
        except UnicodeEncodeError:  # the log's encoding lacks one of the characters
            print(str(text).encode("ascii", "backslashreplace").decode(), flush=True)


def forward(output):
    for line in output:
        say(line.rstrip("\n"))


def keep_running():
    delay = 1
    while not state["stopping"].is_set():
        began = time.monotonic()
        try:
            state["process"] = process = start()
            state["starts"] += 1
            if state["stopping"].is_set():
                process.terminate()
            reader = threading.Thread(target=forward, args=(process.stdout,), daemon=True)
            reader.start()
            status = process.wait()
            reader.join(1)  # wait only briefly: a metrics program that outlives the agent may keep the pipe open
            say(f"The agent exited with status {status}.")
        except (OSError, subprocess.SubprocessError) as error:
            say(error)
        delay = 1 if time.monotonic() - began > 60 else min(2 * delay, 60)
        state["stopping"].wait(delay)


def stop(*_):
    state["stopping"].set()
    process = state["process"]
    if process and process.poll() is None:
        process.terminate()
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()


def stop_on_signal(previous):
    def handler(number, frame):
        stop()
        if callable(previous):
            previous(number, frame)
        raise SystemExit(0)
    return handler


def function_handler(event, context):
    process = state["process"]
    return {"running": bool(process) and process.poll() is None, "starts": state["starts"]}


atexit.register(stop)
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGTERM, stop_on_signal(signal.getsignal(signal.SIGTERM)))
threading.Thread(target=keep_running, daemon=True).start()
