extension ConfigurationReader {
  /// Returns the largest size of the spool in bytes; 0 if it is off.
  ///
  /// Notes a size that is too small for a few reports, and a spool without a state directory, which contains it.
  mutating func spoolBytes(stateDirectory: String?) -> Int {
    let variable = Variable.spoolBytes
    let range = Configuration.spoolRange
    guard let text = environment.value(variable), text != "0" else { return 0 }
    guard let bytes = Int(text), range.contains(bytes) else {
      note(
        variable,
        "is '\(text)'; expected 0 or a whole number from \(range.lowerBound) to \(range.upperBound)")
      return 0
    }
    // A mistake in the directory itself has been noted.
    if environment.value(.stateDirectory) == nil {
      note(
        variable,
        "is '\(text)', but \(Variable.stateDirectory) isn't set; set it, because unsent reports are kept in that directory"
      )
    }
    return stateDirectory == nil ? 0 : bytes
  }
}

extension Configuration {
  /// The allowed sizes of the spool in bytes. The smallest one has room for 20 reports of 3 KB.
  static let spoolRange = 65_536...104_857_600
}
