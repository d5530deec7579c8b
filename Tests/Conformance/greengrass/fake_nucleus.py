#!/usr/bin/env python3
"""A fake Greengrass nucleus, which behaves like the classic nucleus or like nucleus lite.

Serves the IPC socket and, with --tes, the Token Exchange Service. With --run it also runs a component by the nucleus's rules. Writes
events to standard output and reads commands from standard input (see Commands), each as a JSON object per line. Exits at the end of
its standard input. Uses only Python's standard library, so that AWS's client and ours can be tested with the same server.
"""
import argparse
import base64
import collections
import fnmatch
import heapq
import http.server
import itertools
import json
import os
import queue
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import event_stream

APPLICATION, ERROR, PING, PING_RESPONSE, CONNECT, CONNECT_ACK, PROTOCOL_ERROR, INTERNAL_ERROR = range(8)
ACCEPTED, TERMINATE = 1, 2
LITE_LIMIT = 10_000  # bytes after the prelude
PREFIX = "aws.greengrass#"


EVENTS = queue.SimpleQueue()


def emit(event, **details):
    EVENTS.put(json.dumps({"event": event, **details}) + "\n")


def write_events():
    """Writes events in a separate thread, so that neither a slow reader nor the component blocks the nucleus."""
    for line in iter(EVENTS.get, None):
        try:
            sys.stdout.write(line)
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader has gone. The end of standard input ends the nucleus, which first ends its component.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Refusal(Exception):
    def __init__(self, name, text):
        super().__init__(text)
        self.name, self.text = name, text


class Connection:
    def __init__(self, nucleus, sock, number):
        self.nucleus, self.sock, self.number = nucleus, sock, number
        self.incoming, self.outgoing = b"", b""
        self.connected, self.closing, self.last_stream = False, False, 0
        self.streams = {}  # stream -> (operation, filter or None), for streams on which the client may receive events

    def send(self, headers, payload=b""):
        frame = event_stream.encode(headers, payload)
        if self.nucleus.lite and len(frame) - event_stream.PRELUDE_LENGTH > LITE_LIMIT:
            return emit("not-sent", bytes=len(frame))
        self.outgoing += frame
        self.flush()

    def flush(self):
        try:
            while self.outgoing:
                self.outgoing = self.outgoing[self.sock.send(self.outgoing[:65536]):]
        except BlockingIOError:
            pass
        except OSError:
            self.nucleus.close(self)
            return
        if not self.outgoing and self.closing:
            self.nucleus.close(self)
        else:
            self.nucleus.watch(self)

    def close_after_sending(self):
        self.closing = True
        self.flush()

    def reset(self):
        """Closes like a server with unread bytes, so that the client's next call fails with ECONNRESET."""
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        self.nucleus.close(self)

    def received(self, data):
        self.incoming += data
        while len(self.incoming) >= event_stream.PRELUDE_LENGTH and self in self.nucleus.connections:
            try:
                total, _ = event_stream.lengths(self.incoming[:event_stream.PRELUDE_LENGTH])
                if self.nucleus.lite and total - event_stream.PRELUDE_LENGTH > LITE_LIMIT:
                    emit("too-long", bytes=total)
                    return self.reset()
                if len(self.incoming) < total:
                    return
                frame, self.incoming = self.incoming[:total], self.incoming[total:]
                headers, payload = event_stream.decode(frame)
            except event_stream.Malformed as error:
                emit("malformed", reason=str(error))
                return self.reset()
            self.message(frame, {name: value for name, _, value in headers}, payload)

    def message(self, frame, headers, payload):
        kind, flags, stream = (headers.get(":message-type"), headers.get(":message-flags"), headers.get(":stream-id"))
        if None in (kind, flags, stream):
            emit("malformed", reason="a header is missing")
            return self.reset()
        if not self.connected:
            return self.connect(frame, headers, kind, flags, stream, payload)
        if kind == PING:
            if self.nucleus.lite:
                emit("malformed", reason="a client's PING")
                return self.reset()
            return self.send({":message-type": PING_RESPONSE, ":message-flags": 0, ":stream-id": 0}, payload)
        if kind == PING_RESPONSE:
            return emit("ping-response", payload=payload.decode("latin1"))
        if kind != APPLICATION or stream == 0:
            emit("malformed", reason=f"kind {kind} on stream {stream}")
            return self.protocol_error("unexpected message")
        if flags & TERMINATE:
            known = self.streams.pop(stream, None)
            return emit("end-of-stream", stream=stream, known=known is not None)
        if stream <= self.last_stream:
            emit("malformed", reason=f"stream {stream} after {self.last_stream}")
            return self.protocol_error("stream ids must increase")
        self.last_stream = stream
        operation = str(headers.get("operation", "")).replace(PREFIX, "", 1)
        if headers.get("service-model-type") != f"{PREFIX}{operation}Request":
            emit("malformed", reason=f"service-model-type {headers.get('service-model-type')}")
        self.nucleus.request(self, stream, operation, frame, payload)

    def connect(self, frame, headers, kind, flags, stream, payload):
        if kind != CONNECT or stream != 0 or flags != 0 or headers.get(":version") != "0.1.0":
            emit("malformed", reason="not a CONNECT 0.1.0")
            return self.reset()
        try:
            identity = json.loads(payload)
        except ValueError:
            identity = {}
        fault = self.nucleus.fault("connect")
        token, name = identity.get("authToken"), identity.get("componentName")
        good, issued = token is not None and token == self.nucleus.token, {}
        # Lite uses the name only if there is no token, and compares it with the control group of the client.
        if token is None and name is not None and name == self.nucleus.component_name and self.nucleus.lite:
            good = True
            self.nucleus.token = base64.b64encode(os.urandom(12)).decode()
            issued = {"svcuid": self.nucleus.token}
        emit("connect", frame=frame.hex(), accepted=good and not fault, connection=self.number,
             by="name" if token is None else "token")
        if fault:
            return self.nucleus.do_fault(fault, self, 0, "connect")
        if not good and self.nucleus.lite:
            return self.reset()
        self.connected = good
        self.send({":message-type": CONNECT_ACK, ":message-flags": ACCEPTED if good else 0, ":stream-id": 0, **issued})
        if not good:
            self.close_after_sending()

    def protocol_error(self, text):
        self.send({":message-type": PROTOCOL_ERROR, ":message-flags": 0, ":stream-id": 0,
                   ":content-type": "application/json"}, json.dumps({"message": text}).encode())
        self.close_after_sending()

    def respond(self, stream, operation, value, stays_open):
        lite = self.nucleus.lite
        flags = 0 if stays_open or lite else TERMINATE
        if stays_open or lite:
            self.streams.setdefault(stream, (operation, None))
        self.send({":message-type": APPLICATION, ":message-flags": flags, ":stream-id": stream,
                   ":content-type": "application/json",
                   "service-model-type": f"{PREFIX}{operation}Response"}, json.dumps(value).encode())

    def refuse(self, stream, name, text):
        self.streams.pop(stream, None)
        if self.nucleus.lite:
            value = {"_message": text, "_errorCode": name}
        else:
            value = {"message": text, "_service": "aws.greengrass#GreengrassCoreIPC", "_message": text,
                     "_errorCode": name}
        self.send({":message-type": ERROR, ":message-flags": TERMINATE, ":stream-id": stream,
                   ":content-type": "application/json", "service-model-type": PREFIX + name},
                  json.dumps(value).encode())

    def event(self, stream, kind, value):
        self.send({":message-type": APPLICATION, ":message-flags": 0, ":stream-id": stream,
                   ":content-type": "application/json", "service-model-type": PREFIX + kind},
                  json.dumps(value).encode())


class Nucleus:
    def __init__(self, options):
        self.path, self.token, self.lite = options.socket, options.token, options.manner == "lite"
        self.configuration = json.loads(options.configuration)
        self.confirm = options.confirm
        self.selector = selectors.DefaultSelector()
        self.connections, self.numbers = set(), itertools.count(1)
        self.timers, self.timer_numbers = [], itertools.count()
        self.faults = collections.defaultdict(collections.deque)
        self.listener = None
        self.state, self.component = None, None
        self.acknowledges, self.delivers = True, True
        self.component_name, self.numbers_as_text = options.component_name, options.numbers_as_text
        self.offline, self.withdrawn_until = False, 0
        # Whether it knows SubscribeToIoTCoreConnectionStatus, whether the core is connected, and the reports that it keeps if not.
        self.knows_connection, self.connected, self.spooled = options.connection_status, True, []
        self.stalled = set()  # connections from which nothing is read
        self.listen()

    # MARK: Socket

    def listen(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o666)
        self.listener.listen(16)
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ, "listener")
        emit("listening", socket=self.path)

    def go_down(self):
        self.selector.unregister(self.listener)
        self.listener.close()
        os.unlink(self.path)
        for connection in list(self.connections):
            self.close(connection)

    def watch(self, connection):
        if connection in self.connections:
            reading = 0 if connection in self.stalled else selectors.EVENT_READ
            events = reading | (selectors.EVENT_WRITE if connection.outgoing else 0)
            if connection.sock in self.selector.get_map():
                self.selector.unregister(connection.sock)
            if events:
                self.selector.register(connection.sock, events, connection)

    def close(self, connection):
        if connection in self.connections:
            self.connections.discard(connection)
            if connection.sock in self.selector.get_map():
                self.selector.unregister(connection.sock)
            self.stalled.discard(connection)
            connection.sock.close()
            emit("closed", connection=connection.number)

    def later(self, seconds, action):
        heapq.heappush(self.timers, (time.monotonic() + seconds, next(self.timer_numbers), action))

    def step(self):
        timeout = max(0, self.timers[0][0] - time.monotonic()) if self.timers else None
        for key, events in self.selector.select(timeout):
            if key.data == "listener":
                sock, _ = self.listener.accept()
                sock.setblocking(False)
                connection = Connection(self, sock, next(self.numbers))
                self.connections.add(connection)
                self.selector.register(sock, selectors.EVENT_READ, connection)
            elif callable(key.data):
                key.data()
            elif key.data in self.connections:
                self.serve(key.data, events)
        while self.timers and self.timers[0][0] <= time.monotonic():
            heapq.heappop(self.timers)[2]()

    def serve(self, connection, events):
        if events & selectors.EVENT_WRITE:
            connection.flush()
        if events & selectors.EVENT_READ and connection in self.connections:
            try:
                data = connection.sock.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if data:
                connection.received(data)
            else:
                self.close(connection)

    # MARK: Operations

    def request(self, connection, stream, operation, frame, payload):
        fault = self.fault(operation)
        self.acknowledges = not fault or fault["fault"] in ("pings", "late", "flood", "lost")
        self.delivers = not fault or fault["fault"] != "lost"
        if fault and fault["fault"] in ("drop-before", "refuse", "text-error", "mute", "garbage"):
            emit("request", operation=operation, stream=stream, fault=fault["fault"])
            return self.do_fault(fault, connection, stream, operation)
        try:
            handler = getattr(self, "on_" + operation, None)
            if handler is None:
                raise Refusal("UnsupportedOperation", "Unsupported Operation")
            try:
                arguments = json.loads(payload)
            except ValueError:
                raise Refusal("InvalidArgumentsError", "not JSON")
            value, stays_open = handler(connection, stream, arguments, frame)
        except Refusal as refusal:
            emit("refused", operation=operation, error=refusal.name)
            if refusal.name == "UnsupportedOperation":
                return connection.send({":message-type": ERROR, ":message-flags": TERMINATE, ":stream-id": stream},
                                       b'{"error":"Unsupported Operation"}')
            return connection.refuse(stream, refusal.name, refusal.text)
        if fault:
            return self.do_fault(fault, connection, stream, operation, value, stays_open)
        connection.respond(stream, operation, value, stays_open)
        return None

    def authorize(self, operation, topic):
        if time.monotonic() < self.withdrawn_until:  # ggipcd can't ask ggconfigd
            raise Refusal("UnauthorizedError", "IPC Operation not authorized.")
        policies = self.configuration.get("accessControl", {}).get("aws.greengrass.ipc.mqttproxy", {})
        for policy in policies.values():
            operations = policy.get("operations", [])
            allowed = "*" in operations or PREFIX + operation in operations
            if allowed and any(fnmatch.fnmatchcase(topic, r.replace("[", "[[]")) for r in policy.get("resources", [])):
                return
        raise Refusal("UnauthorizedError", "IPC Operation not authorized." if self.lite else "Not Authorized")

    @staticmethod
    def check_topic(arguments):
        topic = arguments.get("topicName")
        if not topic:
            raise Refusal("InvalidArgumentsError", "Topic is required")
        if arguments.get("qos") not in ("0", "1"):
            raise Refusal("InvalidArgumentsError", "QoS is required" if "qos" not in arguments else "Invalid QoS value")
        return topic

    def on_PublishToIoTCore(self, connection, stream, arguments, frame):
        topic = self.check_topic(arguments)
        self.authorize("PublishToIoTCore", topic)
        if self.offline:
            raise Refusal("ServiceError", "Failed to publish the message.")
        try:
            payload = base64.b64decode(arguments["payload"], validate=True)
        except (KeyError, ValueError):
            raise Refusal("InvalidArgumentsError", "Payload is required")
        emit("publish", topic=topic, qos=arguments["qos"], payload=arguments["payload"], frame=frame.hex(),
             connection=connection.number, acknowledged=self.acknowledges, delivered=self.delivers)
        if not self.connected:
            self.spooled.append((topic, payload))
        elif self.delivers:
            self.answer_report(topic, payload)
        return {}, False

    def answer_report(self, topic, payload):
        if self.confirm != "none" and "/defender/metrics/" in topic:
            self.later(0, lambda: self.confirm_report(topic, payload))

    def on_SubscribeToIoTCoreConnectionStatus(self, connection, stream, arguments, frame):
        if not self.knows_connection:
            raise Refusal("UnsupportedOperation", "Unsupported Operation")
        connection.streams[stream] = ("SubscribeToIoTCoreConnectionStatus", "")
        emit("subscribe-connection", connection=connection.number)
        self.later(0, lambda: self.announce_connection(connection, stream))
        return {}, True

    def announce_connection(self, connection, stream):
        status = "CONNECTED" if self.connected else "DISCONNECTED"
        connection.event(stream, "IoTCoreConnectionStatusEvent", {"connectionStatusEvent": {"status": status}})

    def connect_core(self, connected):
        """Changes the state of the core's connection, and delivers what was spooled."""
        self.connected = connected
        for connection in list(self.connections):
            for stream, (operation, _) in list(connection.streams.items()):
                if operation == "SubscribeToIoTCoreConnectionStatus":
                    self.announce_connection(connection, stream)
        if connected:
            spooled, self.spooled = self.spooled, []
            for topic, payload in spooled:
                self.answer_report(topic, payload)

    def confirm_report(self, topic, payload):
        try:
            report = json.loads(payload)
            report_id = (report.get("header") or report.get("hed") or {})
            report_id = report_id.get("report_id", report_id.get("rid"))
        except ValueError:
            report_id = None
        answer = {"thingName": topic.split("/")[2], "reportId": report_id, "timestamp": int(time.time() * 1000)}
        if self.confirm == "accepted":
            answer["status"] = "ACCEPTED"
        else:
            answer["status"] = "REJECTED"
            answer["statusDetails"] = {"ErrorCode": "InvalidPayload", "ErrorMessage": "Malformed metrics report"}
        fault = self.fault("confirm")
        delay = fault["seconds"] if fault and fault["fault"] == "late" else 0
        self.later(delay, lambda: self.answer(report_id, topic, answer, is_late=delay > 0))

    def answer(self, report_id, topic, answer, is_late):
        """Sends Device Defender's answer. Returns whether a client has subscribed to it."""
        streams = self.deliver(f"{topic}/{answer['status'].lower()}", json.dumps(answer).encode())
        emit("answer", report=report_id, streams=streams, late=is_late)

    def deliver(self, topic, payload):
        message, count = {"message": {"topicName": topic, "payload": base64.b64encode(payload).decode()}}, 0
        for connection in list(self.connections):
            for stream, (operation, wanted) in list(connection.streams.items()):
                if operation == "SubscribeToIoTCore" and wanted and matches(wanted, topic):
                    connection.event(stream, "IoTCoreMessage", message)
                    count += 1
        return count

    def on_SubscribeToIoTCore(self, connection, stream, arguments, frame):
        topic = self.check_topic(arguments)
        self.authorize("SubscribeToIoTCore", topic)
        if self.offline:
            raise Refusal("ServiceError", "Failed to bind the subscription.")
        connection.streams[stream] = ("SubscribeToIoTCore", topic)
        emit("subscribe", topic=topic, connection=connection.number)
        return {}, True

    def on_GetConfiguration(self, connection, stream, arguments, frame):
        if time.monotonic() < self.withdrawn_until:
            raise Refusal("ServiceError", "Failed to read the configuration.")
        value = as_text(self.configuration) if self.numbers_as_text else self.configuration
        for key in arguments.get("keyPath") or []:
            if not isinstance(value, dict) or key not in value:
                raise Refusal("ResourceNotFoundError", "Key not found")
            value = value[key]
        if not isinstance(value, dict):
            value = {arguments["keyPath"][-1]: value}
        emit("get-configuration")
        return {"componentName": "the.component", "value": value}, False

    def kill_subscriptions(self, operations):
        """Changes the configuration without an event, as lite does when a daemon restarts or a deployment resets it."""
        for connection in self.connections:
            for stream, (operation, _) in list(connection.streams.items()):
                if operation in operations:
                    del connection.streams[stream]

    def stall(self, seconds, pings):
        """Stops reading for a while, and makes the client answer pings whose answers are never read."""
        for connection in list(self.connections):
            self.stalled.add(connection)
            connection.outgoing += event_stream.encode(
                {":message-type": PING, ":message-flags": 0, ":stream-id": 0}, b"x" * 60_000) * pings
            connection.flush()

        def resume():
            connections, self.stalled = self.stalled, set()
            for connection in connections:
                self.watch(connection)

        self.later(seconds, resume)

    def on_SubscribeToConfigurationUpdate(self, connection, stream, arguments, frame):
        connection.streams[stream] = ("SubscribeToConfigurationUpdate", "")
        emit("subscribe-configuration", connection=connection.number)
        return {}, True

    def on_UpdateState(self, connection, stream, arguments, frame):
        if arguments.get("state") not in ("RUNNING", "ERRORED"):
            raise Refusal("InvalidArgumentsError", "no such state")
        self.state = arguments["state"]
        emit("state", state=self.state)
        # Lite does nothing else.
        if self.state == "ERRORED" and self.component and not self.lite:
            self.later(0, self.component.errored)
        return {}, False

    def configure(self, configuration):
        changed = [k for k in {**self.configuration, **configuration}
                   if self.configuration.get(k) != configuration.get(k)]
        self.configuration = configuration
        for connection in list(self.connections):
            for stream, (operation, _) in list(connection.streams.items()):
                if operation == "SubscribeToConfigurationUpdate":
                    for key in changed:  # one event per key, as after a deployment
                        connection.event(stream, "ConfigurationUpdateEvents", {"configurationUpdateEvent": {
                            "componentName": "the.component", "keyPath": [key]}})

    # MARK: Faults

    def fault(self, operation):
        faults = self.faults[operation]
        if not faults:
            return None
        fault = faults[0]
        fault["count"] -= 1
        if fault["count"] <= 0:
            faults.popleft()
        return None if fault["fault"] == "none" else fault

    def do_fault(self, fault, connection, stream, operation, value=None, stays_open=False):
        kind = fault["fault"]
        if kind in ("drop-before", "drop-after"):
            connection.reset()
        elif kind == "answer-and-drop":
            connection.respond(stream, operation, value, stays_open)
            connection.close_after_sending()
        elif kind == "late":
            self.later(fault.get("seconds", 1), lambda: connection in self.connections and connection.respond(
                stream, operation, value, stays_open))
        elif kind == "refuse":
            connection.refuse(stream, fault.get("error", "ServiceError"), fault.get("message", "made up"))
        elif kind == "lost":
            connection.respond(stream, operation, value, stays_open)
        elif kind == "text-error":
            connection.send({":message-type": ERROR, ":message-flags": TERMINATE, ":stream-id": stream,
                             ":content-type": "text/plain"}, b"InternalServerError")
        elif kind == "garbage":
            connection.outgoing += b"HTTP/1.1 400 Bad Request\r\n\r\n"
            connection.flush()
        elif kind == "pings":
            self.ping(connection, fault.get("pings", 1000))
            connection.respond(stream, operation, value, stays_open)
        elif kind == "flood":
            self.flood(connection, time.monotonic() + fault["seconds"],
                       lambda: connection.respond(stream, operation, value, stays_open))
        elif kind == "restart":
            self.restart(fault.get("seconds", 0.2))
        elif kind != "mute":
            raise ValueError(kind)

    def ping(self, connection, count):
        frame = event_stream.encode({":message-type": PING, ":message-flags": 0, ":stream-id": 0}, b"are you there")
        connection.outgoing += frame * count
        connection.flush()

    def flood(self, connection, end, action):
        """Sends unsolicited messages without a pause until `end`, and then runs the action."""
        if connection not in self.connections:
            return
        if time.monotonic() >= end:
            action()
            return
        if len(connection.outgoing) < 1 << 20:
            connection.outgoing += event_stream.encode(
                {":message-type": APPLICATION, ":message-flags": 0, ":stream-id": 1 << 30}, b"{}") * 10_000
        connection.flush()
        self.later(0, lambda: self.flood(connection, end, action))

    def restart(self, seconds):
        self.go_down()
        self.later(seconds, self.listen)


def as_text(value):
    """Returns a configuration in the form in which lite returns that of a YAML recipe, with numbers as text."""
    if isinstance(value, dict):
        return {name: as_text(member) for name, member in value.items()}
    if isinstance(value, list):
        return [as_text(member) for member in value]
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def matches(wanted, topic):
    """Returns whether an MQTT topic filter matches a topic."""
    wanted, topic = wanted.split("/"), topic.split("/")
    for index, part in enumerate(wanted):
        if part == "#":
            return True
        if index >= len(topic) or part not in ("+", topic[index]):
            return False
    return len(wanted) == len(topic)


class Component:
    """A component's process, which is started, logged, stopped and restarted in the same way as by a nucleus."""

    def __init__(self, nucleus, command, environment, directory):
        self.nucleus, self.command, self.environment, self.directory = nucleus, command, environment, directory
        self.process, self.stopping, self.errors, self.is_errored = None, False, [], False
        nucleus.component = self

    def start(self):
        self.stopping = False
        self.process = subprocess.Popen(
            self.command, env=self.environment, cwd=self.directory, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        for stream, level in ((self.process.stdout, "INFO"), (self.process.stderr, "WARN")):
            self.follow(stream, level)
        emit("started", pid=self.process.pid)

    def follow(self, stream, level):
        os.set_blocking(stream.fileno(), False)
        rest = [b""]

        def readable():
            data = stream.read()
            if data is None:
                return
            *lines, rest[0] = (rest[0] + data).split(b"\n")
            for line in lines:
                emit("log", level=level, line=line.decode("utf-8", "replace"))
            if not data:
                self.nucleus.selector.unregister(stream)
                stream.close()
                if level == "WARN":
                    self.reap()

        self.nucleus.selector.register(stream, selectors.EVENT_READ, readable)

    def reap(self):
        status = self.process.wait()
        emit("exited", status=status)
        if self.is_errored:
            self.is_errored = False
        elif self.stopping or status == 0:
            return
        self.errors = [t for t in self.errors if t > time.monotonic() - 3600] + [time.monotonic()]
        if len(self.errors) >= 3:
            emit("broken")
        else:
            self.nucleus.later(1 if self.nucleus.lite else 0, self.start)

    def errored(self):
        """Handles a component that reports ERRORED. The classic nucleus stops it, and restarts it the first two times."""
        if self.process.poll() is None and not self.stopping:
            self.is_errored = True
            self.stop()

    def stop(self):
        self.stopping = True
        process = self.process
        process.send_signal(signal.SIGTERM)
        self.nucleus.later(5, lambda: process.poll() is None and (emit("killed"), process.kill()))


class TokenExchange(http.server.BaseHTTPRequestHandler):
    """The Token Exchange Service of either nucleus, which returns credentials to a client with the token."""
    protocol_version = "HTTP/1.1"
    nucleus = None
    credentials = None

    def do_GET(self):
        given, lite = self.headers.get("Authorization"), self.nucleus.lite
        fault = self.nucleus.fault("tes")
        if self.path != "/2016-11-01/credentialprovider/":
            return self.answer(400, "path")
        if lite and (given is None or len(given) != 16):
            return self.answer(400, "token")
        if given != self.nucleus.token:
            return self.answer(404 if lite else 403, "token")
        if fault:  # the cloud doesn't answer
            return self.answer(200, "null", "text/html") if lite else self.answer(500, "TES responded with nothing")
        return self.answer(200, json.dumps(self.credentials))

    def do_POST(self):
        return self.do_GET() if self.nucleus.lite else self.answer(405, "method")

    def answer(self, status, text, content_type=None):
        emit("tes", status=status)
        self.send_response(status)
        if content_type:
            self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


class Commands:
    """Reads commands from standard input: a JSON object per line, whose member `do` names the command.

    configure {configuration} · fault {operation, fault, count, ...} · deliver {topic, payload} · ping {count} ·
    confirm {mode} · restart {seconds} · drop · forget-token · kill-subscriptions {operations} · offline {seconds} · online ·
    core-offline · core-online · withdraw {seconds} · stall {seconds, pings} · start · stop
    """

    def __init__(self, nucleus, component):
        self.nucleus, self.component, self.rest = nucleus, component, b""
        self.ended = False
        os.set_blocking(0, False)
        nucleus.selector.register(0, selectors.EVENT_READ, self.read)

    def read(self):
        data = os.read(0, 1 << 20)
        if not data:
            self.ended = True
            return
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self.obey(json.loads(line))

    def obey(self, command):
        nucleus, what = self.nucleus, command.pop("do")
        if what == "configure":
            nucleus.configure(command["configuration"])
        elif what == "fault":
            nucleus.faults[command["operation"]].append({"count": 1, **command})
        elif what == "deliver":
            nucleus.deliver(command["topic"], base64.b64decode(command["payload"]))
        elif what == "ping":
            for connection in list(nucleus.connections):
                nucleus.ping(connection, command.get("count", 1))
        elif what == "confirm":
            nucleus.confirm = command["mode"]
        elif what == "restart":
            nucleus.restart(command.get("seconds", 0.2))
        elif what == "drop":
            for connection in list(nucleus.connections):
                connection.reset()
        elif what == "forget-token":
            nucleus.token = "another token"
        elif what == "kill-subscriptions":
            nucleus.kill_subscriptions(command["operations"])
        elif what in ("offline", "online"):
            nucleus.offline = what == "offline"
            if "seconds" in command:
                nucleus.later(command["seconds"], lambda: setattr(nucleus, "offline", False))
        elif what in ("core-offline", "core-online"):
            nucleus.connect_core(what == "core-online")
        elif what == "withdraw":
            nucleus.withdrawn_until = time.monotonic() + command["seconds"]
        elif what == "stall":
            nucleus.stall(command["seconds"], command["pings"])
        elif what == "start":
            self.component.start()
        elif what == "stop":
            self.component.stop()
        else:
            raise ValueError(what)
        emit("done", what=what)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--socket", required=True)
    parser.add_argument("--manner", choices=("classic", "lite"), required=True)
    parser.add_argument("--token", default="0123456789ABCDEF")
    parser.add_argument("--configuration", default="{}", help="the component's configuration in JSON")
    parser.add_argument("--confirm", choices=("none", "accepted", "rejected"), default="none",
                        help="Device Defender's answer to reports")
    parser.add_argument("--component-name", help="the component that may connect by its name, as on nucleus lite")
    parser.add_argument("--numbers-as-text", action="store_true", help="return the configuration's numbers as text")
    parser.add_argument("--connection-status", action="store_true", help="know SubscribeToIoTCoreConnectionStatus")
    parser.add_argument("--tes", action="store_true", help="also serve the Token Exchange Service")
    parser.add_argument("--directory", default=".", help="the component's work directory")
    parser.add_argument("--run", nargs=argparse.REMAINDER, help="the component's command, which the command `start` runs")
    options = parser.parse_args()
    writer = threading.Thread(target=write_events, daemon=True)
    writer.start()
    nucleus = Nucleus(options)
    environment = {**os.environ, "SVCUID": options.token, "AWS_CONTAINER_AUTHORIZATION_TOKEN": options.token,
                   "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT": options.socket, "GGC_VERSION": "2.0.0"}
    if options.tes:
        TokenExchange.nucleus = nucleus
        TokenExchange.credentials = {
            "AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "made-up", "Token": "made-up-too",
            "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))}
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), TokenExchange)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uri = f"http://localhost:{server.server_port}/2016-11-01/credentialprovider/"
        environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = uri
        emit("tes-listening", uri=uri)
    component = Component(nucleus, options.run, environment, options.directory) if options.run else None
    commands = Commands(nucleus, component)
    try:
        while not commands.ended:
            nucleus.step()
    finally:
        if component and component.process and component.process.poll() is None:
            component.process.kill()
        if os.path.exists(options.socket):
            os.unlink(options.socket)
        EVENTS.put(None)
        writer.join(5)


if __name__ == "__main__":
    main()
