"""The benchmarks. Each returns groups: a title, a unit, and rows of a name, a value and whether the row is this project's."""
import json
import os
import re
import subprocess
import sys

import fleet
import tools
from tools import HERE, PEERS, RELEASE, WORK

ENVIRONMENT = {
    "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "AWS_IOT_THING_NAME": "one", "DEFENDER_TOPIC": "one/metrics",
    "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_LAMBDA_FUNCTION_NAME": "echo", "AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
    "AWS_EC2_METADATA_DISABLED": "true",
}
FLOOR, ECHO, RIC = "C, the least there is", "this runtime, echo", "awslambdaric (Python)"
ASYNC_ECHO = "this runtime, async echo"
AGENT, PYTHON_AGENT, NETLINK_FLOOR = "this agent", "Python agent (psutil)", "plain C over netlink"
CRYPTO, LIBCURL = "C over libcrypto", "C over libcurl, unsigned"
DETECTION, PLAIN_PYTHON = "defender detect run", "plain Python"
WITH_BASELINES = "with 7 learned baselines too"
HANDLER, BOTO3 = "detect_handler", "Python function on boto3"
RELEASED = "this agent, released"
FLEET_DETECTION = f"{DETECTION}, two more of the fleet"
GROWTH = "Anonymous memory that 100,000 publishes add"


class Group:
    """A group of measurements. The chart omits groups that are details."""

    def __init__(self, title, unit, is_detail=False):
        self.title, self.unit, self.is_detail, self.rows = title, unit, is_detail, []

    def row(self, name, value, ours=False):
        self.rows.append({"name": name, "value": value, "ours": ours})
        return self

    def value(self, name):
        return next(row["value"] for row in self.rows if row["name"] == name)

    def document(self):
        return {"title": self.title, "unit": self.unit, "is_detail": self.is_detail, "rows": self.rows}


class Programs:
    """Builds each of the echo functions once."""

    def __init__(self, peers):
        self.floor = tools.compile_c("Loopback/floor.c", "-static")
        self.echo = tools.static_echo()
        self.async_echo = tools.static_echo("async-echo-function")
        self.invocations = tools.compile_c("Loopback/invocations.c")
        self.ric = tools.python_program("echo_function.py") if peers else None

    def named(self):
        programs = {FLOOR: self.floor, ECHO: self.echo, ASYNC_ECHO: self.async_echo, RIC: self.ric}
        return {name: path for name, path in programs.items() if path}


def start(programs, rounds):
    """Measures the time from exec to the first poll, and the memory of a function that waits for its first event."""
    startup = tools.compile_c("Startup/startup.c")
    released = tools.released_bootstrap()
    detection = ENVIRONMENT | {"_HANDLER": HANDLER, "DETECT_TABLE": "fleet"}
    time = Group("Cold start: exec to the first request to the Runtime API", "ms")
    memory = Group("Anonymous memory, waiting for the first event", "MiB")
    runs = ((ENVIRONMENT, programs.named() | {RELEASED: released}), (detection, {f"{RELEASED}, {HANDLER}": released}))
    for environment, named in runs:
        keys = {f"p{number}": name for number, name in enumerate(named)}
        output = tools.run([startup, rounds, *(f"{key}={named[name]}" for key, name in keys.items())], env=environment)
        for text in output.splitlines():
            key, median, _, anonymous = text.split()
            name = keys[key]
            time.row(name, float(median) / 1000, ours=name.startswith("this"))
            memory.row(name, float(anonymous) / 1024, ours=name.startswith("this"))
    return [time, memory]


def invocations(programs, size, rounds, count):
    """Measures one warm invocation, with the function and the Runtime API on the same processor."""
    named = programs.named()
    keys = {f"p{number}": name for number, name in enumerate(named)}
    words = [f"{key}={named[name]}" for key, name in keys.items()]
    results = tools.lines([programs.invocations, rounds, count, size, *words], env=ENVIRONMENT)
    label = {128: "128 bytes", 65536: "64 KiB", 6 << 20: "6 MiB"}[size]
    unit, scale = ("ms", 1000) if size > 1 << 20 else ("µs", 1)
    time = Group(f"Warm invocation of {label}: from one event to the next", unit)
    processor = Group(f"Warm invocation of {label}: the function's CPU", unit, is_detail=True)
    for result in results:
        name = keys[result["name"]]
        time.row(name, result["us"] / scale, ours=name.startswith("this"))
        processor.row(name, result["cpu_us"] / scale, ours=name.startswith("this"))
    return [time, processor]


def events(seconds):
    """Measures a handler that answers an HTTP request of API Gateway, without the Runtime API, beyond one that returns the same bytes."""
    tools.swift_build("events-benchmark")
    times = {}
    for _ in range(3):
        for result in tools.lines([f"{RELEASE}/events-benchmark", _request(), seconds]):
            times.setdefault(result["name"], []).append(result["us"])
    echo = middle(times.pop("echo"))
    group = Group("Answering an HTTP request of API Gateway: CPU beyond echo", "µs")
    for name, values in times.items():
        group.row(name, middle(values) - echo, ours=True)
    return [group]


def _request():
    return os.path.join(tools.ROOT, "Tests", "Fixtures", "fuzz", "lambda-events", "apigateway-v2.json")


def collection(sockets, rounds, with_agent):
    """Measures the CPU time and the peak memory of one collection with real sockets."""
    tools.swift_build("collector-benchmark", "socket-load")

    def measured(*command):
        return tools.line(tools.under_sockets(command, sockets))

    own = measured(f"{RELEASE}/collector-benchmark", "collect", rounds)
    files = measured(f"{RELEASE}/collector-benchmark", "collect-files", rounds)
    time = Group(f"Collection with {sockets:,} connections: CPU", "ms")
    time.row(NETLINK_FLOOR, own["reference_us"] / 1000).row(AGENT, own["swift_us"] / 1000, ours=True)
    time.row("ss, lists them", measured(sys.executable, f"{PEERS}/ss.py", rounds)["us"] / 1000)
    if with_agent:
        agent = measured(tools.python(), f"{HERE}/python_agent.py", 5 if sockets <= 1000 else 3 if sockets <= 10000 else 1)
        time.row(PYTHON_AGENT, agent["agent_us"] / 1000)
    of_files = Group(f"Collection with {sockets:,} connections from the files of /proc: CPU", "ms", is_detail=True)
    of_files.row(AGENT, files["files_us"] / 1000, ours=True)
    memory = Group(f"Collection with {sockets:,} connections: most anonymous memory", "MiB", is_detail=True)
    memory.row(AGENT, own["anonymous_kib"] / 1024, ours=True)
    memory.row("this agent, files", files["anonymous_kib"] / 1024, ours=True)
    return [time, of_files, memory]


def allocations():
    """Counts the memory allocations of a collection, of its report and of the evaluation of reports."""
    tools.swift_build("collector-benchmark", "socket-load")
    group = Group("Allocations of one", "", is_detail=True)
    for sockets in (1000, 10000):
        group.row(f"collection, {sockets:,} connections", _each(tools.MEMCHECK, "netlink", sockets), ours=True)
        group.row(f"collection from files, {sockets:,} connections", _each(tools.MEMCHECK, "files", sockets), ours=True)
    for what in ("json", "cbor"):
        group.row(f"report of 150 entries as {what.upper()}", _each(tools.MEMCHECK, what), ours=True)
    for entries in (5, 50):
        for what, name in (("snapshot", "snapshot"), ("recorded", "recorded report")):
            group.row(f"evaluation of a {name} with lists of {entries} entries", _each(tools.MEMCHECK, f"{what}-{entries}"), ours=True)
    return [group]


def _each(valgrind, what, sockets=None):
    """Returns the increase of a valgrind count per repetition of the collector's benchmark."""
    def count(times):
        command = [*valgrind, _stripped("collector-benchmark"), "repeat", what, times]
        return tools.counted(tools.under_sockets(command, sockets) if sockets else command)[0]

    return (count(25) - count(5)) / 20


def _stripped(program):
    """Returns a copy of a program without its debug information, which valgrind 3.19 can't read."""
    stripped = os.path.join(WORK, program)
    tools.run(["strip", "-g", "-o", stripped, f"{RELEASE}/{program}"])
    return stripped


def encoding(rounds, peers):
    """Measures the encoding of a report with 50 + 50 + 50 entries."""
    tools.swift_build("collector-benchmark")
    python = tools.line([tools.python(), f"{PEERS}/encoders.py"]) if peers else None
    groups = []
    for result in tools.lines([f"{RELEASE}/collector-benchmark", "encode", str(rounds)]):
        name = result["format"]
        group = Group(f"Encoding a report of 150 entries as {name.upper()}", "µs")
        group.row("plain C", result["reference_us"]).row(AGENT, result["swift_us"], ours=True)
        if python:
            group.row("json of Python" if name == "json" else "cbor2 (Python)", python[name])
        groups.append(group)
    return groups


def signing(seconds, peers):
    """Measures one Signature Version 4 of a publish of 5,120 bytes. Alternates between the programs."""
    tools.swift_build("signing-benchmark")
    names = {"key cached": "this signer", "key and body hash cached": "this signer, a retry",
             "key derived each time": "this signer, each on another day"}
    programs = [(CRYPTO, [tools.compile_c("SigningReference/sign.c", "-lcrypto"), seconds]),
                (None, [f"{RELEASE}/signing-benchmark", str(seconds)])]
    if peers:
        programs.append(("botocore (Python)", [tools.python(), f"{PEERS}/signer.py"]))
    times = {}
    for _ in range(3):
        for name, command in programs:
            for result in tools.lines(command):
                times.setdefault(name or names[result["name"]], []).append(result["us"])
    group = Group("Signing a publish of 5 KiB", "µs")
    for name, values in times.items():
        group.row(name, middle(values), ours=name in names.values())
    return [group]


class Endpoint:
    """Runs an HTTPS server on loopback that accepts every publish, until the end of the block. Yields the client's settings."""

    def __enter__(self):
        server = tools.compile_c("Loopback/endpoint.c", "-lssl", "-lcrypto")
        certificate, key = os.path.join(WORK, "server.pem"), os.path.join(WORK, "server.key")
        tools.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                   "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-out", certificate, "-keyout", key])
        self.process = subprocess.Popen([server, certificate, key], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        url = f"https://127.0.0.1:{int(self.process.stdout.readline())}"
        self.environment = ENVIRONMENT | {"AWS_ENDPOINT_URL_IOT_DATA_PLANE": url, "AWS_CA_BUNDLE": certificate}
        # The request of the Swift benchmark, without a signature.
        self.request = os.path.join(WORK, "request")
        version = tools.run([os.path.join(tools.ROOT, "lambda", "packaging", "version")]).strip()
        lines = [f"{url}/topics/%24aws%2Fthings%2Fbenchmark%2Fdefender%2Fmetrics%2Fjson?qos=1", "X-Amz-Date: 20260101T000000Z",
                 "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/eu-west-1/iotdata/aws4_request, "
                 f"SignedHeaders=host;x-amz-date, Signature={64 * '0'}",
                 f"User-Agent: device-defender-swift/{version}", "Accept:", "Expect:", "Content-Type:", "", ""]
        with open(self.request, "wb") as file:
            file.write("\r\n".join(lines).encode() + bytes(index % 251 for index in range(1000)))
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def publishing(count, peers):
    """Measures publishes of 1,000 bytes over HTTPS to a server on loopback."""
    tools.swift_build("publishing-benchmark")
    own = f"{RELEASE}/publishing-benchmark"
    with Endpoint() as endpoint:
        programs = {LIBCURL: [tools.compile_c("Loopback/publisher.c", "-lcurl"), endpoint.request], AGENT: [own]}
        if peers:
            programs["botocore (Python)"] = [tools.python(), f"{PEERS}/publisher.py"]
        results = {name: [] for name in programs}
        for _ in range(5):
            for name, command in programs.items():
                results[name].append(tools.line([*command, count], env=endpoint.environment))
        grown = tools.line([own, 100_000], env=endpoint.environment)["grown_kib"]

    def group(title, unit, field, scale, is_detail=False):
        group = Group(title, unit, is_detail)
        for name, values in results.items():
            if field in values[0]:
                group.row(name, middle(value[field] for value in values) / scale, ours=name == AGENT)
        return group

    return [group("First publish: CPU from exec to the acknowledgement", "ms", "first_cpu_us", 1000),
            group("Later publishes: time of one", "µs", "later_us", 1),
            group("Later publishes: CPU of one", "µs", "later_cpu_us", 1, is_detail=True),
            group(f"Anonymous memory after {count:,} publishes", "MiB", "anonymous_kib", 1024),
            Group(GROWTH, "KiB", is_detail=True).row(AGENT, grown, ours=True)]


def detection(count, rounds):
    """Measures the evaluation of recorded reports of 1,000 things, also with statistical thresholds and with learned baselines, and the
    memory that a longer recording needs."""
    tools.swift_build("defender")
    profile, fleet, learned, reports, events = (
        os.path.join(WORK, f"recorded-{name}")
        for name in ("profile.json", "fleet.json", "learned.json", "reports.jsonl", "events.jsonl"))
    command = [f"{RELEASE}/defender", "detect", "run", "--json", "--profile"]
    own = {DETECTION: [*command, profile], FLEET_DETECTION: [*command, fleet],
           WITH_BASELINES: [*command, profile, "--profile", learned]}
    _write_learned_profile(learned)
    peak = {}
    for number in (count // 4, count):
        tools.run([f"{HERE}/recorded_reports.py", number, profile, reports, "--fleet-profile", fleet])
        for name, arguments in own.items():
            peak[name, number] = tools.peak_memory([*arguments, "-"], reports)
    programs = {PLAIN_PYTHON: [sys.executable, f"{PEERS}/detection.py", profile, reports]}
    programs |= {name: [*arguments, reports] for name, arguments in own.items()}
    seconds, printed = {name: [] for name in programs}, {}
    for _ in range(rounds):
        for name, command in programs.items():
            seconds[name].append(tools.processor_seconds(command, events))
            with open(events) as file:
                printed[name] = [_without_id(json.loads(line)) for line in file]
    # The second profile has two more behaviors, whose events are the only difference. The recording is too short for an alarm of a
    # baseline.
    printed[FLEET_DETECTION] = [event for event in printed[FLEET_DETECTION] if not event[3].startswith("fleet-")]
    if not printed[DETECTION] or any(found != printed[PLAIN_PYTHON] for found in printed.values()):
        sys.exit(f"{events}: the evaluators print different events")
    time = Group("Evaluating a recorded report with 10 behaviors: CPU", "µs")
    for name, values in seconds.items():
        time.row(name, middle(values) / count * 1e6, ours=name != PLAIN_PYTHON)
    memory = Group("Evaluating recorded reports of 1,000 things: most memory", "MiB", is_detail=True)
    for name, suffix in ((DETECTION, ""), (FLEET_DETECTION, ", two more behaviors of the fleet"), (WITH_BASELINES, f", {WITH_BASELINES}")):
        for part, number in (("a quarter of the reports", count // 4), ("all reports", count)):
            memory.row(part + suffix, peak[name, number] / 1024, ours=True)
    return [time, memory, *_detection_on_a_device()]


def fleet_detection(batches, rounds):
    """Measures the evaluation of batches of 100 reports, of 100 things, if no alarm changes. The table answers after a millisecond."""
    tools.swift_build("bootstrap")
    servers = fleet.Fleet(WORK, batches, ENVIRONMENT)
    programs = {HANDLER: f"{RELEASE}/bootstrap", BOTO3: tools.python_program("detect_function.py", "detection.py")}
    measured = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            measured[name].append(servers.measure(program))
    titles = (("Evaluating a report of a fleet in batches of 100: CPU", "µs", False),
              ("Reports of a fleet in batches of 100: evaluated in a second", "reports", True),
              ("Reports of a fleet in batches of 100: requests to the table for one", "requests", True))
    groups = []
    for index, (title, unit, is_detail) in enumerate(titles):
        groups.append(Group(title, unit, is_detail))
        for name, results in measured.items():
            groups[-1].row(name, middle([result[index] for result in results]), ours=name == HANDLER)
    return groups


def _write_learned_profile(path):
    """Writes a profile of seven learned baselines."""
    names = ["all-bytes-in", "all-bytes-out", "all-packets-in", "all-packets-out", "num-listening-tcp-ports", "num-listening-udp-ports",
             "num-established-tcp-connections"]
    behaviors = [{"name": name, "metric": f"aws:{name}", "criteria": {"mlDetectionConfig": {"confidenceLevel": "HIGH"}}} for name in names]
    with open(path, "w") as file:
        json.dump({"securityProfileName": "learned", "behaviors": behaviors}, file)


def _detection_on_a_device():
    """Measures one report against 100 behaviors, and a collection whose connections are compared with 1,000 networks."""
    tools.swift_build("collector-benchmark", "socket-load")
    one = tools.line([f"{RELEASE}/collector-benchmark", "detect", "11"])
    report = Group("Evaluating a report of 200 entries against 100 behaviors: CPU", "µs")
    report.row("encoding it as JSON", one["encoding_us"]).row(AGENT, one["evaluation_us"], ours=True)
    groups = [report]
    for sockets in (10_000, 100_000):
        both = tools.line(tools.under_sockets([f"{RELEASE}/collector-benchmark", "collect-and-detect", "11"], sockets))
        group = Group(f"Collection with {sockets:,} connections, evaluated against 1,000 networks: CPU", "ms")
        group.row("collection alone", both["alone_us"] / 1000).row(AGENT, both["evaluated_us"] / 1000, ours=True)
        groups.append(group)
    return groups


def _without_id(event):
    return [event[key] for key in ("thingName", "violationEventType", "violationEventTime")] + [
        event["behavior"]["name"], event.get("metricValue")]


def middle(values):
    """Returns the median of an odd number of values."""
    values = sorted(values)
    return values[len(values) // 2]


def instructions(programs):
    """Returns instruction counts by name from valgrind. They don't depend on the load of the machine."""
    counts = {}
    for size in (128, 65536):
        few, many = (
            _echo_instructions(programs, count, size) for count in (10, 110))
        counts[f"invocation of {size} bytes"] = (many - few) / 100
        if size == 128:
            counts["exec to first poll, static"] = few - 12 * counts["invocation of 128 bytes"]
    tools.swift_build("signing-benchmark", "collector-benchmark", "socket-load")
    stripped = _stripped("signing-benchmark")
    few, many = (tools.counted([*tools.CALLGRIND, stripped, "repeat", times])[0] for times in (10, 110))
    counts["signature of 5,120 bytes"] = (many - few) / 100
    tools.swift_build("events-benchmark")
    stripped = _stripped("events-benchmark")
    few, many = (tools.counted([*tools.CALLGRIND, stripped, "repeat", _request(), times])[0] for times in (10, 110))
    counts["HTTP request of API Gateway, answered"] = (many - few) / 100
    counts["report of 150 entries as JSON"] = _each(tools.CALLGRIND, "json")
    counts["report of 150 entries as CBOR"] = _each(tools.CALLGRIND, "cbor")
    # There are 20 more sockets.
    counts["socket over netlink"] = _each(tools.CALLGRIND, "netlink", 10000) / 10020
    counts["socket in a file of /proc"] = _each(tools.CALLGRIND, "files", 10000) / 10020
    counts["publish of 1,000 bytes"] = _publish_instructions()
    return counts


def _publish_instructions():
    tools.swift_build("publishing-benchmark")
    stripped = _stripped("publishing-benchmark")
    with Endpoint() as endpoint:
        few, many = (tools.counted([*tools.CALLGRIND, stripped, count], endpoint.environment)[0] for count in (10, 110))
    return (many - few) / 100


def _echo_instructions(programs, count, size):
    command = " ".join([*tools.CALLGRIND, programs.echo])
    counted = tools.counted([programs.invocations, "1", str(count), str(size), f"echo={command}"], ENVIRONMENT)
    return max(counted)


def machine():
    """Returns a description of the machine and the software."""
    with open("/proc/cpuinfo") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    swift = re.search(r"Swift version (\S+)", tools.run(["swift", "--version"]))
    return {"processor": model.group(1) if model else os.uname().machine, "processors": os.cpu_count(),
            "kernel": os.uname().release, "swift": swift.group(1) if swift else "unknown"}
