"""A proxy between one worker and moto, which injects faults and records what the worker reads and writes."""
import http.client
import http.server
import json
import socket
import struct
import threading
import zlib

# moto checks a condition and writes in two steps, which requests of other threads may come between.
DATABASE = threading.Lock()

THROTTLE = "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"
CONDITION = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"


class Faults:
    """The probability of each fault for a request."""

    def __init__(self, random, rate=1.0):
        self.random = random
        self.rate = rate

    def occurs(self, probability):
        return self.random.random() < probability * self.rate


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_POST(self):
        proxy = self.server.proxy
        body = self.rfile.read(int(self.headers["Content-Length"]))
        target = self.headers.get("X-Amz-Target", "SNS.Publish").rpartition(".")[2]
        proxy.count(target)
        fault = proxy.faults.occurs
        if fault(0.004):
            proxy.kill()  # before the request takes effect
            return self.reset()
        if fault(0.005):
            return self.reset()
        if fault(0.0001):
            proxy.stopped.wait(17)  # longer than the client waits
            return self.reset()
        if fault(0.005):
            if target.startswith("SNS"):
                return self.answer(500, b"<ErrorResponse><Error><Code>InternalError</Code></Error></ErrorResponse>")
            return self.answer(400, json.dumps({"__type": THROTTLE, "message": "slow down"}).encode())
        if target == "PutItem" and fault(0.01):
            return self.answer(400, json.dumps({"__type": CONDITION, "message": "changed"}).encode())
        status, answer, headers = proxy.forward(target, body, self.headers, fault)
        if fault(0.004):
            proxy.kill()  # after it took effect
            return self.reset()
        if fault(0.005):
            return self.reset()
        self.answer(status, answer, headers)

    def reset(self):
        self.close_connection = True
        try:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        except OSError:
            pass

    def answer(self, status, body, headers=()):
        try:
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


class Proxy:
    """`kill` ends the worker. `on_read` gets each answer of a batch read, `on_write` each item that was written."""

    def __init__(self, port, faults, kill, on_read, on_write):
        self.port, self.faults, self.kill, self.on_read, self.on_write = port, faults, kill, on_read, on_write
        self.requests = {}
        # Those of the transactions that were done: DynamoDB doesn't do them again.
        self.tokens = set()
        self.stopped = threading.Event()
        self.local = threading.local()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.proxy = self
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()

    def count(self, target):
        self.requests[target] = self.requests.get(target, 0) + 1

    def forward(self, target, body, headers, fault):
        dropped = None
        if target == "BatchGetItem" and fault(0.02):
            body, dropped = self.without_last_key(body)
        names = ("X-Amz-Target", "Content-Type", "Authorization", "X-Amz-Date")
        sent = {name: headers[name] for name in names if name in headers}
        with DATABASE:
            if target == "TransactWriteItems":
                transaction = json.loads(body)
                token = transaction["ClientRequestToken"]
                status, answer = 200, b"{}"
                if token not in self.tokens:
                    status, answer = self.transaction([entry["Put"] for entry in transaction["TransactItems"]], sent)
                if status == 200:
                    self.tokens.add(token)
            else:
                status, answer = self.request(body, sent)
            if status == 200 and target == "PutItem":
                self.on_write(json.loads(body)["Item"])
            if status == 200 and target == "BatchGetItem":
                self.on_read(json.loads(answer)["Responses"])
        if dropped:
            document = json.loads(answer)
            document["UnprocessedKeys"] = dropped
            answer = json.dumps(document).encode()
        return status, answer, [("x-amz-crc32", str(zlib.crc32(answer)))] if not target.startswith("SNS") else []

    def request(self, body, headers):
        connection = getattr(self.local, "connection", None)
        if connection is None:
            connection = self.local.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST", "/", body, headers)
        response = connection.getresponse()
        return response.status, response.read()

    def transaction(self, puts, headers):
        """Writes all items or none. moto copies all of its tables for each transaction, which takes seconds."""
        def call(operation, document):
            status, answer = self.request(json.dumps(document), headers | {"X-Amz-Target": f"DynamoDB_20120810.{operation}"})
            assert status == 200, answer
            return json.loads(answer)

        table = puts[0]["TableName"]
        keys = [{name: put["Item"][name] for name in ("pk", "sk")} for put in puts]
        found = call("BatchGetItem", {"RequestItems": {table: {"Keys": keys, "ConsistentRead": True}}})["Responses"][table]
        present = {(item["pk"]["S"], item["sk"]["S"]): item for item in found}
        for put in puts:
            item = present.get((put["Item"]["pk"]["S"], put["Item"]["sk"]["S"]))
            expected = put.get("ExpressionAttributeValues", {}).get(":v")
            if put["ConditionExpression"] not in ("attribute_not_exists(pk)", "#v = :v"):
                return 400, b'{"__type":"com.amazon.coral.validate#ValidationException"}'
            if (item["version"] if item else None) != expected:
                return 400, b'{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","Message":"changed"}'
        for start in range(0, len(puts), 25):
            requests = [{"PutRequest": {"Item": put["Item"]}} for put in puts[start:start + 25]]
            call("BatchWriteItem", {"RequestItems": {table: requests}})
        for put in puts:
            self.on_write(put["Item"])
        return 200, b"{}"

    @staticmethod
    def without_last_key(body):
        document = json.loads(body)
        ((table, request),) = document["RequestItems"].items()
        if len(request["Keys"]) < 2:
            return body, None
        rest = request["Keys"].pop()
        return json.dumps(document).encode(), {table: {"Keys": [rest], "ConsistentRead": True}}
