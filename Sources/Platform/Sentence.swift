/// `text` with a period at its end, unless it ends as a sentence does already.
///
/// For text from elsewhere, such as an error of AWS, which may or may not end in one.
package func sentence(_ text: String) -> String {
  guard let last = text.utf8.last, !".!?".utf8.contains(last) else { return text }
  return text + "."
}

/// `text` without white space and periods at its end, to be embedded in a sentence.
package func withoutFinalPeriod(_ text: String) -> String {
  var rest = text[...]
  while let last = rest.utf8.last, last <= 0x20 || last == UInt8(ascii: ".") { rest = rest.dropLast() }
  return String(rest)
}
