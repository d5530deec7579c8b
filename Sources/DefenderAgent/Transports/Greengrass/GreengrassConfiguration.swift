extension Transport {
  /// Publishes through the nucleus's connection. ``Component`` makes the publisher, so there is no configuration for one.
  package static let greengrass = Transport(
    name: "greengrass", takesReservedTopics: true, publishTimeout: .seconds(10),
    configuration: { _, _ in nil })
}
