extension Topic {
  /// Whether this is a reserved topic for reports to Device Defender: `$aws/things/<thing>/defender/metrics/<format>`.
  package var isDeviceDefenders: Bool {
    name.hasPrefix("$aws/things/")
      && (name.hasSuffix("/defender/metrics/json") || name.hasSuffix("/defender/metrics/cbor"))
  }
}
