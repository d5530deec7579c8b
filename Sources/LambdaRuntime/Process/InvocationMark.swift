import CLinux
import Glibc
import Platform

/// The IDs of the current invocation, in memory that a signal handler and a parent process can read.
@safe
final class InvocationMark {
  /// The maximum length of a request ID in bytes; ``Invocation`` rejects longer ones.
  static let capacity = 256
  /// The maximum length of an invocation ID in bytes. A longer one isn't stored, and then an answer can't repeat it.
  static let invocationIDCapacity = 1_024

  /// The NUL-terminated bytes of the request ID, followed by those of the invocation ID. Valid for the lifetime of the mark.
  let pointer: UnsafeMutablePointer<UInt8>

  /// Creates a mark in memory shared with child processes, so that it survives the process that wrote it.
  init() throws(Errno) {
    let size = Self.size
    let pages = unsafe mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)
    guard let pages = unsafe pages, unsafe pages != MAP_FAILED else { throw Errno.current }
    unsafe pointer = pages.bindMemory(to: UInt8.self, capacity: size)
  }

  deinit {
    unsafe munmap(pointer, Self.size)
  }

  private static var size: Int { capacity + 1 + invocationIDCapacity + 1 }

  /// The IDs of the current invocation, or of the one during which the process died; nil if there is none.
  var ids: InvocationIDs? {
    get {
      bytes(at: 0, limit: Self.capacity).map { requestID in
        InvocationIDs(
          requestID: String(decoding: requestID, as: UTF8.self),
          invocationID: bytes(at: Self.capacity + 1, limit: Self.invocationIDCapacity))
      }
    }
    set {
      // The request ID is the last to be set and the first to be cleared, because it says that there is an invocation.
      guard let newValue else {
        unsafe pointer[0] = 0
        return
      }
      let invocationID = newValue.invocationID ?? []
      store(
        invocationID.count > Self.invocationIDCapacity ? [] : invocationID, at: Self.capacity + 1,
        limit: Self.invocationIDCapacity)
      store(newValue.requestID.utf8, at: 0, limit: Self.capacity)
    }
  }

  private func bytes(at start: Int, limit: Int) -> [UInt8]? {
    var bytes: [UInt8] = []
    while bytes.count < limit, unsafe pointer[start + bytes.count] != 0 {
      unsafe bytes.append(pointer[start + bytes.count])
    }
    return bytes.isEmpty ? nil : bytes
  }

  private func store(_ bytes: some Collection<UInt8>, at start: Int, limit: Int) {
    var end = start
    for byte in bytes.prefix(limit) {
      unsafe pointer[end] = byte
      end += 1
    }
    unsafe pointer[end] = 0
  }
}
