#!/usr/bin/env python3
"""A server for MQTT over WebSocket that verifies the signature in the request's query.

It is written from AWS's documentation with only the standard library, so that it shares no code and no errors with the signer. If the
signature is valid, it replies with 101 and then handles CONNECT, SUBSCRIBE and PUBLISH; otherwise it replies with 403 and AWS's
headers. A session token must follow the signature and isn't signed. Prints one line for each connection: "accepted", or "refused" and
the reason. --skew sets the server's clock ahead.
"""
import argparse
import base64
import calendar
import email.utils
import hashlib
import hmac
import socket
import ssl
import time
import urllib.parse


def signature(secret, region, date, timestamp, host, parameters):
    query = "&".join(f"{name}={value}" for name, value in sorted(parameters))
    empty = hashlib.sha256(b"").hexdigest()
    canonical = f"GET\n/mqtt\n{query}\nhost:{host}\n\nhost\n{empty}"
    scope = f"{date}/{region}/iotdevicegateway/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = ("AWS4" + secret).encode()
    for part in (date, region, "iotdevicegateway", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def complaint(head, access_key_id, secret, region, now):
    """Returns why the request is rejected; None if it is accepted."""
    lines = head.split("\r\n")
    method, target, version = lines[0].split(" ")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
    path, _, query = target.partition("?")
    if (method, path, version) != ("GET", "/mqtt", "HTTP/1.1"):
        return f"request line {lines[0]!r}"
    if headers.get("sec-websocket-protocol") != "mqtt" or headers.get("sec-websocket-version") != "13":
        return "not a WebSocket for MQTT"
    parameters = [tuple(parameter.split("=", 1)) for parameter in query.split("&")]
    names = [name for name, _ in parameters]
    if "X-Amz-Signature" not in names:
        return "no signature"
    position = names.index("X-Amz-Signature")
    # Only the token may follow the signature.
    if names[position + 1:] not in ([], ["X-Amz-Security-Token"]):
        return f"parameters after the signature: {names[position + 1:]}"
    signed = parameters[:position]
    values = {name: urllib.parse.unquote(value) for name, value in signed}
    timestamp = values.get("X-Amz-Date", "")
    date = timestamp[:8]
    if values.get("X-Amz-Credential") != f"{access_key_id}/{date}/{region}/iotdevicegateway/aws4_request":
        return f"credential {values.get('X-Amz-Credential')}"
    if values.get("X-Amz-SignedHeaders") != "host" or values.get("X-Amz-Algorithm") != "AWS4-HMAC-SHA256":
        return "algorithm or signed headers"
    if abs(calendar.timegm(time.strptime(timestamp, "%Y%m%dT%H%M%SZ")) - now) > 300:
        return "the signature's date"
    expected = signature(secret, region, date, timestamp, headers["host"], signed)
    if not hmac.compare_digest(expected, parameters[position][1]):
        return "the signature"
    return None


def read_exactly(stream, count):
    data = b""
    while len(data) < count:
        piece = stream.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def read_frame(stream):
    first, second = read_exactly(stream, 2)
    if not second & 0x80:
        raise ValueError("the client sent a frame without a mask")
    size = second & 0x7F
    if size > 125:
        size = int.from_bytes(read_exactly(stream, 2 if size == 126 else 8), "big")
    mask = read_exactly(stream, 4)
    return first & 0x0F, bytes(byte ^ mask[index & 3] for index, byte in enumerate(read_exactly(stream, size)))


def serve_mqtt(stream, denies_publish):
    buffer, is_version_5 = b"", False
    while True:
        opcode, payload = read_frame(stream)
        if opcode == 8:
            return
        buffer += payload
        while True:
            length, position = 0, 1
            while position < len(buffer):
                length |= (buffer[position] & 0x7F) << (7 * (position - 1))
                position += 1
                if not buffer[position - 1] & 0x80:
                    break
            else:
                break
            if len(buffer) < position + length:
                break
            packet, body, buffer = buffer[0], buffer[position:position + length], buffer[position + length:]
            answer = b""
            if packet >> 4 == 1:
                is_version_5 = body[6] == 5
                answer = b"\x20\x03\x00\x00\x00" if is_version_5 else b"\x20\x02\x00\x00"
            elif packet >> 4 == 8:
                answer = b"\x90" + (b"\x05" if is_version_5 else b"\x04") + body[:2] + bytes(is_version_5) + b"\x01\x01"
            elif packet >> 4 == 3 and denies_publish:
                return
            elif packet >> 4 == 3:
                topic_size = int.from_bytes(body[:2], "big")
                answer = b"\x40\x02" + body[2 + topic_size:4 + topic_size]
            elif packet >> 4 == 14:
                return
            if answer:
                # Send it in two fragments, with a ping in between.
                stream.sendall(b"\x02\x01" + answer[:1] + b"\x89\x00" + b"\x80" + bytes([len(answer) - 1]) + answer[1:])


def serve(connection, arguments, skew, denies_publish):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += read_exactly(connection, 1)
    text = head.decode().removesuffix("\r\n\r\n")
    reason = complaint(text, *arguments, time.time() + skew)
    print("accepted" if reason is None else f"refused: {reason}", flush=True)
    if reason is not None:
        body = '{"message":"Forbidden","traceId":"0"}'
        date = email.utils.formatdate(time.time() + skew, usegmt=True)
        connection.sendall(
            f"HTTP/1.1 403 Forbidden\r\nDate: {date}\r\nx-amzn-ErrorType: ForbiddenException\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
        return
    key = next(line.split(": ", 1)[1] for line in text.split("\r\n") if line.lower().startswith("sec-websocket-key"))
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    connection.sendall(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
        f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n".encode())
    serve_mqtt(connection, denies_publish)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", metavar="PORT", type=int)
    for name in ("certificate", "key", "access_key_id", "secret", "region"):
        parser.add_argument(name, metavar=name.upper())
    parser.add_argument("--skew", metavar="SECONDS", type=int, default=0)
    parser.add_argument("--deny-publish", action="store_true", help="close the connection of a client that publishes")
    options = parser.parse_args()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate, options.key)
    listener = socket.create_server(("127.0.0.1", options.port))
    while True:
        raw, _ = listener.accept()
        try:
            with context.wrap_socket(raw, server_side=True) as connection:
                connection.settimeout(30)
                serve(connection, (options.access_key_id, options.secret, options.region), options.skew, options.deny_publish)
        except (OSError, EOFError):
            # The client closed the connection, as a check whether the server listens does.
            pass


main()
