package import WireFormats

/// A listening TCP port or a bound UDP port, as a report lists it.
package struct ListeningPort: Equatable, Sendable {
  /// The name of the interface, or `0.0.0.0` or `::` for any; nil if it is unknown.
  package var interface: ShortText?
  package var port: UInt16

  package init(interface: ShortText?, port: UInt16) {
    self.interface = interface
    self.port = port
  }
}
