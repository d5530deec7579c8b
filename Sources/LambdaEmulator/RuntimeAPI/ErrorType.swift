/// The error type that Lambda keeps of what a runtime sent in `Lambda-Runtime-Function-Error-Type`.
///
/// `Runtime.` or `Function.` and one word that begins with a capital is kept; anything else becomes
/// `Function.Unknown` where it begins with `Function.`, else `Runtime.Unknown`.
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
