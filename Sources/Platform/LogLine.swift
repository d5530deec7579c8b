import Glibc
import WireFormats

/// One line of a log.
struct LogLine {
  let level: Log.Level
  let format: Log.Format
  let isFramed: Bool
  let requestID: String?
  var text: String
  var fields: [(String, LogValue)]

  /// Returns the bytes to write. If `isJournal`, they begin with the priority.
  func encoded(isJournal: Bool) -> [UInt8] {
    let line = bytes
    if isJournal { return level.journalPriority + line }
    return isFramed ? telemetryFrame(line.dropLast(1), level: level, format: format, at: .now) : line
  }

  /// Splits the line into pieces whose encoded form the kernel writes to a pipe atomically, without bytes of other writers
  /// in between (pipe(7)). The fields of a line that is too long become a part of its text.
  func pieces() -> [LogLine] {
    let limit = Int(PIPE_BUF)
    // Measured instead of computed: escapes lengthen a text, and by how much depends on the format.
    func fits(_ text: String) -> Bool {
      var piece = self
      piece.text = text
      piece.fields = []
      return piece.encoded(isJournal: false).count <= limit
    }
    if encoded(isJournal: false).count <= limit { return [self] }
    var pieces = [textWithFields.unicodeScalars[...]]
    var index = 0
    while index < pieces.count {
      let piece = pieces[index]
      guard piece.count > 1, !fits("… \(Substring(piece)) …") else {
        index += 1
        continue
      }
      let middle = piece.index(piece.startIndex, offsetBy: piece.count / 2)
      pieces.replaceSubrange(index...index, with: [piece[..<middle], piece[middle...]])
    }
    return pieces.enumerated().map { index, piece in
      var line = self
      line.text = (index > 0 ? "… " : "") + String(piece) + (index < pieces.count - 1 ? " …" : "")
      line.fields = []
      return line
    }
  }

  private var textWithFields: String {
    fields.reduce(into: text) { text, field in text += " \(field.0)=\(field.1.text)" }
  }

  /// The line with its line feed, without a frame.
  var bytes: [UInt8] {
    let time = CivilTime(.now).extendedFormat
    switch format {
    case .text:
      let id = requestID.map { "\t" + escapingControlCharacters($0) } ?? ""
      return Array("[\(level.name)]\t\(time)\(id)\t\(escapingControlCharacters(textWithFields))\n".utf8)
    case .json:
      var line = JSONWriter()
      line.beginMap(count: fields.count + (requestID == nil ? 3 : 4))
      line.key("timestamp")
      line.string(time)
      line.key("level")
      line.string(level.name)
      line.key("message")
      line.string(text)
      if let requestID {
        line.key("requestId")
        line.string(requestID)
      }
      var names = fields.isEmpty ? [] : Self.reservedNames
      for (name, value) in fields {
        var name = name
        while names.contains(name) { name = "_" + name }
        names.append(name)
        line.key(name)
        value.write(to: &line)
      }
      line.endMap()
      // JSON doesn't escape control characters beyond ASCII. They occur only inside strings, so an escape is equivalent.
      let json = replacingControlCharacters(String(decoding: line.bytes, as: UTF8.self)) { scalar in
        let digits = String(scalar.value, radix: 16)
        return "\\u" + String(repeating: "0", count: max(0, 4 - digits.utf8.count)) + digits
      }
      return Array("\(json)\n".utf8)
    }
  }

  private static let reservedNames = ["timestamp", "level", "message", "requestId"]
}

extension Log.Level {
  /// The priority that precedes a line in the journal (sd-daemon(3)).
  fileprivate var journalPriority: [UInt8] {
    let priority =
      switch self {
      case .trace, .debug: 7
      case .info: 6
      case .warn: 4
      case .error: 3
      case .fatal: 2
      }
    return Array("<\(priority)>".utf8)
  }
}
