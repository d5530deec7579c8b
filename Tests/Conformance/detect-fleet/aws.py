"""moto's services in a process of their own, the table, the topic and the queue of the test, and their contents afterwards."""
import json
import socket
import subprocess
import sys
import time

import boto3

REGION = "eu-west-1"
TABLE = "fleet"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class AWS:
    def __init__(self, deadline_seconds=60):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + deadline_seconds
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
        self.database = self.client("dynamodb")
        self.database.create_table(
            TableName=TABLE, BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in
                                  (("pk", "S"), ("sk", "S"), ("attention", "S"), ("updated", "N"))],
            GlobalSecondaryIndexes=[{"IndexName": "attention", "Projection": {"ProjectionType": "KEYS_ONLY"}, "KeySchema": [
                {"AttributeName": "attention", "KeyType": "HASH"}, {"AttributeName": "updated", "KeyType": "RANGE"}]}])
        sns, self.queues = self.client("sns"), self.client("sqs")
        self.topic = sns.create_topic(Name="alarms")["TopicArn"]
        self.queue = self.queues.create_queue(QueueName="alarms")["QueueUrl"]
        arn = self.queues.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})

    def client(self, service):
        return boto3.client(service, region_name=REGION, endpoint_url=self.url, aws_access_key_id="AKID",
                            aws_secret_access_key="none")

    def stop(self):
        self.process.terminate()
        self.process.wait(30)

    def items(self):
        for page in self.database.get_paginator("scan").paginate(TableName=TABLE, ConsistentRead=True):
            yield from page["Items"]

    def history(self):
        """Returns the events that the table keeps."""
        return [json.loads(item["event"]["B"]) for item in self.items() if item["sk"]["S"].startswith("event#")]

    def messages(self):
        """Returns the messages that SNS delivered, repeated ones included."""
        found = []
        while True:
            batch = self.queues.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", [])
            if not batch:
                return found
            found += [json.loads(message["Body"]) for message in batch]
            self.queues.delete_message_batch(QueueUrl=self.queue, Entries=[
                {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]} for index, message in enumerate(batch)])
