/// What went through one interface since it came to be.
package struct InterfaceCounters: Equatable, Sendable {
  package var name: String
  /// The kernel's number for the interface; nil where the source doesn't tell.
  package var index: UInt32?
  package var traffic: Traffic

  package init(name: String, index: UInt32?, traffic: Traffic) {
    self.name = name
    self.index = index
    self.traffic = traffic
  }
}

/// Bytes and packets in and out, of an interface or of several, since some moment.
package struct Traffic: Equatable, Sendable {
  package var bytesIn: UInt64 = 0
  package var bytesOut: UInt64 = 0
  package var packetsIn: UInt64 = 0
  package var packetsOut: UInt64 = 0

  package init(bytesIn: UInt64 = 0, bytesOut: UInt64 = 0, packetsIn: UInt64 = 0, packetsOut: UInt64 = 0) {
    self.bytesIn = bytesIn
    self.bytesOut = bytesOut
    self.packetsIn = packetsIn
    self.packetsOut = packetsOut
  }
}

/// The counters of all interfaces at one moment.
package struct NetworkCounters: Equatable, Sendable {
  package var interfaces: [InterfaceCounters] = []
  /// Whether some interface couldn't be read, so that one that isn't here needn't be gone.
  package var isPartial = false

  package init(interfaces: [InterfaceCounters] = [], isPartial: Bool = false) {
    self.interfaces = interfaces
    self.isPartial = isPartial
  }
}
