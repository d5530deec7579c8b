import WireFormats

/// An error that the caller of the function receives exactly as written.
public struct InvocationFailure: Error, Equatable, Sendable {
  /// The error type, such as `Function.BadEvent`: the prefix `Function.` or `Runtime.`, then letters, the first in upper case.
  ///
  /// Lambda replaces a type in any other form, so the runtime converts it to this form before sending it.
  public var type: String
  /// The error message. Both the caller and the function's log receive it, so don't put secrets in it.
  public var message: String

  /// Creates a failure with the given type and message.
  public init(type: String, message: String) {
    self.type = type
    self.message = message
  }

  /// Converts any error: an `InvocationFailure` stays unchanged, another error contributes its type's name and description.
  package init(_ error: any Error) {
    if let failure = error as? InvocationFailure {
      self = failure
    } else {
      self.init(type: "Function.\(Swift.type(of: error))", message: "\(error)")
    }
  }

  /// The type in the form `(Runtime|Function)\.[A-Z][a-zA-Z]+`, the only form that Lambda doesn't replace.
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

  /// The failure as the caller receives it: with the type that Lambda keeps, and a bounded message.
  package var received: InvocationFailure {
    InvocationFailure(type: keptType, message: bounded(message, to: 65_536))
  }

  /// The failure as Lambda's error document: `{"errorType":…,"errorMessage":…,"stackTrace":[]}`.
  var document: [UInt8] {
    let received = received
    var document = JSONWriter()
    document.beginMap(count: 3)
    document.member("errorType", received.type)
    document.member("errorMessage", received.message)
    document.key("stackTrace")
    document.beginList(count: 0)
    document.endList()
    document.endMap()
    return document.bytes
  }

  /// Returns this failure with its message shortened until its document has at most `limit` bytes, including escapes.
  func shortened(toDocumentOf limit: Int) -> InvocationFailure {
    var shorter = self
    var length = message.utf8.count
    while shorter.document.count > limit, length > 0 {
      length /= 2
      shorter.message = String(decoding: message.utf8.prefix(length), as: UTF8.self) + "…"
    }
    return shorter
  }

  /// The failure as an X-Ray cause: one line of ASCII, so that it fits in a header field.
  ///
  /// Lambda truncates a cause above 64 KiB. The message is truncated here to stay below that.
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

/// Returns JSON text with each non-ASCII UTF-16 code unit written as `\uXXXX`.
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
