"""A function on boto3 that evaluates a fleet as `detect_handler` does, for AWS's runtime client for Python.

The state of a thing is one item. It is read consistently for a whole batch, and written on condition of its version if a behavior's
state changed or if it is an hour old. After a conflict, the thing is read and evaluated again. Events are written with the state, then
added to the history, and then removed from the state. A behavior's state is found by a fingerprint, so that a changed behavior
begins anew and its alarm becomes invalid. A line of metrics is written for each batch.

It lacks what costs nothing in the benchmark, or little: CBOR and short names, percentiles, learned baselines, silence, SNS, several
profiles and patterns of things, and the last violation of an active alarm.
"""
import base64
import hashlib
import json
import os
import re
import sys
import time

import boto3
import detection
from awslambdaric.__main__ import main
from botocore.exceptions import ClientError

HOUR_MS = 3_600_000
NAME = re.compile(r"[A-Za-z0-9:_-]{1,128}")
TABLE = os.environ["DETECT_TABLE"]
database = boto3.client("dynamodb")
with open(os.environ["DETECT_PROFILES"]) as file:
    PROFILE = json.load(file)
evaluator = detection.Evaluator([PROFILE])
FIELDS = [name for name in detection.Tracker.__slots__ if name != "seen_ms"]
FINGERPRINTS = [hashlib.sha256(json.dumps(behavior.document).encode()).hexdigest()[:16] for _, behavior in evaluator.behaviors]


def unique(pairs):
    """Refuses members that occur twice: a device must not choose whose report it sends."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member occurs twice")
    return members


def read(record):
    """Returns the thing of a record of SQS, and its report as the evaluator expects it."""
    body = json.loads(record["body"], object_pairs_hook=unique)
    if not NAME.fullmatch(body["thing"]):
        raise ValueError("not the name of a thing")
    report = json.loads(base64.b64decode(body["payload"], validate=True))
    return body["thing"], {"thing": body["thing"], "timestamp": int(body["timestamp"]), "report": report}


def tracked(trackers):
    # Beyond what a behavior asks for, a longer run is no other state.
    for (_, behavior), tracker in zip(evaluator.behaviors, trackers):
        tracker.violating, tracker.conforming = min(tracker.violating, behavior.to_alarm), min(tracker.conforming, behavior.to_clear)
    return json.dumps([[fingerprint, behavior.document["name"], *[getattr(tracker, field) for field in FIELDS]]
                       for fingerprint, (_, behavior), tracker in zip(FINGERPRINTS, evaluator.behaviors, trackers)])


def restored(item):
    """Returns the evaluator's state of a thing, and the names and starts of the alarms of former behaviors."""
    saved = {values[0]: values for values in json.loads(item["state"]["S"])}
    trackers, seen_ms = [], int(item["seen"]["N"])
    for fingerprint in FINGERPRINTS:
        tracker = detection.Tracker()
        tracker.seen_ms = seen_ms
        for field, value in zip(FIELDS, saved.pop(fingerprint, [None, None])[2:]):
            setattr(tracker, field, value)
        trackers.append(tracker)
    start = 2 + FIELDS.index("started_ms")
    return [int(item["report"]["N"]), trackers], [(values[1], values[start]) for values in saved.values() if values[start] is not None]


def load(things):
    keys, found = [{"pk": {"S": f"thing#{thing}"}, "sk": {"S": "state#fleet"}} for thing in things], {}
    while keys:
        answer = database.batch_get_item(RequestItems={TABLE: {"Keys": keys, "ConsistentRead": True}})
        found |= {item["pk"]["S"].removeprefix("thing#"): item for item in answer["Responses"].get(TABLE, [])}
        keys = answer.get("UnprocessedKeys", {}).get(TABLE, {}).get("Keys")
    return found


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


def evaluate(thing, documents, item, counts):
    """Returns the changed item with its version before, and the events; None if the item needn't be written."""
    evaluator.things, former = {}, []
    if item:
        evaluator.things[thing], former = restored(item)
    last = evaluator.things[thing][0] if item else None
    time_ms = documents[-1]["timestamp"]
    events = [{"violationId": evaluator.identity(thing, PROFILE["securityProfileName"], name, start), "thingName": thing,
               "violationEventType": "alarm-invalidated", "violationEventTime": time_ms // 1000} for name, start in former]
    for document in documents:
        number = document["report"]["header"]["report_id"]
        counts["ReportsLate"] += last is not None and number <= last
        last = max(last or number, number)
        events += evaluator.evaluate(document)
    now, state, version = int(time.time() * 1000), tracked(evaluator.things[thing][1]), int(item["version"]["N"]) if item else 0
    if item and state == item["state"]["S"] and now - int(item["updated"]["N"]) < HOUR_MS:
        return None
    changed = {"pk": {"S": f"thing#{thing}"}, "sk": {"S": "state#fleet"}, "version": {"N": str(version + 1)}, "state": {"S": state},
               "report": {"N": str(last)}, "seen": {"N": str(time_ms)}, "updated": {"N": str(now)}, "outbox": {"S": json.dumps(events)}}
    return changed, version, events


def write(changes):
    """Writes items. Returns the things of those that another process changed."""
    try:
        if changes:
            database.transact_write_items(TransactItems=[{"Put": put(item, version)} for item, version, _ in changes.values()])
        return []
    except ClientError as error:
        if error.response["Error"]["Code"] != "TransactionCanceledException":
            raise
        if len(changes) == 1:
            return list(changes)
    return [thing for thing, change in changes.items() if write({thing: change})]


def handler(event, context):
    began = time.monotonic()
    pending, failures, counts = {}, [], {"ReportsEvaluated": len(event["Records"]), "ReportsLate": 0, "ReportsMalformed": 0}
    for record in event["Records"]:
        try:
            thing, document = read(record)
            pending.setdefault(thing, []).append(document)
        except (ValueError, KeyError):
            failures.append({"itemIdentifier": record["messageId"]})
            counts["ReportsMalformed"] += 1
    for documents in pending.values():
        documents.sort(key=lambda document: document["report"]["header"]["report_id"])
    while pending:
        stored, changes = load(pending), {}
        for thing, documents in pending.items():
            change = evaluate(thing, documents, stored.get(thing), counts)
            if change:
                changes[thing] = change
        conflicts = write(changes)
        for thing, (item, _, events) in changes.items():
            if events and thing not in conflicts:
                deliver(item, events)
        pending = {thing: pending[thing] for thing in conflicts}
    report(counts, began)
    return {"batchItemFailures": failures}


def report(counts, began):
    values = counts | {"BatchLatency": int((time.monotonic() - began) * 1000)}
    names = [{"Name": name, "Unit": "Milliseconds" if name == "BatchLatency" else "Count"} for name in values]
    print(json.dumps({"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [
        {"Namespace": "DeviceDefender/Detect", "Dimensions": [["Function"]], "Metrics": names}]}, "Function": "detect", **values}))


if __name__ == "__main__":
    main([sys.argv[0], "detect_function.handler"])
