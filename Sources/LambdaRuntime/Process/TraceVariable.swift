import Glibc

/// `_X_AMZN_TRACE_ID`, where the X-Ray SDKs look for the trace of the invocation that is being answered.
///
/// Threads of a handler, or of a library's resolver, may call getenv(3) at any time, and in glibc before 2.41 that is not
/// safe beside setenv(3) or unsetenv(3): these move the entries of `environ` and free the array that held them. So the
/// variable gets its place in the array once, before the function is made, and from then on only the bytes of its entry
/// change. The entry is a buffer that stays for as long as the process; setenv(3) would also keep a copy of each value.
///
/// An invocation without a trace leaves the entry an empty string, which is no variable: getenv(3) compares
/// names, and programs that list the environment ignore entries without `=`.
///
/// A handler that sets or unsets the variable itself changes the array, beside its own threads. The next invocation puts
/// that right, the same way.
@safe
struct TraceVariable {
  private static let name = "_X_AMZN_TRACE_ID"
  /// No trace header comes near; a longer one is left out.
  private static let capacity = 2_048
  /// Never freed, because the environment refers to it. A process has one of these, but for tests.
  private let buffer = UnsafeMutablePointer<CChar>.allocate(capacity: capacity)
  /// Where the value begins, after the name and the equals sign.
  private static let start = name.utf8.count + 1

  /// Takes the variable's place in the environment, without a value. A value inherited at start belongs to no invocation
  /// and is dropped.
  init() {
    unsafe buffer.initialize(repeating: 0, count: Self.capacity)
    for (index, byte) in "\(Self.name)=".utf8.enumerated() {
      unsafe buffer[index] = CChar(bitPattern: byte)
    }
    set(nil)
  }

  /// Sets the variable to `value`, which holds no NUL; nil takes it out of the environment.
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
    // The first time, and after a handler that unset it, the entry takes its place before it is hidden.
    if !hasPlace { set([]) }
    unsafe buffer[0] = 0
    // A handler that found no entry of that name may have added one.
    if unsafe getenv(Self.name) != nil { unsafe unsetenv(Self.name) }
  }

  /// Writes the bytes one by one. A concurrent reader may see a mix of two values, but always a terminating NUL.
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
