"""An HTTP server that injects faults: lost, truncated, late and wrong responses."""
import select
import socket
import struct
import threading
import time

# Whether the client has received an answer.
RECEIVED, MAYBE, LOST = "received", "maybe", "lost"


class Listener:
    """Accepts or refuses connections on a port, and serves each one on a thread."""

    def __init__(self, plan):
        self.plan = plan
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.connections, self.changed = 0, threading.Condition()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            select.select([self.listener], [], [])
            # Accept and count under one lock, because another thread may wait until there is no connection.
            with self.changed:
                connection, _ = self.listener.accept()
                self.count(1)
            if self.plan.draw("refuse"):
                self.reset(connection)
                self.count(-1)
            else:
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            with self.secured(connection) as connection, connection.makefile("rb") as stream:
                self.talk(connection, stream)
        except OSError:
            pass  # The client has closed the connection or was killed.
        finally:
            self.count(-1)

    def secured(self, connection):
        """Returns the connection that carries the protocol: `connection`, or TLS over it."""
        return connection

    def count(self, change):
        with self.changed:
            self.connections += change
            self.changed.notify_all()

    def wait_until_idle(self):
        """Waits until all data that a killed client has sent is handled."""
        with self.changed:
            self.changed.wait_for(lambda: self.connections == self.backlog() == 0, timeout=10)

    def backlog(self):
        """Returns the number of connections that await accept: tcpi_unacked of a listening socket (tcp(7), TCP_INFO)."""
        return struct.unpack_from("=I", self.listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32), 24)[0]

    @staticmethod
    def reset(connection):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        return False


class FaultyServer(Listener):
    """Sends the result of `answer(method, path, headers, body)`, or injects a fault that `plan.draw()` chooses.

    `answer` returns (status, headers, body, afterwards). `afterwards(delivery)` is called when the response is sent.
    """

    def __init__(self, plan, answer):
        self.answer = answer
        super().__init__(plan)

    def talk(self, connection, stream):
        while request := self.request(stream):
            if not self.respond(connection, *request):
                return

    @staticmethod
    def request(stream):
        line = stream.readline(65_536).decode("latin-1").split()
        if len(line) != 3:
            return None
        headers = {}
        while (field := stream.readline(65_536).decode("latin-1").strip()):
            name, _, value = field.partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", 0))
        body = stream.read(length)
        return (line[0], line[1], headers, body) if len(body) == length else None

    def respond(self, connection, method, path, headers, body):
        """Handles a request. Returns whether to keep the connection."""
        if self.plan.draw("error"):
            status = self.plan.choose([500, 502, 503, 429])
            self.send(connection, status, {}, b'{"message":"made up"}')
            return True
        if self.plan.draw("garbage"):
            connection.sendall(bytes(self.plan.choose(range(256)) for _ in range(200)))
            return False
        if self.plan.draw("hang up"):
            return self.reset(connection)
        status, fields, answer, afterwards = self.answer(method, path, headers, body)
        if self.plan.draw("lose"):
            afterwards(LOST)
            return self.reset(connection)
        if self.plan.draw("cut"):
            afterwards(MAYBE)
            connection.sendall(self.bytes(status, fields, answer)[: self.plan.choose(range(1, 60))])
            return self.reset(connection)
        if self.plan.draw("late"):
            time.sleep(self.plan.choose([0.2, 1, 2]))
        # Call it before sending, because the client may send the next request as soon as it has the answer.
        afterwards(RECEIVED)
        self.send(connection, status, fields, answer)
        return True

    @staticmethod
    def bytes(status, fields, body):
        head = [f"HTTP/1.1 {status} Reason", f"Content-Length: {len(body)}"]
        head += [f"{name}: {value}" for name, value in fields.items()]
        return "\r\n".join(head + ["", ""]).encode() + body

    def send(self, connection, status, fields, body):
        connection.sendall(self.bytes(status, fields, body))
