"""The reports of a fleet, and the queue that delivers them to workers and gets back what failed."""
import base64
import collections
import json
import os
import threading
import time

import cbor2
import reports as report_format

# Yesterday, because the sweep invalidates alarms of things that are silent for two days.
START = int(time.time()) - 86_400
BATCH = 100
PROFILE = {
    "securityProfileName": "fleet",
    "behaviors": [
        {"name": "ports", "metric": "aws:listening-tcp-ports",
         "criteria": {"comparisonOperator": "in-port-set", "value": {"ports": [22, 443]}}},
        {"name": "connections", "metric": "aws:num-established-tcp-connections", "criteria": {
            "comparisonOperator": "less-than", "value": {"count": 100}, "consecutiveDatapointsToAlarm": 2,
            "consecutiveDatapointsToClear": 2}},
        {"name": "load", "metric": "load", "suppressAlerts": True, "criteria": {
            "comparisonOperator": "less-than-equals", "value": {"number": 1.5}, "consecutiveDatapointsToAlarm": 3}},
    ],
}


def generate(random, things, count):
    """Returns bodies of records, shuffled across things: each as (thing, document, body)."""
    made = []
    modes = {}
    order = [f"pump-{index % things}" for index in range(count)]
    random.shuffle(order)
    ids = collections.Counter()
    for thing in order:
        ids[thing] += 1
        number = START + ids[thing] * 300
        # A thing stays normal or not for several reports, so that most of them change nothing.
        if random.random() < 0.05:
            modes[thing] = random.choice(["normal", "normal", "ports", "connections", "load"])
        mode = modes.get(thing, "normal")
        ports = [22, 8080] if mode == "ports" else random.choice([[], [22], [443, 22]])
        document = {
            "header": {"report_id": number, "version": "1.0"},
            "metrics": {
                "listening_tcp_ports": {"ports": [{"port": port} for port in ports], "total": len(ports)},
                "tcp_connections": {"established_connections": {"connections": [], "total": 200 if mode == "connections" else 5}}},
            "custom_metrics": {"load": [{"number": 2.5 if mode == "load" else 0.5}]},
        }
        made.append((thing, number, document, body(random, thing, number, document)))
        if random.random() < 0.03:  # a duplicate
            made.append(made[-1])
    # Some arrive late.
    for _ in range(count // 50):
        place = random.randrange(len(made))
        made.insert(min(len(made), place + random.randrange(1, 4 * things)), made.pop(place))
    return made


def body(random, thing, number, document):
    """Returns the record that one of the rules in docs/detect-fleet.md makes of a report."""
    beside = {"timestamp": number * 1000}
    beside |= {"thing": thing} if random.random() < 0.5 else {"topic": f"$aws/things/{thing}/defender/metrics/json"}
    if random.random() < 0.5:
        document = report_format.renamed(document, report_format.SHORT_OF_LONG)
    if random.random() < 0.5:
        return json.dumps({"cbor": base64.b64encode(cbor2.dumps(document)).decode()} | beside)
    return json.dumps(document | beside)


class Fleet:
    """Delivers records in batches, at least once, as Lambda's event source mapping does."""

    def __init__(self, records, folder, batch_size=BATCH):
        self.records = collections.deque(records)
        self.batch_size = batch_size
        self.lock = threading.Lock()
        self.output = open(os.path.join(folder, "output"), "wb")
        self.errors = open(os.path.join(folder, "errors"), "wb")
        self.in_flight = 0
        self.numbers = 0
        # By thing: the ids of the reports that were written, in the order of the writes.
        self.commits = collections.defaultdict(list)
        # By worker: the last report id of each thing that it read last.
        self.reads = collections.defaultdict(dict)
        # (thing, id, last id that the worker had read before it accepted the record)
        self.accepted = []
        self.malformed = []
        self.errors_of_invocations = []

    def close(self):
        self.output.close()
        self.errors.close()

    def wrote(self, item):
        if "state" not in item:
            return
        thing = item["pk"]["S"].removeprefix("thing#")
        (state,) = cbor2.loads(base64.b64decode(item["state"]["B"]))["things"] or [{}]
        last = state.get("last_report_id")
        if last is not None and self.commits[thing][-1:] != [last]:
            self.commits[thing].append(last)

    def read(self, worker, responses):
        for items in responses.values():
            for item in items:
                if "state" not in item:
                    continue
                (state,) = cbor2.loads(base64.b64decode(item["state"]["B"]))["things"]
                self.reads[worker.number][item["pk"]["S"].removeprefix("thing#")] = state.get("last_report_id", 0)

    def batch(self):
        """Returns the next records, of different things; nil at the end."""
        with self.lock:
            batch, things, skipped = [], set(), []
            while self.records and len(batch) < self.batch_size and len(skipped) < 4 * self.batch_size:
                record = self.records.popleft()
                if record[0] in things:
                    skipped.append(record)
                else:
                    things.add(record[0])
                    batch.append(record)
            self.records.extendleft(reversed(skipped))
            self.in_flight += 1 if batch else 0
            self.numbers += 1
            return self.numbers, batch

    def give_back(self, records):
        with self.lock:
            self.records.extend(records)

    def run(self, worker, first=None):
        """Delivers batches to a worker until none is left, beginning with `first`, which the caller took from `batch`."""
        while True:
            number, batch = first or self.batch()
            first = None
            if not batch:
                with self.lock:
                    if self.in_flight == 0:
                        return
                time.sleep(0.05)
                continue
            event = {"Records": [{"eventSource": "aws:sqs", "messageId": str(index), "body": record[3]}
                                 for index, record in enumerate(batch)]}
            self.reads[worker.number] = {}
            response, error = worker.invoke(number, event, int((time.time() + 100) * 1000))
            if response is None:
                self.errors_of_invocations.append(error)
                failed = set(range(len(batch)))
            else:
                failed = {int(failure["itemIdentifier"]) for failure in response["batchItemFailures"]}
            again = []
            for index, record in enumerate(batch):
                if index not in failed:
                    self.accepted.append((record[0], record[1], self.reads[worker.number].get(record[0], 0)))
                elif record[2] is None:
                    self.malformed.append(record)  # the queue would move it to the dead-letter queue
                else:
                    again.append(record)
            self.give_back(again)
            with self.lock:
                self.in_flight -= 1
