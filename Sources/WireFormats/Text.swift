extension StringProtocol {
  /// Whether the bytes of `part` occur in this text; those of an empty text occur in any.
  ///
  /// In place of the `contains` that takes a string: that one is in _StringProcessing and brings the parser of regular
  /// expressions along. Without it the release is 1.8 MB smaller; `lambda/package` compiles with the module shut off.
  package func includes(_ part: String) -> Bool {
    let part = part.utf8
    var rest = self.utf8[...]
    while rest.count >= part.count {
      if rest.starts(with: part) { return true }
      rest = rest.dropFirst()
    }
    return false
  }
}
