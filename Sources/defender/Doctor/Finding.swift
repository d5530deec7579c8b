import Platform
import WireFormats

/// The result of one check of `defender doctor`.
struct Finding: Equatable, Sendable {
  enum Status: String, CaseIterable, Sendable {
    case ok, warning, failed
    /// Not checked, because another check failed or because the user didn't request it.
    case skipped
  }

  let check: String
  let status: Status
  /// The result, without a full stop.
  let message: String
  /// What to do, in whole sentences; nil if there is nothing to do.
  let advice: String?

  init(_ check: String, _ status: Status, _ message: String, advice: String? = nil) {
    self.check = check
    self.status = status
    self.message = message
    self.advice = advice
  }

  /// Whether the check is about the certificate or the credentials.
  var isAboutIdentity: Bool { ["certificate", "credentials"].contains(check) }

  /// The finding as one readable line.
  var line: String {
    func padded(_ text: String, _ width: Int) -> String {
      text + String(repeating: " ", count: max(1, width - text.count))
    }
    let text = escapingControlCharacters(advice.map { "\(message). \($0)" } ?? message)
    return padded(status.rawValue, 9) + padded(check, 15) + text
  }

  /// The column in which the text of each line begins.
  private static let indent = 24

  /// Returns the line broken between words for a terminal of `columns`. Further lines are indented to the text, if that
  /// leaves room for it.
  func wrapped(to columns: Int, isColored: Bool) -> String {
    let indent = columns >= 2 * Self.indent ? Self.indent : 2
    var lines: [String] = []
    var current = String(line.prefix(Self.indent))
    var isEmpty = true
    for word in line.dropFirst(Self.indent).split(separator: " ") {
      if !isEmpty, current.count + 1 + word.count > columns {
        lines.append(current)
        current = String(repeating: " ", count: indent)
        isEmpty = true
      }
      current += isEmpty ? String(word) : " \(word)"
      isEmpty = false
    }
    let text = (lines + [current]).joined(separator: "\n")
    return isColored ? colored(text) : text
  }

  /// The line with the status in colour (ECMA-48, SGR), for a terminal.
  var coloredLine: String { colored(line) }

  private func colored(_ text: String) -> String {
    let color =
      switch status {
      case .ok: 32
      case .warning: 33
      case .failed: 31
      case .skipped: 2
      }
    return "\u{1B}[\(color)m\(status.rawValue)\u{1B}[0m\(text.dropFirst(status.rawValue.count))"
  }

  /// `{"check":"DNS","status":"failed","message":"…","advice":"…"}`
  var json: JSONValue {
    let texts = [("check", check), ("status", status.rawValue), ("message", message)]
    let advised = advice.map { texts + [("advice", $0)] } ?? texts
    return .object(advised.map { JSONValue.Member(name: $0, value: .string($1)) })
  }
}

extension [Finding] {
  /// Returns the number of findings with a status.
  func count(_ status: Finding.Status) -> Int { count { $0.status == status } }

  /// A sentence that says what to do after these findings.
  var nextStep: String {
    if let failure = first(where: { $0.status == .failed }) {
      let next = count(.failed) > 1 ? "first, then the other failed checks" : "and run defender doctor again"
      return "Fix '\(failure.check)' \(next)."
    }
    if contains(where: { $0.check == "publish" && $0.status == .skipped }) {
      return "To test publishing, add --publish --topic TOPIC."
    }
    return "Start the agent."
  }

  /// `9 ok, 1 warning, 0 failed, 1 skipped`
  var summary: String {
    Finding.Status.allCases.map { status in
      let number = count(status)
      return "\(number) \(number == 1 ? status.rawValue : status.plural)"
    }.joined(separator: ", ")
  }

  /// `{"checks":[…],"ok":9,"warnings":2,"failed":0,"skipped":1}`
  var json: JSONValue {
    let counts = Finding.Status.allCases.map { status in
      JSONValue.Member(name: status.plural, value: .number(String(count(status))))
    }
    return .object([JSONValue.Member(name: "checks", value: .array(map(\.json)))] + counts)
  }
}

extension Finding.Status {
  fileprivate var plural: String { self == .warning ? "warnings" : rawValue }
}
