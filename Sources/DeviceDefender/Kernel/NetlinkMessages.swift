import CLinux
import Glibc
import Platform

/// Why netlink didn't answer.
enum NetlinkError: Error, Equatable {
  /// The kernel, or a filter before it, doesn't do this here.
  case refused(Errno)
  /// The conversation broke.
  case failed(Errno)
  /// The answer isn't what netlink(7) says.
  case malformed(String)

  /// Whether asking again would be no use: no such family or handler, or not allowed.
  var isLasting: Bool {
    guard case .refused(let errno) = self else { return false }
    let lasting = [
      EACCES, EAFNOSUPPORT, ECONNREFUSED, EINVAL, ENOENT, ENOSYS, EOPNOTSUPP, EPERM, EPROTONOSUPPORT,
      ESOCKTNOSUPPORT,
    ]
    return lasting.contains(errno.rawValue)
  }
}

extension NetlinkError: CustomStringConvertible {
  var description: String {
    switch self {
    case .refused(let errno), .failed(let errno): "\(errno)"
    case .malformed(let reason): "malformed answer: \(reason)"
    }
  }
}

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

extension Span<UInt8> {
  /// The number at `offset`, in the host's byte order, of bytes that the caller knows to be there.
  @inline(__always)
  func number<Number: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: Number.Type) -> Number {
    // Any bytes are an integer; were they not there, this would stop rather than read beyond the end.
    unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: type)
  }

  /// The number at `offset`, in the host's byte order; nil where it would reach beyond the end.
  func integer<Number: FixedWidthInteger & BitwiseCopyable>(
    at offset: Int, as type: Number.Type
  ) -> Number? {
    guard offset >= 0, count - offset >= MemoryLayout<Number>.size else { return nil }
    // Any bytes are an integer, and they are all inside.
    return unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: type)
  }
}
