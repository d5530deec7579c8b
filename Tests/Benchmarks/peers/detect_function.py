"""A function on boto3 that evaluates a fleet as `detect_handler` does, for AWS's runtime client for Python.

The state of a thing is one item. It is read consistently for a whole batch, and written on condition of its version if a behavior's
state changed or if it is an hour old. Events are written with the state, then added to the history, and then removed from the state.
"""
import base64
import json
import os
import sys
import time

import boto3
import detection
from awslambdaric.__main__ import main

HOUR_MS = 3_600_000
TABLE = os.environ["DETECT_TABLE"]
database = boto3.client("dynamodb")
with open(os.environ["DETECT_PROFILES"]) as file:
    PROFILE = json.load(file)
evaluator = detection.Evaluator([PROFILE])
FIELDS = [name for name in detection.Tracker.__slots__ if name != "seen_ms"]


def tracked(trackers):
    # Beyond what a behavior asks for, a longer run is no other state.
    for (_, behavior), tracker in zip(evaluator.behaviors, trackers):
        tracker.violating, tracker.conforming = min(tracker.violating, behavior.to_alarm), min(tracker.conforming, behavior.to_clear)
    return json.dumps([[getattr(tracker, field) for field in FIELDS] for tracker in trackers])


def restored(item):
    trackers = []
    for values in json.loads(item["state"]["S"]):
        tracker = detection.Tracker()
        tracker.seen_ms = int(item["seen"]["N"])
        for field, value in zip(FIELDS, values):
            setattr(tracker, field, value)
        trackers.append(tracker)
    return [int(item["report"]["N"]), trackers]


def load(things):
    keys = [{"pk": {"S": f"thing#{thing}"}, "sk": {"S": "state#fleet"}} for thing in things]
    answer = database.batch_get_item(RequestItems={TABLE: {"Keys": keys, "ConsistentRead": True}})
    return {item["pk"]["S"].removeprefix("thing#"): item for item in answer["Responses"].get(TABLE, [])}


def put(item, version):
    condition = {"ConditionExpression": "version = :version", "ExpressionAttributeValues": {":version": {"N": str(version)}}}
    if version == 0:
        condition = {"ConditionExpression": "attribute_not_exists(pk)"}
    return {"TableName": TABLE, "Item": item, **condition}


def deliver(item, events):
    """Adds events to the history, and removes them from the item."""
    entries = [{"PutRequest": {"Item": {
        "pk": item["pk"], "sk": {"S": f"event#{event['violationEventTime']}#{event['violationId']}"},
        "document": {"S": json.dumps(event)}}}} for event in events]
    database.batch_write_item(RequestItems={TABLE: entries})
    version = int(item["version"]["N"])
    database.put_item(**put(item | {"outbox": {"S": "[]"}, "version": {"N": str(version + 1)}}, version))


def handler(event, context):
    records, failures = {}, []
    for record in event["Records"]:
        try:
            body = json.loads(record["body"])
            report = json.loads(base64.b64decode(body["payload"]))
            records.setdefault(body["thing"], []).append({**body, "report": report})
        except (ValueError, KeyError):
            failures.append({"itemIdentifier": record["messageId"]})
    stored, puts, waiting = load(records), [], []
    for thing, documents in records.items():
        item = stored.get(thing)
        evaluator.things = {thing: restored(item)} if item else {}
        events = [found for document in documents for found in evaluator.evaluate(document)]
        last, trackers = evaluator.things[thing]
        now, state, version = int(time.time() * 1000), tracked(trackers), int(item["version"]["N"]) if item else 0
        if item and state == item["state"]["S"] and now - int(item["updated"]["N"]) < HOUR_MS:
            continue
        changed = {"pk": {"S": f"thing#{thing}"}, "sk": {"S": "state#fleet"}, "version": {"N": str(version + 1)}, "state": {"S": state},
                   "report": {"N": str(last)}, "seen": {"N": str(documents[-1]["timestamp"])}, "updated": {"N": str(now)},
                   "outbox": {"S": json.dumps(events)}}
        puts.append({"Put": put(changed, version)})
        if events:
            waiting.append((changed, events))
    if puts:
        database.transact_write_items(TransactItems=puts)
    for item, events in waiting:
        deliver(item, events)
    return {"batchItemFailures": failures}


if __name__ == "__main__":
    main([sys.argv[0], "detect_function.handler"])
