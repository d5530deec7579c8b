/// Whether `part` is somewhere in `text`. The standard library's own would link its regular expressions.
package func contains(_ text: String, _ part: String) -> Bool {
  let part = Array(part.utf8)
  var rest = Array(text.utf8)[...]
  while rest.count >= part.count {
    if rest.starts(with: part) { return true }
    rest = rest.dropFirst()
  }
  return false
}
