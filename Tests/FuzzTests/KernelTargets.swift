import Platform

@testable import DeviceDefender

/// The files of procfs, line by line: the size of the pieces must not change the sockets, counters, addresses or errors.
///
/// The first byte determines the file and the size of the pieces.
let procfsFiles = FuzzTarget("procfs-files") { input in
  guard let first = input.first else { return }
  let bytes = input[1...]
  let whole = try digest(bytes, file: first % 8, piece: .max)
  try require(
    try digest(bytes, file: first % 8, piece: Int(first / 8) + 1) == whole, "the pieces change what is read")
}

/// One line of a procfs file, so that the fuzzer gets further into it. The first byte determines the file.
let procfsLines = FuzzTarget("procfs-lines") { input in
  guard let first = input.first else { return }
  let bytes = input[1...]
  let line = bytes.span
  var names = InterfaceNames()
  switch first % 8 {
  case 0:
    guard let socket = try? SocketRecord(line: line, family: .v4) else { return }
    try require(socket.local.address.low <= UInt32.max && socket.remote.address.high == 0, "IPv4 has 32 bits")
  case 1: _ = try? SocketRecord(line: line, family: .v6)
  case 2:
    if let counters = try? InterfaceCounters(line: line) { try require(!counters.name.isEmpty, "no name") }
  case 3:
    if names.insert(ipv6AddressLine: line) { try require(names != InterfaceNames(), "no address") }
  case 4: _ = names.insert(routeLine: line)
  case 5:
    guard let times = ProcessorTimes(line: line) else { return }
    try require((0...100).contains(times.busyPercent(since: ProcessorTimes())), "more than everything")
  case 6:
    guard let percent = memoryUsagePercent(in: Array(bytes)) else { return }
    try require((0...100).contains(percent), "more than everything")
  default:
    guard let value = nonnegativeNumber(inColumn: 1, of: Array(bytes)) else { return }
    try require(value.isFinite && value >= 0, "a metric is no number")
  }
}

/// A netlink dump and its messages: one datagram for all messages and one for each must have the same sockets, counters
/// and addresses, or the same error.
///
/// The first byte determines the request, and whether the input is a single message.
let netlinkMessages = FuzzTarget("netlink-messages") { input in
  guard let first = input.first else { return }
  let bytes = input[1...]
  var alone = Digest()
  if first & 4 != 0 {
    try? alone.add(bytes.span, kind: first & 3)
    return
  }
  let whole = dump(bytes.span, kind: first & 3, messageByMessage: false)
  let parts = dump(bytes.span, kind: first & 3, messageByMessage: true)
  try require(whole == parts, "where a datagram ends changes what is read")
}

/// A hash of the values that were read, and how the reading ended.
private struct Digest: Equatable {
  var value: UInt64 = 0xcbf2_9ce4_8422_2325
  var progress = DumpProgress.unfinished
  var error: NetlinkError?

  mutating func add(_ number: UInt64) {
    value = (value ^ number) &* 0x100_0000_01b3
    value ^= value >> 29
  }

  mutating func add(_ address: IPAddress) {
    add(address.high)
    add(address.low)
    add(UInt64(address.family.rawValue))
  }

  mutating func add(_ traffic: Traffic) {
    for number in [traffic.bytesIn, traffic.bytesOut, traffic.packetsIn, traffic.packetsOut] { add(number) }
  }

  mutating func add(_ socket: SocketRecord) {
    add(socket.local.address)
    add(socket.remote.address)
    add(UInt64(socket.local.port) << 32 | UInt64(socket.remote.port))
    add(UInt64(socket.state) << 32 | UInt64(socket.interfaceIndex))
    add(socket.identity)
  }

  /// Adds the payload of one message of the given kind.
  mutating func add(_ payload: Span<UInt8>, kind: UInt8) throws(NetlinkError) {
    switch kind {
    case 0, 1:
      add(try SocketMessage(payload).record(payload))
    case 2:
      guard let statistics = try InterfaceStatistics(payload) else { return }
      add(UInt64(statistics.index))
      add(statistics.traffic)
    default:
      guard let address = try InterfaceAddress(payload) else { return }
      add(UInt64(address.interfaceIndex))
      add(address.address)
      add(UInt64(address.label?.utf8.count ?? 0))
    }
  }
}

/// The maximum line length: short, so that the fuzzer finds longer lines.
private let longestLine = 255

/// Reads `bytes` as one of the files, in pieces of at most `piece` bytes.
private func digest(_ bytes: ArraySlice<UInt8>, file: UInt8, piece: Int) throws -> Digest {
  var reader = LineReader(maximumLineLength: longestLine)
  var digest = Digest()
  var sockets = SocketFileParser(family: file & 1 == 0 ? .v4 : .v6)
  var counters = NetworkCountersParser()
  var names = InterfaceNames()
  var rest = bytes
  var longest = 0
  try reader.forEachLine(
    reading: { buffer, start throws(Errno) in
      let count = min(piece, rest.count, buffer.count - start)
      buffer.replaceSubrange(start..<(start + count), with: rest.prefix(count))
      rest = rest.dropFirst(count)
      return count
    },
    { line, number, flaw in
      longest = max(longest, line.count)
      digest.add(UInt64(number) << 2 | (flaw == .cut ? 1 : flaw == .tooLong ? 2 : 0))
      switch file {
      case 0, 1: if let socket = sockets.parse(line, number: number, flaw: flaw) { digest.add(socket) }
      case 2: counters.parse(line, number: number, flaw: flaw)
      case 3: digest.add(names.insert(ipv6AddressLine: line) ? 1 : 0)
      case 4: digest.add(names.insert(routeLine: line) ? 1 : 0)
      default: for column in ProcessorTimes(line: line)?.columns ?? [] { digest.add(column) }
      }
    })
  try require(rest.isEmpty, "not everything was read")
  try require(longest <= longestLine + 1, "a line is longer than the longest")
  digest.add(UInt64(sockets.skipped.count) << 32 | UInt64(counters.skipped.count))
  for interface in counters.counters.interfaces {
    digest.add(interface.traffic)
    digest.add(UInt64(interface.name.utf8.count))
  }
  for address in [IPAddress(v4: 0xC000_0201), IPAddress(v6High: 0xFE80_0000_0000_0000, low: 1)] {
    digest.add(UInt64(names.interface(of: address)?.utf8.count ?? 0))
  }
  return digest
}

/// Reads a datagram at once, or message by message, as if each came in a separate datagram.
private func dump(_ datagram: Span<UInt8>, kind: UInt8, messageByMessage: Bool) -> Digest {
  // The message types in the answers to dumps of TCP sockets, UDP sockets, counters and addresses.
  let types: [UInt16] = [18, 20, 92, 20]
  var digest = Digest()
  var reader = DumpReader(sequence: 1)
  var start = 0
  repeat {
    var end = datagram.count
    if messageByMessage, let header = NetlinkHeader(datagram, at: start) {
      end = min(start + (header.length + 3) & ~3, datagram.count)
    }
    do throws(NetlinkError) {
      digest.progress = try reader.read(datagram.extracting(start..<end), type: types[Int(kind)]) {
        payload throws(NetlinkError) in try digest.add(payload, kind: kind)
      }
    } catch {
      digest.error = error
      return digest
    }
    start = end
  } while start < datagram.count && digest.progress == .unfinished
  return digest
}
