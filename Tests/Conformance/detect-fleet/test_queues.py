"""Reports that went through SQS and Kinesis reach the function in the events that Lambda makes of them."""
import base64
import json
import os
import random
import tempfile
import time
import unittest

from aws import AWS
from fleet import Fleet
from proxy import Faults
from test_commands import PROFILE, record
from worker import Worker


class QueueTests(unittest.TestCase):
    def setUp(self):
        self.aws = AWS()
        self.addCleanup(self.aws.stop)
        folder = tempfile.TemporaryDirectory(prefix="detect-fleet-")
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "ports.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(PROFILE, file)
        fleet = Fleet([], folder.name)
        self.addCleanup(fleet.close)
        self.worker = Worker(0, fleet, self.aws.port, Faults(random.Random(1), rate=0), os.environ["BOOTSTRAP"], path)
        self.worker.start()
        self.addCleanup(self.worker.stop)
        now = int(time.time())
        self.bodies = [record(now + number, [8080 if number == 2 else 22], "pump-1") for number in range(4)]

    def failures(self, number, records):
        response, error = self.worker.invoke(number, {"Records": records}, int((time.time() + 100) * 1000))
        self.assertIsNone(error)
        return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]

    def test_sqs(self):
        queue = self.aws.queues.create_queue(QueueName="reports")["QueueUrl"]
        for body in [*self.bodies, '{"thing":']:
            self.aws.queues.send_message(QueueUrl=queue, MessageBody=body)
        messages = []
        while len(messages) < 5:
            messages += self.aws.queues.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
        messages.sort(key=lambda message: self.bodies.index(message["Body"]) if message["Body"] in self.bodies else 9)
        failed = self.failures(1, [{"eventSource": "aws:sqs", "messageId": one["MessageId"], "receiptHandle": one["ReceiptHandle"],
                                    "body": one["Body"], "attributes": {}, "messageAttributes": {}} for one in messages])
        self.assertEqual(failed, [messages[-1]["MessageId"]])
        self.assertEqual(sorted(event["violationEventType"] for event in self.aws.history()), ["alarm-cleared", "in-alarm"])

    def test_kinesis(self):
        stream = self.aws.client("kinesis")
        stream.create_stream(StreamName="reports", ShardCount=1)
        for body in [*self.bodies, '{"thing":']:
            stream.put_record(StreamName="reports", Data=body.encode(), PartitionKey="pump-1")
        shard = stream.list_shards(StreamName="reports")["Shards"][0]["ShardId"]
        place = stream.get_shard_iterator(StreamName="reports", ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        found = stream.get_records(ShardIterator=place)["Records"]
        self.assertEqual(len(found), 5)
        failed = self.failures(1, [{"eventSource": "aws:kinesis", "eventID": f"{shard}:{one['SequenceNumber']}", "kinesis": {
            "sequenceNumber": one["SequenceNumber"], "partitionKey": one["PartitionKey"],
            "data": base64.b64encode(one["Data"]).decode()}} for one in found])
        self.assertEqual(failed, [])
        self.assertEqual(sorted(event["violationEventType"] for event in self.aws.history()), ["alarm-cleared", "in-alarm"])


if __name__ == "__main__":
    unittest.main()
