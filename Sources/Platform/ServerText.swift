import WireFormats

/// Makes text from another program fit for a log line or an error: hides secrets and truncates it.
///
/// A server can send back what it received: AWS's response to a wrong signature contains the canonical request, including
/// the session token, and a credential endpoint may include part of the credentials in an error.
package struct ServerText: Sendable {
  /// The maximum length of a shown text, in characters.
  package static let limit = 500
  /// The length of the shortest part of a secret that is hidden, in bytes.
  private static let partLength = 12
  /// The number of bytes of a text that are scanned; the rest is cut off.
  private static let readLimit = 65_536
  /// How often a text may have been escaped: a server can put a URL's query into XML, and that into JSON.
  private static let escapeLimit = 3

  private let secrets: [[UInt8]]

  /// Creates a filter that hides `secrets`, each part of them of 12 bytes or more, and everything that looks like a
  /// secret. It finds secrets that are percent-encoded, or escaped as in XML or JSON, too.
  ///
  /// A secret of fewer than 6 bytes is hidden only if it follows its name, because a string that short can occur in any
  /// text.
  package init(hiding secrets: [String] = []) {
    self.secrets = secrets.map { Array($0.utf8) }.filter { $0.count >= 6 }
  }

  /// Returns `text` with each secret replaced by `•••`, truncated to `limit` characters.
  package func shown(_ text: String, limit: Int = Self.limit) -> String {
    let bytes = Array(text.utf8.prefix(Self.readLimit))
    var isSecret = [Bool](repeating: false, count: bytes.count)
    markKnown(bytes, &isSecret)
    markNamed(bytes, &isSecret)
    markRandom(bytes, &isSecret)
    var shown: [UInt8] = []
    for index in bytes.indices {
      if !isSecret[index] {
        shown.append(bytes[index])
      } else if index == 0 || !isSecret[index - 1] {
        shown.append(contentsOf: "•••".utf8)
      }
    }
    let masked = String(decoding: shown, as: UTF8.self)
    let isCut = bytes.count < text.utf8.count || masked.utf8.count > limit && masked.count > limit
    return isCut ? masked.prefix(limit) + "…" : masked
  }

  /// Marks the known secrets, whole and in parts.
  private func markKnown(_ bytes: [UInt8], _ isSecret: inout [Bool]) {
    var parts: Set<ArraySlice<UInt8>> = []
    var lengths: Set<Int> = []
    for secret in secrets {
      let length = min(secret.count, Self.partLength)
      lengths.insert(length)
      for start in 0...(secret.count - length) { parts.insert(secret[start..<(start + length)]) }
    }
    var text: UnescapedText? = UnescapedText(bytes)
    for _ in 0...Self.escapeLimit {
      guard let current = text else { return }
      for length in lengths where current.bytes.count >= length {
        for start in 0...(current.bytes.count - length)
        where parts.contains(current.bytes[start..<(start + length)]) {
          for index in current.place(of: start..<(start + length)) { isSecret[index] = true }
        }
      }
      text = current.unescaped()
    }
  }

  /// Marks the values of names such as `SecretAccessKey`, in JSON, XML, forms and header fields.
  private func markNamed(_ bytes: [UInt8], _ isSecret: inout [Bool]) {
    var index = 0
    while index < bytes.count {
      let start = index
      while index < bytes.count, isNameByte(bytes[index]) { index += 1 }
      guard index > start else {
        index += 1
        continue
      }
      let name = bytes[start..<index].filter { isLetterOrDigit($0) }.map(lowerCased)
      guard secretNames.contains(where: { name.hasSuffix($0) }), let value = value(after: index, in: bytes)
      else {
        continue
      }
      for index in value { isSecret[index] = true }
      index = value.upperBound
    }
  }

  /// Returns the range of the value after the name that ends at `end`; nil if no value follows.
  private func value(after end: Int, in bytes: [UInt8]) -> Range<Int>? {
    var index = end
    func skip(_ characters: String) {
      while index < bytes.count, characters.utf8.contains(bytes[index]) { index += 1 }
    }
    // The quote may be escaped: JSON inside a JSON string.
    skip("\\\"' \t")
    guard index < bytes.count, ":=>".utf8.contains(bytes[index]) else { return nil }
    index += 1
    skip(" \t\\")
    let quote = index < bytes.count && "\"'".utf8.contains(bytes[index]) ? bytes[index] : nil
    if quote != nil { index += 1 }
    let start = index
    func skipWord() {
      while index < bytes.count, !isEnd(bytes[index], ofValueIn: quote) { index += 1 }
    }
    skipWord()
    // Only the first word can be a scheme. Checking it once keeps the cost linear, however many blanks follow.
    if quote == nil, isScheme(bytes[start..<index]) {
      skip(" \t")
      skipWord()
    }
    return index > start ? start..<index : nil
  }

  /// Returns whether `byte` ends a value that is enclosed in `quote`; a nil `quote` stands for an unquoted value.
  private func isEnd(_ byte: UInt8, ofValueIn quote: UInt8?) -> Bool {
    if byte == 0x0A || byte == 0x0D { return true }
    return quote.map { byte == $0 } ?? " \t,;&<>{}()[]\"'".utf8.contains(byte)
  }

  /// Returns whether `word` is an authentication scheme, which precedes the secret, as in `Authorization: Bearer …`.
  private func isScheme(_ word: ArraySlice<UInt8>) -> Bool {
    guard word.count <= 6 else { return false }
    let scheme = word.map(lowerCased)
    return scheme == Array("bearer".utf8) || scheme == Array("basic".utf8)
  }

  /// Marks long strings that look random, such as keys, tokens and signatures.
  private func markRandom(_ bytes: [UInt8], _ isSecret: inout [Bool]) {
    var index = 0
    while index < bytes.count {
      let start = index
      while index < bytes.count, isLetterOrDigit(bytes[index]) || "+/=_-.%".utf8.contains(bytes[index]) {
        index += 1
      }
      guard index > start else {
        index += 1
        continue
      }
      let run = bytes[start..<index]
      if run.count >= 32, run.split(whereSeparator: { "/_-.%".utf8.contains($0) }).contains(where: isRandom) {
        for index in start..<index { isSecret[index] = true }
      }
    }
  }

  /// Returns whether `part` mixes digits with letters in both cases, or is a long hexadecimal number.
  private func isRandom(_ part: ArraySlice<UInt8>) -> Bool {
    let digits = part.count { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    let isHexadecimal = part.allSatisfy { isLetterOrDigit($0) && lowerCased($0) <= UInt8(ascii: "f") }
    if part.count >= 32, digits > 0, isHexadecimal { return true }
    let hasCapitals = part.contains { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }
    let hasSmall = part.contains { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) }
    return part.count >= 20 && digits > 0 && hasCapitals && hasSmall
  }
}

/// The endings, in lower case and without punctuation, of names whose values are secret, such as `X-Amz-Security-Token`
/// and `aws_secret_access_key`.
private let secretNames: [[UInt8]] = [
  "token", "secret", "secretaccesskey", "secretkey", "signature", "password", "authorization", "credential",
  "privatekey",
].map { Array($0.utf8) }

private func isNameByte(_ byte: UInt8) -> Bool { isLetterOrDigit(byte) || byte == 0x5F || byte == 0x2D }

extension [UInt8] {
  fileprivate func hasSuffix(_ suffix: [UInt8]) -> Bool { self.suffix(suffix.count).elementsEqual(suffix) }
}
