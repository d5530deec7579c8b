"""Sixteen concurrent functions with faults everywhere raise exactly the alarms of the second evaluator."""
import copy
import json
import os
import random
import tempfile
import threading
import time
import unittest

import naive
import reports as report_format
from aws import AWS
from fleet import PROFILE, Fleet, generate
from proxy import Faults
from worker import Worker

WORKERS = 16
COUNT = int(os.environ["FLEET_REPORTS"])
SEED = int(os.environ["FLEET_SEED"])
THINGS = max(1, min(2000, COUNT // 5))


def shape(event, violation):
    """Returns what both evaluators say about an event."""
    return (event["thingName"], event["behavior"]["name"], event["violationEventType"], event["violationEventTime"],
            json.dumps(event.get("metricValue"), sort_keys=True), violation)


class FleetTest(unittest.TestCase):
    def setUp(self):
        self.aws = AWS()
        self.addCleanup(self.aws.stop)
        folder = tempfile.TemporaryDirectory(prefix="detect-fleet-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.random = random.Random(SEED)

    def workers(self, fleet, count, rate):
        profile = PROFILE | {"alertTargets": {"SNS": {
            "alertTargetArn": self.aws.topic, "roleArn": "arn:aws:iam::123456789012:role/alarms"}}}
        path = os.path.join(self.folder, "fleet.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"things": ["pump-*"], "profile": profile}, file)
        workers = []
        for number in range(count):
            faults = Faults(random.Random(f"{SEED} {number}"), rate)
            worker = Worker(number, fleet, self.aws.port, faults, os.environ["BOOTSTRAP"], path)
            worker.start()
            self.addCleanup(worker.stop)
            workers.append(worker)
        return workers

    def deliver(self, fleet, workers):
        threads = [threading.Thread(target=fleet.run, args=(worker,)) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def test_alarms(self):
        records = generate(self.random, THINGS, COUNT)
        poison = [("pump-0", 0, None, '{"thing":"pump-0","header":'), ("pump-1", 0, None, "not JSON")]
        for record in poison:
            records.insert(self.random.randrange(len(records)), record)
        fleet = Fleet(records, self.folder)
        self.addCleanup(fleet.close)
        workers = self.workers(fleet, WORKERS, rate=1.0)
        began = time.monotonic()
        self.deliver(fleet, workers)
        seconds = time.monotonic() - began
        self.sweep(fleet, workers[0])
        documents = {(record[0], record[1]): report_format.read(record[2], record[0]) for record in records if record[2]}

        expected = self.check_judgements(fleet, documents)
        history = self.aws.history()
        self.assertEqual(self.numbered(history), expected)
        alerts = [event for event in history if event["behavior"]["name"] != "load"]
        messages = self.aws.messages()
        for message in messages:
            message["violationEventTime"] //= 1000
        unique = {json.dumps(message, sort_keys=True) for message in messages}
        self.assertEqual(unique, {json.dumps(event, sort_keys=True) for event in alerts})
        self.assertEqual(sorted(record[3] for record in fleet.malformed), sorted(record[3] for record in poison))
        late = sum(1 for thing, number, read in fleet.accepted if number <= read)
        kills = sum(worker.kills for worker in workers)
        self.assertGreater(late, 0)
        self.assertGreater(kills, 0)
        print(f"\n{len(records)} records in {seconds:.0f} s: {len(history)} events, {len(messages) - len(unique)} repeated messages, "
              f"{late} late or duplicate, {kills} processes killed, {len(fleet.errors_of_invocations)} failed invocations")

    def sweep(self, fleet, worker):
        """Sweeps until no event waits, without faults, at most twice: once is enough after the patience of 60 s."""
        worker.proxy.faults.rate = 0
        for patience in (0, 62):
            if not any("outbox" in item for item in self.aws.items()):
                return
            time.sleep(patience)
            response, error = worker.invoke(f"sweep{patience}", {"sweep": True}, int((time.time() + 100) * 1000))
            self.assertEqual((response, error), ({}, None))
        self.assertFalse([item["pk"]["S"] for item in self.aws.items() if "outbox" in item])

    def check_judgements(self, fleet, documents):
        """Evaluates each thing's committed reports in their order, and returns the events.

        Also checks that a report that was accepted and not committed was late, or changes nothing after the state that was read."""
        expected = set()
        skipped = {}
        for thing, number, read in fleet.accepted:
            if number > read and number not in fleet.commits[thing]:
                skipped.setdefault(thing, []).append((read, number))
        for thing in set(fleet.commits) | set(skipped):
            commits = fleet.commits[thing]
            self.assertEqual(commits, sorted(set(commits)), thing)
            evaluator = naive.Evaluator([PROFILE])
            events = []
            waiting = sorted(skipped.get(thing, []))
            for last in [0, *commits]:
                if last:
                    events += evaluator.evaluate(documents[thing, last])
                while waiting and waiting[0][0] <= last:
                    self.check_no_change(evaluator, documents[thing, waiting.pop(0)[1]])
            self.assertFalse(waiting)
            expected |= {self.naive_shape(event) for event in events}
        begin = {event[-1]: event[3] for event in expected if event[2] == "in-alarm"}
        return {(*event[:-1], begin[event[-1]]) for event in expected}

    def check_no_change(self, evaluator, report):
        other = copy.deepcopy(evaluator)
        self.assertEqual(other.evaluate(report), [], report)
        for key, tracker in other.trackers.items():
            before = evaluator.trackers.get(key)
            if tracker.violation is None:
                self.assertEqual(tracker.violating_in_a_row, before.violating_in_a_row if before else 0, (key, report))
            else:
                self.assertEqual(tracker.conforming_in_a_row, before.conforming_in_a_row, (key, report))

    @staticmethod
    def naive_shape(event):
        value = None if event["value"] is None else json.dumps(event["value"], sort_keys=True)
        return (event["thing"], event["behavior"], event["type"], event["time"], value, event["violation"])

    def numbered(self, history):
        """Returns the product's events; a violation is known by the time of its in-alarm event."""
        begin = {event["violationId"]: event["violationEventTime"] for event in history
                 if event["violationEventType"] == "in-alarm"}
        return {shape(event, begin[event["violationId"]]) for event in history}


if __name__ == "__main__":
    unittest.main()
