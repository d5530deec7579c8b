"""An MQTT broker (section 3 of MQTT 3.1.1 and MQTT 5) that answers reports like AWS IoT, and injects faults."""
import json
import time

import rotation
from servers import RECEIVED, MAYBE, LOST, Listener


class FaultyBroker(Listener):
    """Passes each report to `take(body)`, and calls the result with whether the client has received the answer."""

    def __init__(self, plan, take, tls=None):
        self.take, self.tls, self.shown, self.is_away = take, tls, [], False
        super().__init__(plan)

    def secured(self, connection):
        if self.tls is None:
            return connection
        connection.settimeout(20)
        secured = self.tls.wrap_socket(connection, server_side=True)
        secured.settimeout(None)
        # The check compares the last name. The summary counts the others.
        self.shown.append(rotation.shown_name(secured))
        return secured

    def talk(self, connection, stream):
        is_5 = False
        while packet := self.packet(stream):
            if self.is_away or self.plan.draw("hang up"):
                return self.reset(connection)
            if self.plan.draw("garbage"):
                return connection.sendall(bytes(self.plan.choose(range(256)) for _ in range(50)))
            if self.plan.draw("late"):
                time.sleep(self.plan.choose([0.2, 1, 2]))
            kind, body = packet
            if kind == 1:
                if (is_5 := body[6] == 5) and self.plan.draw("refuse version"):
                    return connection.sendall(self.plan.choose([b"\x20\x02\x00\x01", b"\x20\x03\x00\x84\x00", b""]))
                is_refused = self.plan.draw("error")
                if is_5:
                    connection.sendall(b"\x20\x03\x00" + (b"\x88" if is_refused else b"\x00") + b"\x00")
                else:
                    connection.sendall(b"\x20\x02\x00" + (b"\x03" if is_refused else b"\x00"))
            elif kind == 8:
                codes = (b"\x87\x87" if is_5 else b"\x80\x80") if self.plan.draw("refuse subscription") else b"\x01\x01"
                connection.sendall(b"\x90" + bytes([4 + is_5]) + body[:2] + bytes(is_5) + codes)
            elif kind == 12:
                connection.sendall(b"\xd0\x00")
            elif kind == 14 or (kind == 3 and not self.publish(connection, body, is_5)):
                return None

    @staticmethod
    def packet(stream):
        """Returns the kind and the body of the next packet; None if there is none."""
        if not (first := stream.read(1)):
            return None
        length = shift = 0
        while byte := stream.read(1):
            length |= (byte[0] & 0x7F) << shift
            shift += 7
            if byte[0] < 0x80:
                break
        body = stream.read(length)
        return (first[0] >> 4, body) if len(body) == length else None

    def publish(self, connection, body, is_5):
        """Handles a packet. Returns whether to keep the connection."""
        end = 2 + int.from_bytes(body[:2], "big")
        topic, identifier, report = body[2:end], body[end : end + 2], body[end + 2 :]
        if is_5:
            # The properties are shorter than 128 bytes.
            report = report[1 + report[0] :]
            if self.plan.draw("refuse report"):
                connection.sendall(b"\x40\x04" + identifier + self.plan.choose([b"\x80", b"\x83", b"\x97"]) + b"\x00")
                return True
        answered = self.take(report)
        acknowledgement = b"\x40\x02" + identifier
        if is_5 and self.plan.draw("disconnect"):
            answered(LOST)
            return connection.sendall(b"\xe0\x01" + self.plan.choose([b"\x8b", b"\x89", b"\x8e"]))
        if self.plan.draw("lose"):
            answered(LOST)
            return self.reset(connection)
        if self.plan.draw("cut"):
            answered(LOST)
            connection.sendall(acknowledgement[:3])
            return self.reset(connection)
        code = self.plan.choose(["Throttled", "InvalidPayload"]) if self.plan.draw("reject") else None
        is_answered = not self.plan.draw("no answer")
        # Call it before sending, because the client may send the next report as soon as it has the answer. The client repeats
        # a rejected report only if it received the rejection; its subscription may have failed.
        answered(MAYBE if code and is_answered else RECEIVED)
        if not is_answered:
            connection.sendall(acknowledgement)
            return True
        if self.plan.draw("only answer"):
            acknowledgement = b""
        connection.sendall(acknowledgement + self.answer(topic, is_5, json.loads(report)["header"]["report_id"], code))
        return True

    @staticmethod
    def answer(topic, is_5, number, code):
        reply, name = {"reportId": number, "status": "ACCEPTED"}, b"/accepted"
        if code:
            reply |= {"status": "REJECTED", "statusDetails": {"ErrorCode": code, "ErrorMessage": "made up"}}
            name = b"/rejected"
        body = len(topic + name).to_bytes(2, "big") + topic + name + bytes(is_5) + json.dumps(reply).encode()
        length = bytes([len(body)]) if len(body) < 128 else bytes([len(body) & 0x7F | 0x80, len(body) >> 7])
        return b"\x30" + length + body
