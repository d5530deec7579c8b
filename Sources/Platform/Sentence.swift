/// Returns `text` with a period at its end, unless it already ends like a sentence.
///
/// For text from elsewhere, such as an AWS error, which may or may not end with a period.
package func sentence(_ text: String) -> String {
  guard let last = text.utf8.last, !".!?".utf8.contains(last) else { return text }
  return text + "."
}

/// Returns `text` without trailing white space and periods, for embedding in a sentence.
package func withoutFinalPeriod(_ text: String) -> String {
  var rest = text[...]
  while let last = rest.utf8.last, last <= 0x20 || last == UInt8(ascii: ".") { rest = rest.dropLast() }
  return String(rest)
}
