package import WireFormats

/// An established TCP connection, in the words of the report.
package struct EstablishedConnection: Equatable, Sendable {
  /// The name of the interface that has the local address; nil where that can't be told.
  package var localInterface: ShortText?
  package var localPort: UInt16
  package var remoteAddress: Endpoint

  package init(localInterface: ShortText?, localPort: UInt16, remoteAddress: Endpoint) {
    self.localInterface = localInterface
    self.localPort = localPort
    self.remoteAddress = remoteAddress
  }

  package func write(to document: inout some DocumentWriter & ~Copyable, _ keys: ReportKeys) {
    document.beginMap(count: localInterface == nil ? 2 : 3)
    if let localInterface { document.member(keys.localInterface, localInterface) }
    document.member(keys.localPort, UInt64(localPort))
    document.key(keys.remoteAddress)
    document.string(plain: { text in text.append(remoteAddress) })
    document.endMap()
  }
}
