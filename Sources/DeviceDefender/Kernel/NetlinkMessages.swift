import CLinux
import Glibc
import Platform

/// How far a dump has come.
enum DumpProgress: Equatable {
  /// The next datagram goes on with it.
  case unfinished
  /// That was all.
  case finished
  /// That was all, but something changed meanwhile, so that something may be missing (`NLM_F_DUMP_INTR`).
  case finishedInconsistent
}

/// Goes through the datagrams that answer a dump request (netlink(7)).
struct DumpReader {
  let sequence: UInt32
  private var isInconsistent = false

  init(sequence: UInt32) {
    self.sequence = sequence
  }

  /// Hands the payload of each message of type `type` to `body`.
  ///
  /// A handler that isn't there is told of in one of two ways: by `NLMSG_ERROR`, or by an `NLMSG_DONE` that carries a
  /// negative number (measured: -ENOENT where the kernel was built without `INET_UDP_DIAG`). Who takes the latter for the
  /// end of an empty dump reports that there are no sockets.
  @inline(__always)
  mutating func read(
    _ datagram: Span<UInt8>, type: UInt16, _ body: (Span<UInt8>) throws(NetlinkError) -> Void
  ) throws(NetlinkError) -> DumpProgress {
    var offset = 0
    while offset < datagram.count {
      guard let header = NetlinkHeader(datagram, at: offset) else {
        throw .malformed("a message header of \(datagram.count - offset) bytes, or a wrong length in it")
      }
      let payload = datagram.extracting((offset + NetlinkHeader.size)..<(offset + header.length))
      // Rounded up to 4 bytes; the last message of a datagram needn't be padded.
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

/// The head of a netlink message (`struct nlmsghdr`).
struct NetlinkHeader {
  static let size = 16

  /// The length of the message with this head, in bytes.
  let length: Int
  let type: UInt16
  let flags: UInt16
  let sequence: UInt32

  /// Reads the head at `offset`; nil where it is cut off, or where the message would be.
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

/// Hands each attribute in `bytes` (`struct rtattr`, rtnetlink(7)) to `body`: its type, and what is in it.
///
/// Ends at the first one that doesn't fit: what is missing then is missing.
func forEachAttribute(in bytes: Span<UInt8>, _ body: (_ type: UInt16, _ payload: Span<UInt8>) -> Void) {
  var offset = 0
  while let length = bytes.integer(at: offset, as: UInt16.self),
    let type = bytes.integer(at: offset + 2, as: UInt16.self)
  {
    guard length >= 4, Int(length) <= bytes.count - offset else { return }
    // The two highest bits say how the payload is made, not what it is (NLA_TYPE_MASK).
    body(type & 0x3FFF, bytes.extracting((offset + 4)..<(offset + Int(length))))
    offset += (Int(length) + 3) & ~3
  }
}
