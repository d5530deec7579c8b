import WireFormats

// Encoding of a snapshot's entries in a report.

extension EstablishedConnection {
  func write(to document: inout some DocumentWriter & ~Copyable, _ keys: ReportKeys) {
    document.beginMap(count: localInterface == nil ? 2 : 3)
    if let localInterface { document.member(keys.localInterface, localInterface) }
    document.member(keys.localPort, UInt64(localPort))
    document.key(keys.remoteAddress)
    document.string(plain: { text in text.append(remoteAddress) })
    document.endMap()
  }
}

extension ListeningPort {
  func write(to document: inout some DocumentWriter & ~Copyable, _ keys: ReportKeys) {
    document.beginMap(count: interface == nil ? 1 : 2)
    if let interface { document.member(keys.interface, interface) }
    document.member(keys.port, UInt64(port))
    document.endMap()
  }
}

extension Traffic {
  func write(to document: inout some DocumentWriter & ~Copyable, _ keys: ReportKeys) {
    document.beginMap(count: 4)
    document.member(keys.bytesIn, bytesIn)
    document.member(keys.bytesOut, bytesOut)
    document.member(keys.packetsIn, packetsIn)
    document.member(keys.packetsOut, packetsOut)
    document.endMap()
  }
}
