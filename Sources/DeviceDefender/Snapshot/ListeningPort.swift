package import WireFormats

/// A TCP port that is listened on, or a UDP port that is bound, in the words of the report.
package struct ListeningPort: Equatable, Sendable {
  /// The name of the interface, `0.0.0.0` or `::` for any; nil where it can't be told.
  package var interface: ShortText?
  package var port: UInt16

  package init(interface: ShortText?, port: UInt16) {
    self.interface = interface
    self.port = port
  }
}
