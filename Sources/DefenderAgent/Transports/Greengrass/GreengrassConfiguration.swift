extension Transport {
  /// Publishes through the nucleus's connection. ``Component`` creates the publisher, so the transport has no configuration.
  package static let greengrass = Transport(
    name: "greengrass", supportsReservedTopics: true, publishTimeout: .seconds(10),
    configuration: { _, _ in nil })
}
