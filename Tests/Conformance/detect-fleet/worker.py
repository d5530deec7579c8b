"""A `bootstrap` with `detect_handler`, its Runtime API, and the part of Lambda that reads a queue and delivers batches."""
import http.server
import json
import os
import queue
import signal
import subprocess
import threading

from aws import REGION, TABLE
from proxy import Proxy, Server


class RuntimeAPI(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_GET(self):
        worker = self.server.worker
        event = worker.next_event()
        if event is None:
            self.close_connection = True
            return
        number, body, deadline_ms = event
        self.reply(200, body, {"Lambda-Runtime-Aws-Request-Id": str(number), "Lambda-Runtime-Deadline-Ms": str(deadline_ms)})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.reply(202, b"{}", {})
        parts = self.path.split("/")
        if parts[-1] == "response":
            self.server.worker.finish(parts[-2], json.loads(body))
        else:
            self.server.worker.finish(parts[-2], None, body)

    def reply(self, status, body, headers):
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True


class Worker:
    """Runs invocations one after the other. `fleet` supplies them and gets the results."""

    def __init__(self, number, fleet, moto_port, faults, bootstrap, profiles):
        self.number, self.fleet = number, fleet
        self.lock = threading.Lock()
        self.events = queue.Queue()
        self.current = None  # the number of the invocation and the thread that waits for its end
        self.done = threading.Event()
        self.result = None
        self.kills = 0
        self.proxy = Proxy(moto_port, faults, self.kill, lambda found: fleet.read(self, found), fleet.wrote)
        self.api = Server(("127.0.0.1", 0), RuntimeAPI)
        self.api.worker = self
        threading.Thread(target=self.api.serve_forever, daemon=True).start()
        self.environment = {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.api.server_address[1]}", "_HANDLER": "detect_handler",
            "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "none", "DETECT_TABLE": TABLE,
            "AWS_ENDPOINT_URL_DYNAMODB": self.proxy.url, "AWS_ENDPOINT_URL_SNS": self.proxy.url,
            "DETECT_PROFILES": profiles, "PATH": os.environ["PATH"], "AWS_LAMBDA_FUNCTION_NAME": "detect",
        }
        self.bootstrap = bootstrap
        self.process = None
        self.stopping = False

    def start(self):
        self.process = subprocess.Popen([self.bootstrap], env=self.environment, stdin=subprocess.DEVNULL,
                                        stdout=self.fleet.output, stderr=self.fleet.errors)
        process = self.process
        threading.Thread(target=self.watch, args=(process,), daemon=True).start()

    def watch(self, process):
        process.wait()
        with self.lock:
            if self.stopping or process is not self.process:
                return
            self.start()
        self.finish(None, None, b"the process ended")

    def kill(self):
        self.kills += 1
        self.process.send_signal(signal.SIGKILL)

    def next_event(self):
        return self.events.get()

    def finish(self, number, response, error=None):
        with self.lock:
            if self.current is None or number not in (None, str(self.current)):
                return
            self.result = (response, error)
            self.current = None
            self.done.set()

    def invoke(self, number, event, deadline_ms):
        """Runs one invocation; returns its response and its error."""
        self.done.clear()
        with self.lock:
            self.current = number
        self.events.put((number, json.dumps(event).encode(), deadline_ms))
        if not self.done.wait(150):
            raise AssertionError(f"The invocation {number} didn't end within 150 s.")
        # An event that a killed process hadn't fetched is void.
        while not self.events.empty():
            try:
                self.events.get_nowait()
            except queue.Empty:
                break
        return self.result

    def stop(self):
        with self.lock:
            self.stopping = True
        self.events.put(None)
        self.process.terminate()
        self.process.wait(30)
        self.api.shutdown()
        self.api.server_close()
        self.proxy.stop()
