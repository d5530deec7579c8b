"""Starts the agent where Greengrass runs Python only: the handler of the Lambda import.

The agent is the executable `bootstrap` beside this file. Greengrass unpacks artifacts without the execute bit, so it is
started from a copy; it speaks to the nucleus by itself, and this module only keeps it running.
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
    """Where a copy of the agent may go, the likeliest first. Trying shows which lets a file be written and executed."""
    named = (os.environ.get("TMPDIR"), "/tmp", "/var/tmp", os.environ.get("HOME"), ".", "/dev/shm")
    return dict.fromkeys(filter(None, named))


def start():
    """Starts a copy of the agent, from the first directory that lets one be executed."""
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
                    preexec_fn=lambda: LIBC.prctl(1, signal.SIGTERM))  # PR_SET_PDEATHSIG: never outlives this process
            finally:
                # Gone when it runs: nothing stays behind. Where it can't go, as on NFS, the agent runs all the same.
                shutil.rmtree(directory, ignore_errors=True)
        except OSError as error:
            tried.append(f"{place}: {error}")
    raise OSError("the agent can't be started: " + "; ".join(tried))


def say(text):
    """Prints a line for the function's log. One that can't be written is lost: the agent goes on all the same."""
    with contextlib.suppress(OSError, ValueError):
        try:
            print(text, flush=True)
        except UnicodeEncodeError:  # the log's encoding lacks a character of it
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
            reader.join(1)  # not to its end: a metrics program that outlives the agent holds the pipe, too
            say(f"the agent ended with status {status}")
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
