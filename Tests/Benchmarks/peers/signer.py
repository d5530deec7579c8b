"""Prints the time of one botocore signature for a publish of 5,120 bytes, in microseconds, as a line of JSON."""
import json
import time

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ROUNDS, REPETITIONS = 5, 400
body = bytes(index % 251 for index in range(5120))
credentials = Credentials(
    "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJHMEUCIQ+/abc+def==")
url = "https://data-ats.iot.us-east-1.amazonaws.com/topics/%24aws%2Fthings%2FMy%20Thing%3A1%2Fdefender%2Fmetrics%2Fjson"
signer = SigV4Auth(credentials, "iotdata", "us-east-1")
times = []
for _ in range(ROUNDS):
    start = time.perf_counter_ns()
    for _ in range(REPETITIONS):
        signer.add_auth(AWSRequest(method="POST", url=url, data=body, params={"qos": "1"}))
    times.append((time.perf_counter_ns() - start) / REPETITIONS / 1000)
print(json.dumps({"us": sorted(times)[ROUNDS // 2]}))
