"""Encodes and decodes application/vnd.amazon.eventstream messages for the fake nucleus."""
import struct
import zlib

TRUE, FALSE, INT8, INT16, INT32, INT64, BYTES, STRING, TIMESTAMP, UUID = range(10)
PRELUDE_LENGTH = 12
_FIXED = {INT8: ">b", INT16: ">h", INT32: ">i", INT64: ">q", TIMESTAMP: ">q"}


class Malformed(Exception):
    pass


def encode(headers, payload=b""):
    """Encodes a message. `headers` maps names to str (type 7) or int (type 4)."""
    block = b""
    for name, value in headers.items():
        block += bytes([len(name)]) + name.encode()
        if isinstance(value, str):
            block += struct.pack(">BH", STRING, len(value.encode())) + value.encode()
        else:
            block += struct.pack(">Bi", INT32, value)
    lengths = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    message = lengths + struct.pack(">I", zlib.crc32(lengths)) + block + payload
    return message + struct.pack(">I", zlib.crc32(message))


def lengths(prelude):
    """Returns the total length and the headers' length of the message that begins with these 12 bytes."""
    total, header_length, checksum = struct.unpack(">III", prelude)
    if checksum != zlib.crc32(prelude[:8]):
        raise Malformed("wrong prelude checksum")
    if total < 16 + header_length:
        raise Malformed("invalid lengths")
    return total, header_length


def decode(message):
    """Decodes a complete message. Returns its headers, a list of (name, type, value) in order, and its payload."""
    total, header_length = lengths(message[:PRELUDE_LENGTH])
    if total != len(message) or struct.unpack(">I", message[-4:])[0] != zlib.crc32(message[:-4]):
        raise Malformed("wrong message checksum")
    block = message[PRELUDE_LENGTH:PRELUDE_LENGTH + header_length]
    headers, at = [], 0
    try:
        while at < len(block):
            end = at + 1 + block[at]
            name, kind = block[at + 1:end].decode(), block[end]
            at = end + 1
            if kind in (TRUE, FALSE):
                value = kind == TRUE
            elif kind in _FIXED:
                size = struct.calcsize(_FIXED[kind])
                value = struct.unpack(_FIXED[kind], block[at:at + size])[0]
                at += size
            elif kind in (BYTES, STRING):
                size = struct.unpack(">H", block[at:at + 2])[0]
                value = block[at + 2:at + 2 + size]
                if len(value) != size:
                    raise Malformed("invalid header value")
                value = value.decode() if kind == STRING else value
                at += 2 + size
            elif kind == UUID:
                value = block[at:at + 16]
                at += 16
            else:
                raise Malformed("unknown header type")
            headers.append((name, kind, value))
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise Malformed(f"malformed headers: {error}") from error
    return headers, message[PRELUDE_LENGTH + header_length:-4]
