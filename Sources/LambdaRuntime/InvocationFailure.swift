import WireFormats

/// A failure that is told to the caller of a function in just these words.
public struct InvocationFailure: Error, Equatable, Sendable {
  /// A name of the form `Function.BadEvent`: letters only after the point, the first of them upper case.
  ///
  /// Lambda keeps nothing else. A type of another form is changed into this one where it is sent.
  public var type: String
  public var message: String

  public init(type: String, message: String) {
    self.type = type
    self.message = message
  }

  /// The failure that stands for any error: itself, or the error's type and description.
  init(_ error: any Error) {
    if let failure = error as? InvocationFailure {
      self = failure
    } else {
      self.init(type: "Function.\(Swift.type(of: error))", message: "\(error)")
    }
  }

  /// The type in the form `(Runtime|Function)\.[A-Z][a-zA-Z]+`, which is the only one that Lambda doesn't replace.
  var keptType: String {
    let name = type.utf8
    let isOfRuntime = type.hasPrefix("Runtime.")
    let letters =
      (isOfRuntime || type.hasPrefix("Function.") ? name.drop { $0 != UInt8(ascii: ".") } : name[...])
      .filter { byte in
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte & 0xDF)
      }
    guard let first = letters.first, letters.count > 1 else { return "Function.Failure" }
    return (isOfRuntime ? "Runtime." : "Function.") + String(UnicodeScalar(first & 0xDF))
      + String(decoding: letters.dropFirst().prefix(200), as: UTF8.self)
  }

  /// The failure as Lambda's error document: `{"errorType":…,"errorMessage":…,"stackTrace":[]}`.
  var document: [UInt8] {
    var document = JSONWriter()
    document.beginMap(count: 3)
    document.member("errorType", keptType)
    document.member("errorMessage", bounded(message, to: 65_536))
    document.key("stackTrace")
    document.beginList(count: 0)
    document.endList()
    document.endMap()
    return document.bytes
  }

  /// This failure with so much of its message that its document has at most `limit` bytes, escapes included.
  func shortened(toDocumentOf limit: Int) -> InvocationFailure {
    var shorter = self
    var length = message.utf8.count
    while shorter.document.count > limit, length > 0 {
      length /= 2
      shorter.message = String(decoding: message.utf8.prefix(length), as: UTF8.self) + "…"
    }
    return shorter
  }

  /// The failure as X-Ray's cause, in ASCII on one line, as a header field takes it.
  ///
  /// Lambda cuts it above 64 KiB; the message is cut here so that it never comes to that.
  var xRayCause: String {
    var cause = JSONWriter()
    cause.beginMap(count: 3)
    cause.member("working_directory", "/var/task")
    cause.key("exceptions")
    cause.beginList(count: 1)
    cause.beginMap(count: 3)
    cause.member("message", bounded(message, to: 4_096))
    cause.member("type", keptType)
    cause.key("stack")
    cause.beginList(count: 0)
    cause.endList()
    cause.endMap()
    cause.endList()
    cause.key("paths")
    cause.beginList(count: 0)
    cause.endList()
    cause.endMap()
    return escapingNonASCII(String(decoding: cause.bytes, as: UTF8.self))
  }
}

/// `text`, cut where it is longer than anybody reads.
private func bounded(_ text: String, to limit: Int) -> String {
  let length = text.utf8.count
  guard length > limit else { return text }
  return String(decoding: text.utf8.prefix(limit), as: UTF8.self) + "… (\(length) bytes)"
}

/// JSON text with its characters beyond ASCII written as `\uXXXX`, in surrogate pairs where it takes two.
private func escapingNonASCII(_ json: String) -> String {
  guard json.utf8.contains(where: { $0 >= 0x80 }) else { return json }
  var escaped: [UInt8] = []
  for unit in json.utf16 {
    guard unit >= 0x80 else {
      escaped.append(UInt8(unit))
      continue
    }
    escaped.append(contentsOf: #"\u"#.utf8)
    appendHex(UInt8(unit >> 8), to: &escaped)
    appendHex(UInt8(unit & 0xFF), to: &escaped)
  }
  return String(decoding: escaped, as: UTF8.self)
}
