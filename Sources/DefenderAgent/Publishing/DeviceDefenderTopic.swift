extension Topic {
  /// Whether this is where Device Defender itself takes reports: `$aws/things/<thing>/defender/metrics/<format>`.
  package var isDeviceDefenders: Bool {
    name.hasPrefix("$aws/things/")
      && (name.hasSuffix("/defender/metrics/json") || name.hasSuffix("/defender/metrics/cbor"))
  }
}
