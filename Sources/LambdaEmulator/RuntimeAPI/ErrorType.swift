/// Returns the error type that Lambda reports if a runtime sends `sent` in `Lambda-Runtime-Function-Error-Type`.
///
/// Lambda keeps a type that consists of `Runtime.` or `Function.` and at least two letters, the first in upper case. Any other
/// type becomes `Function.Unknown` if it begins with `Function.`, and `Runtime.Unknown` otherwise.
func keptErrorType(_ sent: String?) -> String {
  let sent = sent ?? ""
  let isFunction = sent.hasPrefix("Function.")
  if isFunction || sent.hasPrefix("Runtime.") {
    let word = sent.drop { $0 != "." }.dropFirst().utf8
    let isCapital = word.first.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) } ?? false
    let areLetters = word.allSatisfy { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0 | 0x20) }
    if isCapital, areLetters, word.count >= 2 { return sent }
  }
  return isFunction ? "Function.Unknown" : "Runtime.Unknown"
}
