"""Percentiles over all things: concurrent functions that share sketches, with throttles, lost responses and refused conditions."""
import collections
import json
import math
import os
import random
import tempfile
import threading
import time
import unittest

from aws import AWS
from fleet import Fleet
from proxy import Faults
from worker import Worker

LENGTH = 300
THINGS, WINDOWS, WORKERS = 160, 6, 8
PROFILE = {"securityProfileName": "percentiles", "behaviors": [
    {"name": "high", "metric": "aws:all-bytes-out", "criteria": {
        "comparisonOperator": "less-than-equals", "durationSeconds": LENGTH, "statisticalThreshold": {"statistic": "p90"}}},
    {"name": "low", "metric": "load", "criteria": {
        "comparisonOperator": "greater-than", "durationSeconds": LENGTH, "statisticalThreshold": {"statistic": "p1"}}}]}


def bucket(value):
    """Returns the bucket of a whole number: the largest p with 2^p <= value^256 is 256 times its logarithm, rounded down."""
    return ((value ** 256).bit_length() - 1) // 7 if value else -1464


def percentile(share, histogram):
    rank = max(1, math.ceil(share * sum(histogram.values()) / 100))
    for place in sorted(histogram):
        rank -= histogram[place]
        if rank <= 0:
            return place
    raise AssertionError(histogram)


class PercentileTest(unittest.TestCase):
    def setUp(self):
        self.aws = AWS()
        self.addCleanup(self.aws.stop)
        folder = tempfile.TemporaryDirectory(prefix="detect-fleet-")
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "percentiles.json")
        with open(self.path, "w", encoding="utf-8") as file:
            json.dump(PROFILE, file)
        self.fleet = Fleet([], folder.name, batch_size=THINGS // WORKERS)
        self.addCleanup(self.fleet.close)
        self.random = random.Random(int(os.environ["FLEET_SEED"]))
        # The windows are complete now; the last report is half an hour old.
        self.start = int(time.time()) // LENGTH - WINDOWS - 6
        # By behavior: the final value of each window of each thing. By window and thing: the time of its last report.
        self.values = {"high": collections.defaultdict(dict), "low": collections.defaultdict(dict)}
        self.first_report = {}

    def workers(self):
        workers = []
        for number in range(WORKERS):
            faults = Faults(random.Random(f"percentiles {number}"), rate=2)
            worker = Worker(number, self.fleet, self.aws.port, faults, os.environ["BOOTSTRAP"], self.path)
            # A process that ends between the write of a state and the addition to the sketch loses values; see docs/detect-fleet.md.
            worker.proxy.kill = lambda: None
            worker.start()
            self.addCleanup(worker.stop)
            workers.append(worker)
        return workers

    def reports(self, window):
        """Returns the records of all things in a window, one or two of each."""
        made = []
        for number in range(THINGS):
            thing = f"pump-{number}"
            offsets = sorted(self.random.sample(range(LENGTH), self.random.choice([1, 2])))
            total = 0
            for offset in offsets:
                sent = self.random.choice([0, 1, 40, self.random.randrange(900, 1_100), self.random.randrange(10 ** 9)])
                load = self.random.choice([0, 1, self.random.randrange(50, 60), self.random.randrange(10 ** 6)])
                total += sent
                self.values["high"][window][thing] = total
                self.values["low"][window][thing] = load
                seconds = (self.start + window) * LENGTH + offset
                self.first_report.setdefault((window, thing), seconds)
                document = {"header": {"report_id": seconds, "version": "1.0"}, "custom_metrics": {"load": [{"number": load}]},
                            "metrics": {"network_stats": {"bytes_in": 0, "bytes_out": sent, "packets_in": 0, "packets_out": 0}}}
                body = json.dumps(document | {"thing": thing, "timestamp": seconds * 1000})
                made.append((thing, seconds, document, body))
        # Each thing's own order is kept: a batch has one report of a thing, and its next one follows.
        first = {record[0]: record for record in reversed(made)}
        rest = [record for record in made if record is not first[record[0]]]
        begin = list(first.values())
        self.random.shuffle(begin)
        return [begin, rest]

    def deliver(self, records, workers):
        self.fleet.records.extend(records)
        # Each worker gets a batch before the first one can ask for a second one: each process adds to a shard of its own choice.
        firsts = [self.fleet.batch() for _ in workers]
        threads = [threading.Thread(target=self.fleet.run, args=pair) for pair in zip(workers, firsts)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def sketches(self):
        """Returns the number of values by bucket, by behavior and window, from the items of all shards."""
        found = collections.defaultdict(collections.Counter)
        shards = set()
        for item in self.aws.items():
            if not item["pk"]["S"].startswith("sketch#"):
                continue
            _, profile, behavior, _, window = item["pk"]["S"].split("#")
            self.assertEqual(profile, "percentiles")
            shards.add(item["sk"]["S"])
            self.assertGreater(int(item["expires"]["N"]), time.time())
            for name, count in item.items():
                if name.startswith("b"):
                    found[behavior, int(window) - self.start][int(name[1:])] += int(count["N"])
        self.assertGreater(len(shards), 1)
        return found

    def test_percentiles(self):
        workers = self.workers()
        for window in range(WINDOWS):
            for records in self.reports(window):
                self.deliver(records, workers)
        sketches = self.sketches()
        repeated = 0
        for (behavior, window), found in sketches.items():
            values = collections.Counter(bucket(value) for value in self.values[behavior][window].values())
            # A response that was lost repeats an addition of at most one batch; nothing else changes a count.
            self.assertFalse(values - found, (behavior, window))
            repeated += sum((found - values).values())
        self.assertEqual(set(sketches), {(name, window) for name in self.values for window in range(WINDOWS - 1)})
        expected = self.expected(sketches)
        actual = collections.Counter(
            (event["thingName"], event["behavior"]["name"], event["violationEventType"], event["violationEventTime"],
             round(event["metricValue"].get("count", event["metricValue"].get("number"))))
            for event in self.aws.history())
        self.assertEqual(actual, expected)
        self.assertGreater(len(expected), THINGS)
        print(f"\npercentiles: {len(expected)} events, {repeated} values counted twice after lost responses")

    def expected(self, sketches):
        """Evaluates each thing's windows against the sketches; a window is judged by the first report two windows later."""
        events = collections.Counter()
        for behavior, share in (("high", 90), ("low", 1)):
            bounds = {window: percentile(share, sketches[behavior, window]) for window in range(WINDOWS - 2)}
            for number in range(THINGS):
                thing, is_active = f"pump-{number}", False
                for window in range(WINDOWS - 2):
                    value = self.values[behavior][window][thing]
                    conforms = bucket(value) <= bounds[window] if behavior == "high" else bucket(value) > bounds[window]
                    if conforms == is_active:
                        is_active = not conforms
                        events[thing, behavior, "in-alarm" if is_active else "alarm-cleared",
                               self.first_report[window + 2, thing], value] += 1
        return events


if __name__ == "__main__":
    unittest.main()
