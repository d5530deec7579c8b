import HTTPClient
import Platform
import WireFormats

/// The address of the MQTT broker, and the kind of connection to it.
package struct BrokerEndpoint: Equatable, Sendable, CustomStringConvertible {
  package enum Scheme: String, Sendable {
    /// TLS with a client certificate.
    case mqtts
    /// A WebSocket over TLS, signed with AWS credentials.
    case wss
    /// Without TLS, for a broker on this machine.
    case mqtt
  }

  package let scheme: Scheme
  /// The host as ``HostName`` spells it.
  package let host: String
  package let port: UInt16

  /// Parses `host` or `host:port`, which `mqtts://`, `wss://` or `mqtt://` may precede.
  ///
  /// Without one of these, the scheme is `wss` if `usesWebSocket` is true, and `mqtts` otherwise. Throws an error that says
  /// what is wrong with the text.
  package init(_ text: String, usesWebSocket: Bool) throws(BrokerEndpointError) {
    let parts = URLParts(text)
    if let named = parts.scheme {
      guard let scheme = Scheme(rawValue: named.lowercased()) else {
        throw BrokerEndpointError(text, "the scheme must be mqtts, wss or mqtt")
      }
      self.scheme = scheme
    } else {
      scheme = usesWebSocket ? .wss : .mqtts
    }
    do throws(HostNameError) {
      host = try HostName(parts.host).text
      guard parts.userInformation == nil else { throw .character("@") }
      // With a scheme the text is a URL, and a URL may end in a slash.
      let first = parts.target == "/" && parts.scheme != nil ? nil : parts.target.unicodeScalars.first
      if let first { throw .character(first) }
    } catch {
      throw BrokerEndpointError(text, "\(error)")
    }
    switch (parts.port, scheme) {
    case (.number(let number), _): port = number
    case (.empty, _), (.malformed, _):
      throw BrokerEndpointError(text, "the port isn't a number from 1 to 65535")
    case (nil, .mqtts): port = 8_883
    case (nil, .wss): port = 443
    case (nil, .mqtt): port = 1_883
    }
    guard scheme != .mqtt || ["localhost", "127.0.0.1", "[::1]"].contains(host) else {
      throw BrokerEndpointError(
        text, "connections without TLS are only allowed to a broker on this machine, at 127.0.0.1")
    }
  }

  package var description: String { "\(scheme.rawValue)://\(host):\(port)" }

  /// The value of the `Host` header in the WebSocket's upgrade request.
  var hostHeader: String { port == 443 ? host : "\(host):\(port)" }

  /// The URL that libcurl connects to.
  package var connectionURL: String { "\(scheme == .mqtt ? "http" : "https")://\(host):\(port)" }
}

/// Why a string isn't the endpoint of an MQTT broker.
package struct BrokerEndpointError: Error, Equatable, Sendable, CustomStringConvertible {
  package let text: String
  package let reason: String

  init(_ text: String, _ reason: String) {
    self.text = text
    self.reason = reason
  }

  package var description: String {
    // A password may follow a user name.
    "'\(text.contains("@") ? "(not shown)" : text)' isn't an MQTT endpoint: \(reason)"
  }
}
