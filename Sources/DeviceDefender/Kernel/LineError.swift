/// Why a line is malformed.
enum LineError: String, Error {
  case slot = "the line should begin with a slot number and ':'"
  case localAddress = "the local address should be 8 (IPv4) or 32 (IPv6) hexadecimal digits and ':'"
  case localPort = "the local port should be 4 hexadecimal digits"
  case remoteAddress = "the remote address should be 8 (IPv4) or 32 (IPv6) hexadecimal digits and ':'"
  case remotePort = "the remote port should be 4 hexadecimal digits"
  case state = "the state should be 2 hexadecimal digits"
  case interfaceName = "the line should begin with an interface name and ':'"
  case counters = "the interface name should be followed by 16 counters, each below 2^64"
  case processorTimes = "the line should be 'cpu' and at least 4 times in ticks, each below 2^64"
  case address = "the line should have an address or a network, and the name of its interface"
  case cut = "the file ends in the middle of the line"
  case tooLong = "the line is longer than 65,536 bytes"
}

/// Returns the beginning of a line for a log message: at most 80 bytes, with invalid UTF-8 replaced.
func excerpt(of line: Span<UInt8>) -> String {
  var bytes: [UInt8] = []
  for index in 0..<min(line.count, 80) { bytes.append(line[index]) }
  return String(decoding: bytes, as: UTF8.self) + (line.count > 80 ? "…" : "")
}
