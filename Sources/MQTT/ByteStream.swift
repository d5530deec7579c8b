package import Platform

/// A connection that carries bytes both ways, in order.
///
/// What MQTT and WebSocket frames travel over: TLS from libcurl, a WebSocket, or a test's script.
package protocol ByteStream: AnyObject {
  /// Appends what has arrived, at most `limit` bytes, and returns how many; 0 where the other side has ended.
  ///
  /// Looks at least once, so that a deadline that has passed asks for what is there already.
  func read(into buffer: inout [UInt8], limit: Int, until deadline: BootTime) throws(StreamError) -> Int

  /// Writes all of `bytes`; after a failure nobody knows how much went out, and the stream is of no more use.
  func write(_ bytes: [UInt8], until deadline: BootTime) throws(StreamError)

  /// Lets go of the connection; what is called afterwards fails.
  func close()
}

/// Why bytes went no further.
package enum StreamError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The deadline came first.
  case timedOut
  /// The connection broke.
  case lost(String)
  /// What arrived breaks the rules of the layer below MQTT, such as WebSocket.
  case malformed(String)
  /// The process was asked to stop.
  case stopped

  package var description: String {
    switch self {
    case .timedOut: "no answer in time"
    case .lost(let reason): "the connection was lost: \(reason)"
    case .malformed(let reason): "the other side breaks the protocol: \(reason)"
    case .stopped: "the process was asked to stop"
    }
  }
}
