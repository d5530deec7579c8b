"""Compares the product's events with those of the second evaluator."""


def plain(event, expected):
    """Returns an event in AWS's shape with the keys of the second evaluator, but its own violationId."""
    value = event.get("metricValue")
    if expected["type"] == "alarm-invalidated":
        value = None  # nothing says which value it has
    return {"type": event["violationEventType"], "time": event["violationEventTime"], "thing": event["thingName"],
            "profile": event["securityProfileName"], "behavior": event["behavior"]["name"], "value": value}


def difference(expected, actual):
    """Returns a description of the first difference, or None."""
    ids, violations = {}, {}
    for number, (naive, event) in enumerate(zip(expected, actual)):
        wanted = {key: value for key, value in naive.items() if key != "violation"}
        found = plain(event, naive)
        if found != wanted:
            return f"event {number}: expected {wanted}, got {found}"
        # Each violation has one id, and each id belongs to one violation.
        identifier = event["violationId"]
        if ids.setdefault(naive["violation"], identifier) != identifier:
            return f"event {number}: the violation {ids[naive['violation']]} continues as {identifier}"
        if violations.setdefault(identifier, naive["violation"]) != naive["violation"]:
            return f"event {number}: the id {identifier} belongs to an earlier violation"
    if len(expected) != len(actual):
        rest = expected[len(actual):] or actual[len(expected):]
        return f"expected {len(expected)} events, got {len(actual)}; the first one more: {rest[0]}"
    return None
