import CLinux
import Glibc
import Platform

/// The ID of the current invocation, in memory that a signal handler and a parent process can read.
@safe
final class InvocationMark {
  /// The maximum length of an ID in bytes; ``Invocation`` rejects longer ones.
  static let capacity = 256

  /// The NUL-terminated bytes of the ID. Valid for the lifetime of the mark.
  let pointer: UnsafeMutablePointer<UInt8>

  /// Creates a mark in memory shared with child processes, so that it survives the process that wrote it.
  init() throws(Errno) {
    let size = Self.capacity + 1
    let pages = unsafe mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)
    guard let pages = unsafe pages, unsafe pages != MAP_FAILED else { throw Errno.current }
    unsafe pointer = pages.bindMemory(to: UInt8.self, capacity: size)
  }

  deinit {
    unsafe munmap(pointer, Self.capacity + 1)
  }

  /// The ID of the current invocation, or of the one during which the process died; nil if there is none.
  var requestID: String? {
    get {
      var id: [UInt8] = []
      while id.count < Self.capacity, unsafe pointer[id.count] != 0 { unsafe id.append(pointer[id.count]) }
      return id.isEmpty ? nil : String(decoding: id, as: UTF8.self)
    }
    set {
      var id = newValue ?? ""
      let length = min(id.utf8.count, Self.capacity)
      id.withUTF8 { bytes in
        if let first = bytes.baseAddress { unsafe pointer.update(from: first, count: length) }
      }
      unsafe pointer[length] = 0
    }
  }
}
