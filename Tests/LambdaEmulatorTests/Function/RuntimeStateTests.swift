import Testing

@testable import LambdaEmulator

@Suite struct `The state of the Runtime API` {
  /// A request of the runtime, or the emulator handing out an invocation.
  enum Step: Sendable {
    case poll
    case handOut(String)
    case response(to: String)
    case error(to: String)
    case initError
  }

  /// Steps, and how the API rejects the last one; nil if it is accepted.
  struct Case: Sendable, CustomTestStringConvertible {
    let steps: [Step]
    let refusal: String?
    var testDescription: String { "\(steps) → \(refusal ?? "accepted")" }

    init(_ steps: [Step], _ refusal: String? = nil) {
      self.steps = steps
      self.refusal = refusal
    }
  }

  @Test(arguments: [
    // No invocation was handed out, so no request ID is valid.
    Case([.response(to: "a")], "InvalidRequestID"),
    Case([.error(to: "a")], "InvalidRequestID"),
    Case([.poll, .response(to: "a")], "InvalidRequestID"),
    // An initialisation failure can be reported once, before the first poll, and is final.
    Case([.initError]),
    Case([.initError, .initError], "InvalidStateTransition"),
    Case([.initError, .poll], "InvalidStateTransition"),
    Case([.poll, .initError], "InvalidStateTransition"),
    Case([.poll, .handOut("a"), .initError], "InvalidStateTransition"),
    // Each invocation is answered once, under its own ID.
    Case([.poll, .handOut("a"), .response(to: "a")]),
    Case([.poll, .handOut("a"), .error(to: "a")]),
    Case([.poll, .handOut("a"), .response(to: "b")], "InvalidRequestID"),
    Case([.poll, .handOut("a"), .response(to: "")], "InvalidRequestID"),
    Case([.poll, .handOut("a"), .response(to: "a"), .response(to: "a")], "InvalidStateTransition"),
    Case([.poll, .handOut("a"), .response(to: "a"), .error(to: "a")], "InvalidStateTransition"),
    Case([.poll, .handOut("a"), .error(to: "a"), .response(to: "a")], "InvalidStateTransition"),
    Case([.poll, .handOut("a"), .response(to: "a"), .response(to: "b")], "InvalidRequestID"),
    Case([.poll, .handOut("a"), .response(to: "a"), .poll, .response(to: "a")], "InvalidRequestID"),
    // A rejected answer doesn't change the state.
    Case([.poll, .handOut("a"), .response(to: "b"), .response(to: "a")]),
    // A lost poll may be repeated before, during and after an invocation.
    Case([.poll, .poll]),
    Case([.poll, .handOut("a"), .poll]),
    Case([.poll, .handOut("a"), .poll, .response(to: "a")]),
    Case([.poll, .handOut("a"), .response(to: "a"), .poll]),
    Case([.poll, .handOut("a"), .response(to: "a"), .poll, .handOut("b"), .response(to: "b")]),
  ])
  func `accepts and rejects the same requests as AWS's Runtime API`(row: Case) {
    var state = RuntimeState()
    var refusal: String?
    for step in row.steps {
      refusal = nil
      do throws(RuntimeState.Refusal) {
        switch step {
        case .poll: _ = try state.poll()
        case .handOut(let id): state.handOut(id)
        case .response(let id): try state.answer(id, transition: "InvocationResponse")
        case .error(let id): try state.answer(id, transition: "InvocationErrorResponse")
        case .initError: try state.failToStart()
        }
      } catch {
        switch error {
        case .invalidRequestID: refusal = "InvalidRequestID"
        case .invokeTimeout: refusal = "InvokeTimeout"
        case .invalidStateTransition: refusal = "InvalidStateTransition"
        }
      }
    }
    #expect(refusal == row.refusal)
  }

  @Test func `repeats an invocation only until it is answered`() throws {
    var state = RuntimeState()
    #expect(try state.poll() == nil)
    state.handOut("a")
    #expect(try state.poll() == "a")
    try state.answer("a", transition: "InvocationResponse")
    #expect(try state.poll() == nil)
  }

  @Test(arguments: [
    (nil, "Runtime.Unknown"), ("", "Runtime.Unknown"), ("Unhandled", "Runtime.Unknown"),
    ("ValueError", "Runtime.Unknown"), ("Function.", "Function.Unknown"), ("Function.x", "Function.Unknown"),
    ("Function.X", "Function.Unknown"), ("Function.Bad Thing", "Function.Unknown"),
    ("Function.Bad1", "Function.Unknown"), ("Function.Bad.Event", "Function.Unknown"),
    ("function.BadEvent", "Runtime.Unknown"), ("Runtime.exit", "Runtime.Unknown"),
    ("Function.BadEvent", "Function.BadEvent"), ("Runtime.ExitError", "Runtime.ExitError"),
    ("Function.Xy", "Function.Xy"),
  ])
  func `keeps the same error types as Lambda`(sent: String?, kept: String) {
    #expect(keptErrorType(sent) == kept)
  }
}
