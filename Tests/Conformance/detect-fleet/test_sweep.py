"""A sweep of 100,000 active alarms, and a batch of things with full outboxes, fit into the function's memory."""
import base64
import http.server
import json
import os
import random
import re
import tempfile
import threading
import time
import unittest

import cbor2
from fleet import Fleet
from proxy import Faults, Server
from test_commands import PROFILE, record
from worker import Worker

SHARDS = 16
ALARMS = 100_000
# The function has 128 MB. The rest is for the execution environment, and for items that are larger than these.
MEMORY_LIMIT_MB = 64
# The largest outbox is a full one, below 100 KB, to which one report adds 150 KB.
OUTBOX_KB = 245
OUTBOX_MEMORY_LIMIT_MB = 100
# DynamoDB reads at most 16 MB at once, and leaves the other keys unprocessed.
READ_LIMIT = 16 << 20


class Table:
    """A table that has copies of the first item that was written, one for each of many things."""

    def __init__(self):
        self.template = None
        # The outbox of each item, in Base64; None for the template's.
        self.outbox = None
        # The number of each thing in the order of the index.
        self.things = {}
        self.reads, self.writes = 0, 0

    def fill(self, count):
        self.things = {f"pump-{number}": number for number in range(count)}

    def item(self, thing):
        state = cbor2.loads(base64.b64decode(self.template["state"]["B"]))
        state["things"][0]["thing"] = thing
        outbox = {"outbox": {"B": self.outbox}} if self.outbox else {}
        return self.template | {
            "pk": {"S": f"thing#{thing}"}, "state": {"B": base64.b64encode(cbor2.dumps(state)).decode()}} | outbox

    def answer(self, operation, document):
        if operation == "PutItem":
            self.writes += 1
            self.template = document["Item"]
        if operation == "TransactWriteItems":
            self.writes += 1
            self.template = document["TransactItems"][0]["Put"]["Item"]
        if operation == "BatchGetItem":
            (keys,) = [one["Keys"] for one in document["RequestItems"].values()]
            keys, rest = self.within_limit(keys)
            self.reads += len(keys)
            names = [key["pk"]["S"].removeprefix("thing#") for key in keys]
            return {"Responses": {"fleet": [self.item(name) for name in names if name in self.things]},
                    "UnprocessedKeys": {"fleet": {"Keys": rest}} if rest else {}}
        if operation == "Query" and document.get("IndexName") == "attention":
            return self.page(document)
        return {"Items": []}

    def within_limit(self, keys):
        if not self.outbox:
            return keys, []
        count = READ_LIMIT // (len(self.outbox) * 3 // 4)
        return keys[:count], keys[count:]

    def page(self, document):
        shard = int(document["ExpressionAttributeValues"][":p"]["S"])
        start = document.get("ExclusiveStartKey")
        begin = self.things[start["pk"]["S"].removeprefix("thing#")] + SHARDS if start else shard
        # Without a limit, DynamoDB returns 1 MB.
        numbers = range(begin, len(self.things), SHARDS)
        page = numbers[:min(document.get("Limit", 10_000), 10_000)]
        keys = [{"pk": {"S": f"thing#pump-{number}"}, "sk": self.template["sk"]} for number in page]
        return {"Items": keys} | ({"LastEvaluatedKey": keys[-1]} if len(page) < len(numbers) else {})


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        answer = json.dumps(self.server.table.answer(operation, json.loads(body))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


class MemoryTest(unittest.TestCase):
    def setUp(self):
        self.table = Table()
        server = Server(("127.0.0.1", 0), Handler)
        server.table = self.table
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        folder = tempfile.TemporaryDirectory(prefix="detect-fleet-")
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "ports.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(PROFILE, file)
        fleet = Fleet([], folder.name)
        self.addCleanup(fleet.close)
        self.worker = Worker(0, fleet, server.server_address[1], Faults(random.Random(1), rate=0), os.environ["BOOTSTRAP"], path)
        self.worker.environment["AWS_ENDPOINT_URL_DYNAMODB"] = f"http://127.0.0.1:{server.server_address[1]}"
        self.worker.start()
        self.addCleanup(self.worker.stop)
        # The template is the item of a thing with an alarm.
        self.deadline = int((time.time() + 140) * 1000)
        self.assertEqual(self.invoke(1, ["pump-0"]), {"batchItemFailures": []})
        self.assertIn("attention", self.table.template)

    def invoke(self, number, things):
        event = {"Records": [{"eventSource": "aws:sqs", "messageId": thing, "body": record(int(time.time()) + number, [8080], thing)}
                             for thing in things]}
        answer, error = self.worker.invoke(number, event, self.deadline)
        self.assertIsNone(error)
        return answer

    def test_a_sweep_of_many_alarms(self):
        table = self.table
        table.fill(ALARMS)
        table.reads = table.writes = 0
        before = self.peak()
        began = time.monotonic()
        self.assertEqual(self.worker.invoke(2, {"sweep": True}, self.deadline), ({}, None))
        seconds = time.monotonic() - began
        peak = self.peak()
        print(f"\n{ALARMS} active alarms in {seconds:.0f} s: at most {peak:.0f} MB, {before:.0f} MB before")
        self.assertEqual((table.reads, table.writes), (ALARMS, 0))
        self.assertLess(peak, MEMORY_LIMIT_MB)

    def test_a_batch_of_full_outboxes(self):
        event = {"violationId": "0" * 36, "thingName": "pump-0", "securityProfileName": "ports",
                 "behavior": {"name": "open", "metric": "aws:listening-tcp-ports"}, "violationEventType": "in-alarm",
                 "violationEventTime": int(time.time()) - 3600, "metricValue": {"ports": list(range(10_000, 10_050))}}
        entry = {"event": event, "targets": ["arn:aws:sns:eu-west-1:123456789012:unknown"]}
        count = OUTBOX_KB * 1000 // (len(json.dumps(entry, separators=(",", ":"))) + 1)
        outbox = json.dumps([entry] * count, separators=(",", ":")).encode()
        self.table.outbox = base64.b64encode(outbox).decode()
        self.table.fill(100)
        before = self.peak()
        # The reports must wait until the outboxes are empty.
        answer = self.invoke(2, list(self.table.things))
        peak = self.peak()
        print(f"\n100 outboxes of {len(outbox)} bytes: at most {peak:.0f} MB, {before:.0f} MB before")
        self.assertEqual(len(answer["batchItemFailures"]), 100)
        self.assertLess(peak, OUTBOX_MEMORY_LIMIT_MB)

    def peak(self):
        """Returns the largest size of the process in memory so far, in MB."""
        with open(f"/proc/{self.worker.process.pid}/status", encoding="utf-8") as file:
            return int(re.search(r"^VmHWM:\s+(\d+) kB$", file.read(), re.MULTILINE)[1]) / 1024


if __name__ == "__main__":
    unittest.main()
