import Glibc

/// `_X_AMZN_TRACE_ID`, where the X-Ray SDKs look for the trace of the invocation that is being answered.
///
/// The variable is a buffer of our own, handed to putenv(3) once and written over for each invocation: setenv(3) keeps
/// every value that it was ever given, which in a process that serves millions of invocations is a leak. A handler may set
/// or unset the variable itself; so each invocation looks what stands in the environment.
@safe
struct TraceVariable: ~Copyable {
  private static let name = "_X_AMZN_TRACE_ID"
  /// No trace header comes near; a longer one is left out.
  private static let capacity = 2_048
  private let buffer = UnsafeMutablePointer<CChar>.allocate(capacity: capacity)
  /// Where the value begins, after the name and the equals sign.
  private let start: Int

  init() {
    unsafe buffer.initialize(repeating: 0, count: Self.capacity)
    start = Self.name.utf8.count + 1
    for (index, byte) in "\(Self.name)=".utf8.enumerated() { unsafe buffer[index] = CChar(byte) }
    // What the process was started with belongs to no invocation of ours.
    unsafe unsetenv(Self.name)
  }

  deinit {
    unset()
    unsafe buffer.deallocate()
  }

  /// Sets the variable to `value`, which holds no NUL; nil takes it out of the environment.
  mutating func set(_ value: ArraySlice<UInt8>?) {
    guard let value, value.count < Self.capacity - start else {
      unset()
      return
    }
    unsafe value.withUnsafeBytes { bytes in
      unsafe UnsafeMutableRawBufferPointer(start: buffer + start, count: bytes.count).copyMemory(from: bytes)
    }
    unsafe buffer[start + value.count] = 0
    if unsafe getenv(Self.name) != buffer + start { unsafe putenv(buffer) }
  }

  private borrowing func unset() {
    unsafe unsetenv(Self.name)
  }
}
