import WireFormats

/// One end of a connection.
package struct IPEndpoint: Hashable, Sendable {
  package var address: IPAddress
  package var port: UInt16

  package init(address: IPAddress, port: UInt16) {
    self.address = address
    self.port = port
  }
}

extension IPEndpoint: Comparable {
  package static func < (left: IPEndpoint, right: IPEndpoint) -> Bool {
    (left.address, left.port) < (right.address, right.port)
  }
}

extension IPEndpoint: CustomStringConvertible {
  /// `192.0.2.1:443` or `[2001:db8::1]:443`.
  package var description: String {
    var text = ByteBuffer(capacity: 64)
    text.append(self)
    return String(decoding: text.bytes, as: UTF8.self)
  }
}
