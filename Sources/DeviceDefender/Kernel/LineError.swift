/// Why a line is malformed.
enum LineError: String, Error {
  case slot = "a slot number and ':' should begin the line"
  case localAddress = "the local address should be 8 (IPv4) or 32 (IPv6) hexadecimal digits and ':'"
  case localPort = "the local port should be 4 hexadecimal digits"
  case remoteAddress = "the remote address should be 8 (IPv4) or 32 (IPv6) hexadecimal digits and ':'"
  case remotePort = "the remote port should be 4 hexadecimal digits"
  case state = "the state should be 2 hexadecimal digits"
  case interfaceName = "an interface name and ':' should begin the line"
  case counters = "16 counters should follow the interface name, each below 2^64"
  case processorTimes = "'cpu' and at least 4 times in ticks should be here, each below 2^64"
  case address = "an address or a network, and the name of its interface, should be here"
  case cut = "the file ends within the line"
  case tooLong = "the line is longer than 65,536 bytes"
}

/// Returns the beginning of a line for a log message: at most 80 bytes, with invalid UTF-8 replaced.
func excerpt(of line: Span<UInt8>) -> String {
  var bytes: [UInt8] = []
  for index in 0..<min(line.count, 80) { bytes.append(line[index]) }
  return String(decoding: bytes, as: UTF8.self) + (line.count > 80 ? "…" : "")
}
