import Glibc

/// The environment variable `_X_AMZN_TRACE_ID`, in which the X-Ray SDKs expect the trace of the current invocation.
///
/// A handler's threads, or a library's resolver, may call getenv(3) at any time. Before glibc 2.41 that is unsafe while
/// another thread calls setenv(3) or unsetenv(3), because these move the entries of `environ` and free the old array. The
/// variable is therefore added to the array once, before the function is created. After that only the bytes of its entry
/// change. The entry is a buffer that is never freed; setenv(3) would also leak a copy of each value.
///
/// If an invocation has no trace, the entry becomes an empty string. That hides the variable: getenv(3) compares names,
/// and programs that list the environment ignore entries without `=`.
///
/// A handler that sets or unsets the variable itself changes the array, which is a risk for the handler's threads. The
/// next invocation restores the entry.
@safe
struct TraceVariable {
  private static let name = "_X_AMZN_TRACE_ID"
  /// The size of the buffer in bytes, far more than any trace header needs. A header that doesn't fit is ignored.
  private static let capacity = 2_048
  /// Never freed, because the environment points to it. Outside of tests, a process has only one.
  private let buffer = UnsafeMutablePointer<CChar>.allocate(capacity: capacity)
  /// The index of the value, after the name and the equals sign.
  private static let start = name.utf8.count + 1

  /// Adds the variable to the environment and hides it. An inherited value is dropped, because it belongs to no invocation.
  init() {
    unsafe buffer.initialize(repeating: 0, count: Self.capacity)
    for (index, byte) in "\(Self.name)=".utf8.enumerated() {
      unsafe buffer[index] = CChar(bitPattern: byte)
    }
    set(nil)
  }

  /// Sets the variable to `value`, which must not contain a NUL. Nil hides the variable.
  func set(_ value: ArraySlice<UInt8>?) {
    guard let value, value.count < Self.capacity - Self.start else {
      hide()
      return
    }
    write(value)
    unsafe buffer[0] = CChar(bitPattern: UInt8(ascii: "_"))
    if unsafe getenv(Self.name) != buffer + Self.start { unsafe putenv(buffer) }
  }

  private func hide() {
    // The first time, and after a handler has unset the variable, add the entry before hiding it.
    if !hasPlace { set([]) }
    unsafe buffer[0] = 0
    // While the variable was hidden, a handler may have added an entry of the same name.
    if unsafe getenv(Self.name) != nil { unsafe unsetenv(Self.name) }
  }

  /// Writes the bytes one by one. A concurrent reader may see a mix of two values, but always finds a terminating NUL.
  private func write(_ value: ArraySlice<UInt8>) {
    var index = Self.start
    for byte in value {
      unsafe buffer[index] = CChar(bitPattern: byte)
      index += 1
    }
    unsafe buffer[index] = 0
  }

  private var hasPlace: Bool {
    var entry = unsafe environ
    while let text = unsafe entry.pointee {
      if unsafe text == buffer { return true }
      unsafe entry += 1
    }
    return false
  }
}
