"""The invariants of the soak test, which the servers check when they answer."""
import json
import threading
import time


class Book:
    """Collects the logs, reports and answers of all programs. Each violation of an invariant is a breach."""

    def __init__(self, secrets):
        self.secrets, self.breaches, self.lock = secrets, [], threading.RLock()
        self.lines, self.last_lines, self.gave_up_at = 0, [], 0.0

    def breach(self, text):
        with self.lock:
            if len(self.breaches) < 100:
                self.breaches.append(text)
                print(f"BREACH {text}", flush=True)

    def log(self, name, line):
        with self.lock:
            self.lines += 1
            self.last_lines = self.last_lines[-39:] + [f"{name}: {line.rstrip()[:300]}"]
            if "giving up" in line or "gave up" in line:
                self.gave_up_at = time.monotonic()
            self.check_secrets(line, f"the log of {name}")

    def gave_up(self):
        return time.monotonic() - self.gave_up_at < 5

    def check_secrets(self, text, place):
        for kind, secret in self.secrets.items():
            if secret in text:
                self.breach(f"{place} contains the {kind}")


class Reports:
    """The reports of one program. Checks that their IDs increase and that their deltas add up to the counters.

    `bases` holds the possible values of the program's baseline: ranges of the counter `bytes_in`, or None for no baseline. A report with
    the delta `d` from a snapshot at `s` shows that the baseline was `s - d`. If the program has received the acknowledgement, `s` is the
    only possible baseline; if it may have received it, `s` is added. After a restart, the saved state is the baseline.
    """

    def __init__(self, name, book, scale=1):
        self.name, self.book, self.scale = name, book, scale
        self.bases, self.last_id, self.seen, self.published = [None], 0, {}, 0
        self.earlier, self.acknowledged, self.may_lack, self.has_saved = 0, {None}, False, False

    def take(self, body, span):
        """Checks a report whose snapshot was taken while the counter was within `span`. Returns the function to call when it
        has been answered."""
        text = body.decode()
        self.book.check_secrets(text, f"a report of {self.name}")
        report = json.loads(text)
        number = report["header"]["report_id"]
        if number in self.seen:
            if self.seen[number][0] != text:
                self.breach(f"report {number} was sent again with different contents")
            return self.seen[number][1]
        if number <= self.last_id:
            self.breach(f"report {number} came after {self.last_id}")
        self.last_id = number
        stats = report["metrics"].get("network_stats")
        if stats is None:
            self.check_lack(number)
            answered = lambda delivery: self.answered_without_stats(delivery, span)
        else:
            base, now = self.with_stats(number, stats, span)
            answered = lambda delivery: self.answered(delivery, base, now)
        # A report is resent soon or not at all.
        self.seen = dict(list(self.seen.items())[-20:]) | {number: (text, answered)}
        self.earlier = span[1]
        return answered

    def check_lack(self, number):
        if None not in self.bases and not self.may_lack:
            self.breach(f"report {number} has no network_stats, although there was a baseline")

    def with_stats(self, number, stats, span):
        delta = stats["bytes_in"]
        if self.scale > 1:
            steps = delta // self.scale
            wanted = {"bytes_in": steps * self.scale, "bytes_out": 2 * steps * self.scale,
                      "packets_in": steps * 7, "packets_out": steps * 7}
            if stats != wanted:
                self.breach(f"report {number}: the counters {stats} are from different moments")
        met = [base for base in self.bases
               if base and base[0] + delta <= span[1] and span[0] <= base[1] + delta]
        if not met:
            self.breach(f"report {number} has a delta of {delta} bytes at {span}, which matches none of the baselines {self.bases}")
            return span, span
        base = (min(base[0] for base in met), max(base[1] for base in met))
        now = (max(span[0], base[0] + delta), min(span[1], base[1] + delta))
        return (now[0] - delta, now[1] - delta), now

    def note(self, delivery):
        self.published += delivery == "received"
        was_lacking, self.may_lack = self.may_lack, False
        return was_lacking

    def answered(self, delivery, base, now):
        self.note(delivery)
        self.bases = {"received": [now], "maybe": [base, now], "lost": [base]}[delivery]
        if delivery != "lost":
            self.acknowledged.add(now)

    def answered_without_stats(self, delivery, span):
        """Makes the first report the baseline, if the counters could be read."""
        was_lacking = self.note(delivery)
        if delivery == "lost" or None not in self.bases:
            return
        self.bases = [span] if delivery == "received" and not was_lacking else [*self.bases, span]
        self.acknowledged.add(span)

    def restarted(self, state, span):
        """Handles a restart. `state` is the state that the ended program has saved and with which the next one continues."""
        interfaces = (state or {}).get("interfaces")
        saved = sum(each["bytes_in"] for each in interfaces) if interfaces else None
        # The ID of the first report is saved before there is a baseline.
        if saved is None and self.has_saved and state is not None:
            self.breach(f"the saved baseline is missing: {state}")
        self.has_saved |= saved is not None
        if saved is not None and self.scale > 1 and not any(
                each and each[0] <= saved <= each[1] for each in self.acknowledged):
            self.breach(f"the saved baseline {saved} was never acknowledged")
        self.bases = [None if saved is None else (saved, saved)]
        self.last_id = (state or {}).get("last_report_id", 0)
        self.seen, self.earlier = {}, span[0]

    def breach(self, text):
        self.book.breach(f"{self.name}: {text}")


class SpooledReports:
    """The reports of a program with a spool: their IDs increase except for repetitions, and their deltas add up to the counter.

    Reports that arrive are compared with the saved baseline at the end of each round, when the spool is empty.
    """

    def __init__(self, name, book):
        self.name, self.book = name, book
        self.published, self.last_id, self.seen, self.sum = 0, 0, {}, 0
        # The baseline and the sum at the end of the last round, and whether a fault allows traffic to be counted twice since then.
        self.settled, self.may_repeat = None, False

    def take(self, body):
        text = body.decode()
        self.book.check_secrets(text, f"a report of {self.name}")
        report = json.loads(text)
        number = report["header"]["report_id"]
        if number in self.seen:
            if self.seen[number] != text:
                self.breach(f"report {number} was sent again with different contents")
        else:
            # While the disk is full, a new report doesn't wait for those in the spool.
            if number <= self.last_id and not self.may_repeat:
                self.breach(f"report {number} came after {self.last_id}")
            self.last_id = max(self.last_id, number)
            self.seen[number] = text
            self.sum += report["metrics"].get("network_stats", {}).get("bytes_in", 0)
        return self.answered

    def answered(self, delivery):
        self.published += delivery == "received"

    def settle(self, state):
        """Compares the deltas since the last round with the saved baseline. No byte may be missing, and after a round without kills
        and full disks none may be counted twice."""
        baseline = sum(each["bytes_in"] for each in state["interfaces"])
        if self.settled:
            reported, wanted = self.sum - self.settled[1], baseline - self.settled[0]
            if reported < wanted or (reported > wanted and not self.may_repeat):
                self.breach(f"the deltas of a round add up to {reported} bytes, but the counter grew by {wanted}")
        self.settled, self.may_repeat = (baseline, self.sum), False

    def breach(self, text):
        self.book.breach(f"{self.name}: {text}")


class Invocations:
    """A Runtime API. Hands out an event until it is answered, and checks that it is answered once."""

    def __init__(self, plan, clock, book):
        self.plan, self.clock, self.book = plan, clock, book
        self.number, self.given_at, self.answered = 0, None, 0
        self.lock = threading.Lock()

    def answer(self, method, path, headers, body):
        nothing = lambda delivery: None
        self.book.check_secrets(body.decode("utf-8", "replace"), "an answer of the function")
        with self.lock:
            if path.endswith("/invocation/next"):
                return 200, self.head(), self.event(), nothing
            if f"/invocation/soak-{self.number}/" in path and self.given_at:
                self.answered += 1
                self.given_at = None
                self.number += 1
                return 202, {}, b"", nothing
        return 400, {}, b'{"errorType":"InvalidRequestID","errorMessage":"not now"}', nothing

    def head(self):
        if self.given_at is None:
            self.given_at = time.monotonic()
        deadline = time.time() + self.clock.offset + 30
        return {"Lambda-Runtime-Aws-Request-Id": f"soak-{self.number}",
                "Lambda-Runtime-Deadline-Ms": int(deadline * 1000),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:123456789012:function:soak"}

    def event(self):
        # Hand out the same event until it is answered.
        kinds = [b'{"reports":1}', b'{"reports":3,"interval_seconds":0.1}', b'{"reports":1,"dry_run":true}', b"[", b""]
        return kinds[[0, 1, 1, 0, 1, 2, 0, 1, 3][self.number % 9]]

    def look(self):
        given = self.given_at
        if given and time.monotonic() - given > 150:
            self.book.breach(f"the event soak-{self.number} hasn't been answered for 150 s")
            self.given_at = None
