/// The traffic of one interface since it was created.
package struct InterfaceCounters: Equatable, Sendable {
  package var name: String
  /// The kernel's index of the interface; nil if the source doesn't contain it.
  package var index: UInt32?
  package var traffic: Traffic

  package init(name: String, index: UInt32?, traffic: Traffic) {
    self.name = name
    self.index = index
    self.traffic = traffic
  }
}

/// Bytes and packets received and sent, by one interface or by several.
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
  /// Whether some interfaces couldn't be read; a missing interface may then still exist.
  package var isPartial = false

  package init(interfaces: [InterfaceCounters] = [], isPartial: Bool = false) {
    self.interfaces = interfaces
    self.isPartial = isPartial
  }
}
