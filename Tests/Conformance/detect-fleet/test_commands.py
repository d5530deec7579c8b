"""`defender detect deploy` writes the profile that the function uses, and `defender violations` lists the alarms."""
import json
import os
import random
import subprocess
import tempfile
import time
import unittest

from aws import AWS, REGION, TABLE
from fleet import Fleet
from proxy import Faults
from worker import Worker

PROFILE = {"securityProfileName": "ports", "behaviors": [
    {"name": "open", "metric": "aws:listening-tcp-ports",
     "criteria": {"comparisonOperator": "in-port-set", "value": {"ports": [22, 443]}}}]}


def record(number, ports, thing):
    return json.dumps({
        "header": {"report_id": number, "version": "1.0"}, "thing": thing, "timestamp": number * 1000,
        "metrics": {"listening_tcp_ports": {"ports": [{"port": port} for port in ports], "total": len(ports)}}})


class CommandTests(unittest.TestCase):
    def setUp(self):
        self.aws = AWS()
        self.addCleanup(self.aws.stop)
        folder = tempfile.TemporaryDirectory(prefix="detect-fleet-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def defender(self, *arguments, status=0, **variables):
        environment = {
            "PATH": os.environ["PATH"], "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_ENDPOINT_URL_DYNAMODB": self.aws.url, "DETECT_TABLE": TABLE} | variables
        done = subprocess.run([os.environ["DEFENDER"], *arguments], env=environment, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout if status == 0 else done.stderr

    def test_a_deployed_profile_raises_alarms_that_are_listed(self):
        path = os.path.join(self.folder, "profile.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(PROFILE, file)
        deployed = self.defender("detect", "deploy", "--things", "pump-*", path)
        self.assertEqual(deployed, "Deployed 'ports' for the things 'pump-*'. It takes effect within a minute.\n")
        fleet = Fleet([], self.folder)
        self.addCleanup(fleet.close)
        worker = Worker(0, fleet, self.aws.port, Faults(random.Random(1), rate=0), os.environ["BOOTSTRAP"], "/nonexistent")
        worker.start()
        self.addCleanup(worker.stop)
        now = int(time.time())
        records = [(now - 60, [8080], "pump-1"), (now - 50, [22], "pump-1"), (now - 40, [9090], "pump-2"), (now, [1], "valve-1")]
        event = {"Records": [{"eventSource": "aws:sqs", "messageId": str(index), "body": record(*one)}
                             for index, one in enumerate(records)]}
        answer = worker.invoke(1, event, int((time.time() + 100) * 1000))
        self.assertEqual(answer, ({"batchItemFailures": []}, None))

        (alarm,) = json.loads(self.defender("violations", "--active"))["activeViolations"]
        self.assertEqual((alarm["thingName"], alarm["lastViolationValue"]), ("pump-2", {"ports": [9090]}))
        self.assertEqual(alarm["violationStartTime"], now - 40)
        events = json.loads(self.defender("violations", "--thing", "pump-1", "--since", "1h"))["violationEvents"]
        self.assertEqual([one["violationEventType"] for one in events], ["in-alarm", "alarm-cleared"])
        self.assertEqual(len({one["violationId"] for one in events}), 1)
        self.assertEqual(json.loads(self.defender("violations", "--thing", "pump-1", "--until", "30s", "--since", "45s")),
                         {"violationEvents": []})

    def test_a_table_that_is_missing_is_named(self):
        message = self.defender("violations", "--active", "--table", "other", status=1)
        self.assertIn("'other'", message)
        self.assertIn("Create the table in this region", message)


if __name__ == "__main__":
    unittest.main()
