import ArgumentParser
import Glibc
import Platform
import WireFormats

/// How `invoke` and `emulator` show a function's JSON log lines.
enum LogLines: String, CaseIterable, ExpressibleByArgument {
  /// Readable on a terminal, otherwise unchanged.
  case auto
  case readable
  case raw

  /// Whether lines that are written to standard error are converted.
  var areReadable: Bool {
    switch self {
    case .auto: isatty(STDERR_FILENO) == 1
    case .readable: true
    case .raw: false
    }
  }
}

/// Converts a line of Lambda's JSON log format to the text format: level, time, request ID, message and the other members.
///
/// The names are those of Lambda's runtimes and of common JSON loggers. A line that isn't a JSON object with a message and with a level
/// or a time is returned unchanged, so no line and no member is ever lost.
func readableLogLine(_ line: String) -> String {
  guard
    line.hasPrefix("{"), let entry = try? JSONValue(parsing: Array(line.utf8)), let members = entry.members,
    let message = entry.first(of: ["message", "msg"])
  else { return line }
  let level = entry.first(of: ["level"])
  let time = entry.first(of: ["timestamp", "time", "ts"])
  let requestID = entry.first(of: ["requestId", "AWSRequestId", "request_id", "function_request_id"])
  guard level != nil || time != nil else { return line }
  let shown = [level, time, requestID, message].compactMap { $0?.name }
  let others = members.filter { !shown.contains($0.name) }.map { member in
    "\(escapingControlCharacters(member.name))=\(fieldText(member.value))"
  }
  let columns =
    [level.map { "[\(plainText($0.value))]" }] + [time, requestID].map { $0.map { plainText($0.value) } }
  let text = (message.value.string ?? compact(message.value)).split(
    separator: "\n", omittingEmptySubsequences: false)
  let shownText = text.map { escapingControlCharacters(String($0)) }.joined(separator: "\n    ")
  let all = columns + [shownText, others.isEmpty ? nil : others.joined(separator: " ")]
  return all.compactMap { $0 }.joined(separator: "\t")
}

extension JSONValue {
  /// Returns the first member that has one of the names.
  fileprivate func first(of names: [String]) -> Member? {
    for name in names {
      if let value = self[name] { return Member(name: name, value: value) }
    }
    return nil
  }
}

/// Returns a string without its quotes, and any other value as compact JSON. Control characters are escaped, because a terminal would
/// interpret them.
private func plainText(_ value: JSONValue) -> String {
  escapingControlCharacters(value.string ?? compact(value))
}

/// Returns a value as text to follow `name=`. A string that is one plain word has no quotes; any other value is JSON.
private func fieldText(_ value: JSONValue) -> String {
  let text = value.string ?? ""
  let isWord =
    !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !#""\='{[,"#.utf8.contains($0) }
  return isWord ? text : escapingControlCharacters(compact(value))
}

private func compact(_ value: JSONValue) -> String {
  var document = JSONWriter()
  value.write(to: &document)
  return String(decoding: document.bytes, as: UTF8.self)
}
