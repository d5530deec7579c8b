package import WireFormats

/// An established TCP connection as a report lists it.
package struct EstablishedConnection: Equatable, Sendable {
  /// The name of the interface that has the local address; nil if it is unknown.
  package var localInterface: ShortText?
  package var localPort: UInt16
  package var remoteAddress: IPEndpoint

  package init(localInterface: ShortText?, localPort: UInt16, remoteAddress: IPEndpoint) {
    self.localInterface = localInterface
    self.localPort = localPort
    self.remoteAddress = remoteAddress
  }
}
