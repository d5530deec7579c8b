import LambdaEmulator
import Platform
import Synchronization
import Testing

/// Tests of the functions that the built programs' signal handlers call, according to their machine code.
///
/// A signal may arrive while malloc(3) holds its lock. A handler that then allocates, as the Swift runtime sometimes does, never
/// returns.
@Suite struct `Linkage of the crash handler` {
  private static let handlers = ["clinux_handle_crash", "clinux_handle_stop", "clinux_handle_alarm"]
  /// Functions listed in signal-safety(7), and two functions of the C library that use only their arguments.
  private static let safeFunctions: Set = [
    "clock_gettime", "send", "poll", "write", "sigaction", "raise", "kill", "getpid", "alarm", "_exit",
    "sigaddset", "sigdelset", "memset", "memcpy", "__errno_location", "__stack_chk_fail",
  ]

  @Test(arguments: ["bootstrap", "echo-function"])
  func `signal handlers call async-signal-safe functions only`(program: String) async throws {
    let program = try BuiltProgram(program)
    var calls: Set<String> = []
    var seen: Set<String> = []
    var unread = Self.handlers
    while let name = unread.popLast() {
      guard seen.insert(name).inserted else { continue }
      let code = try await code(of: name, in: program)
      try #require(!code.isEmpty, "\(program.path) has no function \(name)")
      for target in code.compactMap(target) {
        if target.hasPrefix("clinux_") { unread.append(target) } else { calls.insert(target) }
      }
    }
    #expect(calls.subtracting(Self.safeFunctions) == [])
    // Make sure that the handlers were found.
    #expect(calls.isSuperset(of: ["clock_gettime", "send", "poll", "write", "sigaction", "raise", "_exit"]))
  }

  /// Returns the instructions of a function in objdump's format.
  private func code(of function: String, in program: BuiltProgram) async throws -> [Substring] {
    let objdump = BuiltProgram(path: "/usr/bin/env")
    let result = try await objdump.run(
      ["objdump", "-d", "--no-show-raw-insn", "--disassemble=\(function)", program.path],
      environment: ["PATH": Environment.ofThisProcess["PATH"] ?? "/usr/bin:/bin"])
    try #require(result.status == .code(0), "\(result.errorText)")
    return result.output.split(separator: "\n").filter { $0.hasPrefix(" ") && $0.contains("\t") }
  }

  /// Returns the target of a call or jump if it is outside the function; `an unknown place` if the target is in a register.
  private func target(of instruction: Substring) -> String? {
    let columns = instruction.split(separator: "\t").dropFirst()
    guard let text = columns.first else { return nil }
    let words = (columns.count > 1 ? columns.joined(separator: " ") : String(text)).split(separator: " ")
    guard let operation = words.first else { return nil }
    let isCall = ["call", "callq", "bl", "blr"].contains(operation)
    let isJump =
      operation.hasPrefix("j") || operation == "b" || operation == "br" || operation.hasPrefix("b.")
    guard isCall || isJump else { return nil }
    guard let name = instruction.split(separator: "<").dropFirst().last?.split(separator: ">").first else {
      return "an unknown place"
    }
    // A target at an offset from the function's own name is inside the function.
    if isJump, name.contains("+0x") { return nil }
    return String(name.prefix { $0 != "@" && $0 != "+" })
  }
}
