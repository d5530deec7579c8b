import CLinux
import Glibc
import Platform

/// The id of the invocation that is being served, where a signal handler and a parent process can read it.
@safe
final class InvocationMark {
  /// Enough for every id that an ``Invocation`` takes.
  static let capacity = 256

  /// The id's bytes, and a NUL after the last of them; valid as long as the mark is.
  let pointer: UnsafeMutablePointer<UInt8>

  /// A mark in memory that child processes share, so that it outlives the one that wrote it.
  init() throws(Errno) {
    let size = Self.capacity + 1
    let pages = unsafe mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)
    guard let pages = unsafe pages, unsafe pages != MAP_FAILED else { throw Errno.current }
    unsafe pointer = pages.bindMemory(to: UInt8.self, capacity: size)
  }

  deinit {
    unsafe munmap(pointer, Self.capacity + 1)
  }

  /// The invocation that is under way, or that was when the process died.
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
