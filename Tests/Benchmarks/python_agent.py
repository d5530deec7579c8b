"""Prints the median CPU time of the Python agent's collect_metrics(), in microseconds, as a line of JSON."""
import json
import sys
import time
import types

# The agent imports the `cbor` package only to encode, which isn't measured here.
sys.modules.setdefault("cbor", types.ModuleType("cbor"))
from AWSIoTDeviceDefenderAgentSDK.collector import Collector  # noqa: E402

rounds = int(sys.argv[1])
collector = Collector(False)
times = []
for _ in range(rounds):
    start = time.process_time_ns()
    collector.collect_metrics()
    times.append((time.process_time_ns() - start) / 1000)
print(json.dumps({"agent_us": sorted(times)[len(times) // 2]}))
