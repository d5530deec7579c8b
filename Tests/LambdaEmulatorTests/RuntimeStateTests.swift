import Testing

@testable import LambdaEmulator

@Suite struct RuntimeStateTests {
  /// What a runtime says, and what happens to it.
  enum Step: Sendable {
    case poll
    case handOut(String)
    case response(to: String)
    case error(to: String)
    case initError
  }

  /// What the API makes of the last step: nil where it is accepted.
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
    // Nothing was handed out: no id is right.
    Case([.response(to: "a")], "InvalidRequestID"),
    Case([.error(to: "a")], "InvalidRequestID"),
    Case([.poll, .response(to: "a")], "InvalidRequestID"),
    // A failed start is told once, before the first poll, and is final.
    Case([.initError]),
    Case([.initError, .initError], "InvalidStateTransition"),
    Case([.initError, .poll], "InvalidStateTransition"),
    Case([.poll, .initError], "InvalidStateTransition"),
    Case([.poll, .handOut("a"), .initError], "InvalidStateTransition"),
    // Each invocation is answered once, by its own id.
    Case([.poll, .handOut("a"), .response(to: "a")]),
    Case([.poll, .handOut("a"), .error(to: "a")]),
    Case([.poll, .handOut("a"), .response(to: "b")], "InvalidRequestID"),
    Case([.poll, .handOut("a"), .response(to: "")], "InvalidRequestID"),
    Case([.poll, .handOut("a"), .response(to: "a"), .response(to: "a")], "InvalidStateTransition"),
    Case([.poll, .handOut("a"), .response(to: "a"), .error(to: "a")], "InvalidStateTransition"),
    Case([.poll, .handOut("a"), .error(to: "a"), .response(to: "a")], "InvalidStateTransition"),
    Case([.poll, .handOut("a"), .response(to: "a"), .response(to: "b")], "InvalidRequestID"),
    Case([.poll, .handOut("a"), .response(to: "a"), .poll, .response(to: "a")], "InvalidRequestID"),
    // A refused answer changes nothing.
    Case([.poll, .handOut("a"), .response(to: "b"), .response(to: "a")]),
    // A poll that was lost may be repeated, before an invocation, during one and after it.
    Case([.poll, .poll]),
    Case([.poll, .handOut("a"), .poll]),
    Case([.poll, .handOut("a"), .poll, .response(to: "a")]),
    Case([.poll, .handOut("a"), .response(to: "a"), .poll]),
    Case([.poll, .handOut("a"), .response(to: "a"), .poll, .handOut("b"), .response(to: "b")]),
  ])
  func `takes and refuses what AWS's Runtime API does`(row: Case) {
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
        case .invalidStateTransition: refusal = "InvalidStateTransition"
        }
      }
    }
    #expect(refusal == row.refusal)
  }

  @Test func `repeats an open invocation, and only an open one`() throws {
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
  func `keeps only error types of the form that Lambda keeps`(sent: String?, kept: String) {
    #expect(keptErrorType(sent) == kept)
  }
}
