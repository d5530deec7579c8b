import CLinux
import Glibc
import Platform

/// The progress of a dump.
enum DumpProgress: Equatable {
  /// More datagrams follow.
  case unfinished
  /// The dump is complete.
  case finished
  /// The dump has ended, but something changed meanwhile, so entries may be missing (`NLM_F_DUMP_INTR`).
  case finishedInconsistent
}

/// Parses the datagrams that answer a dump request (netlink(7)).
struct DumpReader {
  let sequence: UInt32
  private var isInconsistent = false

  init(sequence: UInt32) {
    self.sequence = sequence
  }

  /// Passes the payload of each message of type `type` to `body`.
  ///
  /// The kernel reports a missing handler either as `NLMSG_ERROR` or as `NLMSG_DONE` with a negative status
  /// (measured: -ENOENT if the kernel was built without `INET_UDP_DIAG`). Treating the latter as an empty
  /// dump would report zero sockets.
  @inline(__always)
  mutating func read(
    _ datagram: Span<UInt8>, type: UInt16, _ body: (Span<UInt8>) throws(NetlinkError) -> Void
  ) throws(NetlinkError) -> DumpProgress {
    var offset = 0
    while offset < datagram.count {
      guard let header = NetlinkHeader(datagram, at: offset) else {
        throw .malformed(
          "a truncated message header (\(datagram.count - offset) bytes), or a wrong length in it")
      }
      let payload = datagram.extracting((offset + NetlinkHeader.size)..<(offset + header.length))
      // Messages are aligned to 4 bytes; the last one of a datagram may lack the padding.
      offset += (header.length + 3) & ~3
      if header.sequence != sequence { continue }
      if header.flags & UInt16(NLM_F_DUMP_INTR) != 0 { isInconsistent = true }
      if header.type == type {
        try body(payload)
        continue
      }
      switch Int32(header.type) {
      case NLMSG_DONE:
        try checkStatus(of: payload, isRequired: false)
        return isInconsistent ? .finishedInconsistent : .finished
      case NLMSG_ERROR:
        try checkStatus(of: payload, isRequired: true)
      case NLMSG_OVERRUN:
        throw .failed(Errno(rawValue: ENOBUFS))
      default:
        break
      }
    }
    return .unfinished
  }

  private func checkStatus(of payload: Span<UInt8>, isRequired: Bool) throws(NetlinkError) {
    guard let status = payload.integer(at: 0, as: Int32.self) else {
      if isRequired { throw .malformed("an error message of \(payload.count) bytes") }
      return
    }
    if status < 0 { throw .refused(Errno(rawValue: status == .min ? EINVAL : -status)) }
  }
}

/// The header of a netlink message (`struct nlmsghdr`).
struct NetlinkHeader {
  static let size = 16

  /// The length of the message in bytes, including this header.
  let length: Int
  let type: UInt16
  let flags: UInt16
  let sequence: UInt32

  /// Parses the header at `offset`; nil if the header or its message is truncated.
  @inline(__always)
  init?(_ bytes: Span<UInt8>, at offset: Int) {
    guard bytes.count - offset >= Self.size else { return nil }
    let length = bytes.number(at: offset, as: UInt32.self)
    guard length >= Self.size, Int(length) <= bytes.count - offset else { return nil }
    self.length = Int(length)
    type = bytes.number(at: offset + 4, as: UInt16.self)
    flags = bytes.number(at: offset + 6, as: UInt16.self)
    sequence = bytes.number(at: offset + 8, as: UInt32.self)
  }
}

/// Passes the type and payload of each attribute in `bytes` (`struct rtattr`, rtnetlink(7)) to `body`.
///
/// Stops at the first attribute that exceeds `bytes`; the caller sees the attributes after it as missing.
func forEachAttribute(in bytes: Span<UInt8>, _ body: (_ type: UInt16, _ payload: Span<UInt8>) -> Void) {
  var offset = 0
  while let length = bytes.integer(at: offset, as: UInt16.self),
    let type = bytes.integer(at: offset + 2, as: UInt16.self)
  {
    guard length >= 4, Int(length) <= bytes.count - offset else { return }
    // The two highest bits are flags about the payload's encoding (NLA_TYPE_MASK).
    body(type & 0x3FFF, bytes.extracting((offset + 4)..<(offset + Int(length))))
    offset += (Int(length) + 3) & ~3
  }
}
