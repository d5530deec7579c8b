"""Passes batches of reports to a process that evaluates a fleet, as Lambda does from a queue, with a table on loopback."""
import base64
import http.server
import json
import os
import pathlib
import queue
import subprocess
import threading
import time
import zlib

THINGS, START = 100, 1_700_000_000
# Batches that aren't measured: the first one writes the states, and the interpreter warms up.
UNMEASURED = 5
PROFILE = {"securityProfileName": "fleet", "behaviors": [
    {"name": "ports", "metric": "aws:listening-tcp-ports",
     "criteria": {"comparisonOperator": "in-port-set", "value": {"ports": [22, 80, 443]}}},
    {"name": "peers", "metric": "aws:destination-ip-addresses",
     "criteria": {"comparisonOperator": "in-cidr-set", "value": {"cidrs": ["10.0.0.0/8"]}}},
    {"name": "connections", "metric": "aws:num-established-tcp-connections", "criteria": {
        "comparisonOperator": "less-than", "value": {"count": 100}, "consecutiveDatapointsToAlarm": 2}}]}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Sends the head and the body of a response without a delay between them.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def reply(self, status, body, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))


class Store(Handler):
    """The operations of DynamoDB that both functions use. Each response takes a millisecond, and has DynamoDB's checksum."""
    items = {}
    requests = alarms = 0

    def answer(self, body):
        self.reply(200, body, [("x-amz-crc32", str(zlib.crc32(body)))])

    def do_POST(self):
        text = self.body()
        document = json.loads(text)
        operation = self.headers["X-Amz-Target"].rpartition(".")[2]
        Store.requests += 1
        Store.alarms += b"in-alarm" in text
        time.sleep(0.001)
        if operation == "BatchGetItem":
            ((table, request),) = document["RequestItems"].items()
            found = [self.items[key["pk"]["S"]] for key in request["Keys"] if key["pk"]["S"] in self.items]
            return self.answer(b'{"Responses":{"' + table.encode() + b'":[' + b",".join(found) + b']},"UnprocessedKeys":{}}')
        puts = [entry["Put"] for entry in document.get("TransactItems", [])] + ([document] if operation == "PutItem" else [])
        for put in puts:
            self.items[put["Item"]["pk"]["S"]] = json.dumps(put["Item"]).encode()
        return self.answer(b'{"Items":[]}' if operation == "Query" else b"{}")


class Runtime(Handler):
    """The Runtime API, for one process at a time."""
    events = queue.Queue()
    answers = queue.Queue()

    def do_GET(self):
        body = Runtime.events.get()
        self.reply(200, body, [("Lambda-Runtime-Aws-Request-Id", "1"),
                               ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:123456789012:function:detect"),
                               ("Lambda-Runtime-Deadline-Ms", str(int((time.time() + 60) * 1000)))])

    def do_POST(self):
        Runtime.answers.put((self.path, self.body()))
        self.reply(202, b"{}")


def serve(handler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"127.0.0.1:{server.server_address[1]}"


def batch(number, port=443):
    """Returns the event of a queue with a report of 1 KB of each thing, as the rule of lambda/aws/detect.yaml passes it on."""
    records = []
    for index in range(THINGS):
        connections = [{"local_interface": "eth0", "local_port": 40_000 + one, "remote_addr": f"10.0.{index}.{one}:443"}
                       for one in range(8)]
        report = {
            "header": {"report_id": START + number, "version": "1.0"}, "metrics": {
                "listening_tcp_ports": {"ports": [{"interface": "eth0", "port": one} for one in (22, port)], "total": 2},
                "listening_udp_ports": {"ports": [{"interface": "eth0", "port": 68}], "total": 1},
                "network_stats": {"bytes_in": 12345, "bytes_out": 23456, "packets_in": 123, "packets_out": 234},
                "tcp_connections": {"established_connections": {"connections": connections, "total": 8}}}}
        payload = base64.b64encode(json.dumps(report, separators=(",", ":")).encode()).decode()
        body = {"payload": payload, "thing": f"pump-{index}", "timestamp": (START + number) * 1000}
        records.append({"eventSource": "aws:sqs", "messageId": str(index), "body": json.dumps(body)})
    return json.dumps({"Records": records}).encode()


def processor_seconds(process):
    """Returns the CPU time of a process by its clock (clock_getcpuclockid(3)). The ticks of /proc/PID/stat are too coarse."""
    return time.clock_gettime(~process.pid << 3 | 2)


class Fleet:
    """The servers, and the batches that every process gets."""

    def __init__(self, folder, batches, environment):
        profile = os.path.join(folder, "fleet-profile.json")
        pathlib.Path(profile).write_text(json.dumps(PROFILE), encoding="utf-8")
        self.batches = batches
        self.events = [batch(number) for number in range(UNMEASURED + batches)]
        self.violating = batch(UNMEASURED + batches, port=8080)
        self.environment = environment | {
            "AWS_LAMBDA_RUNTIME_API": serve(Runtime), "_HANDLER": "detect_handler", "DETECT_TABLE": "fleet",
            "AWS_ENDPOINT_URL_DYNAMODB": f"http://{serve(Store)}", "DETECT_PROFILES": profile, "PYTHONDONTWRITEBYTECODE": "1"}

    def measure(self, program):
        """Returns the microseconds of CPU per report, the reports per second of elapsed time, and the requests to the table per report."""
        Store.items = {}
        # The thread that served an earlier process may still wait for an event of its queue.
        Runtime.events = queue.Queue()
        process = subprocess.Popen([program], stdout=subprocess.DEVNULL, env=self.environment)
        try:
            for number, event in enumerate(self.events):
                if number == UNMEASURED:
                    began, used, requests = time.monotonic(), processor_seconds(process), Store.requests
                self.invoke(event)
            elapsed, used = time.monotonic() - began, processor_seconds(process) - used
            requests, alarms = Store.requests - requests, Store.alarms
            self.invoke(self.violating)
            if alarms or not Store.alarms:
                raise SystemExit(f"{program} wrote {alarms} alarms before the violation, and {Store.alarms} after it.")
        finally:
            Store.alarms = 0
            process.terminate()
            process.wait(30)
        count = self.batches * THINGS
        return used / count * 1e6, count / elapsed, requests / count

    def invoke(self, event):
        Runtime.events.put(event)
        path, answer = Runtime.answers.get(timeout=60)
        if not path.endswith("/response") or json.loads(answer) != {"batchItemFailures": []}:
            raise SystemExit(f"An invocation failed: {path} {answer!r}")
