"""A fake of the nucleus's local work API for imported Lambda functions, and of a runtime that uses it.

Written from the known paths, headers and statuses of the API, not from AWS's code. Run as a program, it is the runtime:
`work_api.py --handler=module.function` pings, imports the handler, and then fetches work and posts results.
"""
import http.server
import importlib
import json
import os
import queue
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:agent:1"
PATH = f"/2016-11-01/functions/{ARN}"


class WorkAPI:
    """The server. `invoke` queues work. Pings are counted."""

    def __init__(self, token="work-token"):
        self.token, self.work, self.results = token, queue.Queue(), {}
        self.pings = 0
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if not self.allowed("/work"):
                    return
                try:
                    number, event = api.work.get(timeout=1)
                except queue.Empty:
                    return self.answer(504, b"")
                self.answer(200, json.dumps(event).encode(), {"X-Amz-InvocationId": number})

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.path.endswith("/ping"):
                    if self.allowed("/ping"):
                        api.pings += 1
                        self.answer(200, b"")
                elif self.allowed("/work"):
                    api.results[self.headers["X-Amz-InvocationId"]].put(
                        (body, self.headers.get("X-Amz-Function-Error")))
                    self.answer(200, b"")

            def allowed(self, end):
                good = self.path == PATH + end and self.headers.get("Authorization") == api.token
                if not good:
                    self.answer(403, b"")
                return good

            def answer(self, status, body, headers=()):
                self.send_response(status)
                for name, value in dict(headers).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except BrokenPipeError:  # the runtime was stopped while waiting for work
                    pass

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def environment(self):
        return {"GG_DAEMON_PORT": str(self.server.server_port), "MY_FUNCTION_ARN": ARN, "ENCODING_TYPE": "json",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN": self.token, "AWS_GREENGRASS_LAMBDA_STATUS_TIMEOUT_SECONDS": "1.0"}

    def invoke(self, event, timeout=20):
        number = str(uuid.uuid4())
        self.results[number] = queue.Queue()
        self.work.put((number, event))
        body, error = self.results[number].get(timeout=timeout)
        if error:
            raise RuntimeError(body)
        return json.loads(body)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def call(method, end, body=None, headers=()):
    request = urllib.request.Request(
        f"http://localhost:{os.environ['GG_DAEMON_PORT']}/2016-11-01/functions/{os.environ['MY_FUNCTION_ARN']}{end}",
        data=body, method=method,
        headers={"Authorization": os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"], **dict(headers)})
    return urllib.request.urlopen(request, timeout=30)


def ping():
    while True:
        call("POST", "/ping", b'{"status":"Up"}').close()
        time.sleep(float(os.environ["AWS_GREENGRASS_LAMBDA_STATUS_TIMEOUT_SECONDS"]))


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    threading.Thread(target=ping, daemon=True).start()
    module, _, name = sys.argv[1].partition("=")[2].rpartition(".")
    sys.path.insert(0, os.environ["ARTIFACTS"])
    handler = getattr(importlib.import_module(module), name)
    while True:
        try:
            with call("GET", "/work") as answer:
                number, event = answer.headers["X-Amz-InvocationId"], json.load(answer)
        except urllib.error.HTTPError:
            continue
        try:
            result, error = handler(event, None), ()
        except Exception as failure:  # any exception of the handler is returned as its answer
            result, error = {"errorMessage": str(failure)}, {"X-Amz-Function-Error": "Handled"}
        call("POST", "/work", json.dumps(result).encode(), {"X-Amz-InvocationId": number, **dict(error)}).close()


if __name__ == "__main__":
    main()
