"""publisher.py COUNT: publishes with botocore in the same way as publishing-benchmark, and prints the same line of JSON."""
import json
import os
import sys
import time

import botocore.session

count = int(sys.argv[1])
payload = bytes(index % 251 for index in range(1000))
client = botocore.session.get_session().create_client("iot-data", endpoint_url=os.environ["AWS_ENDPOINT_URL_IOT_DATA_PLANE"])


def publish():
    client.publish(topic="$aws/things/benchmark/defender/metrics/json", qos=1, payload=payload)


publish()
first = time.process_time_ns() / 1000
times = []
for _ in range(count):
    start = time.perf_counter_ns()
    publish()
    times.append((time.perf_counter_ns() - start) / 1000)
later = (time.process_time_ns() / 1000 - first) / count
with open("/proc/self/smaps_rollup") as file:
    anonymous = next(int(line.split()[1]) for line in file if line.startswith("Anonymous:"))
print(json.dumps({"first_cpu_us": first, "later_us": sorted(times)[count // 2], "later_cpu_us": later, "anonymous_kib": anonymous}))
