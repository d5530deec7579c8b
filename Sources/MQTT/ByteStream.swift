package import Platform

/// A bidirectional, ordered connection for bytes.
///
/// MQTT packets and WebSocket frames travel over it. It is TLS from libcurl, a WebSocket, or a test's script.
package protocol ByteStream: AnyObject {
  /// Appends at most `limit` bytes that have arrived, and returns their number; 0 if the other side has closed the
  /// stream.
  ///
  /// Checks for bytes at least once, so that a deadline in the past returns what has already arrived.
  func read(into buffer: inout [UInt8], limit: Int, until deadline: BootTime) throws(StreamError) -> Int

  /// Writes all of `bytes`. After a failure an unknown part of them may have been sent, so the stream can't be used any
  /// more.
  func write(_ bytes: [UInt8], until deadline: BootTime) throws(StreamError)

  /// Closes the connection; later calls fail.
  func close()

  /// The TLS version of the connection, such as `TLSv1.3`; nil without TLS, and before the first byte was sent.
  var tlsVersion: String? { get }

  /// The descriptor that becomes readable when bytes arrive after a read that timed out; nil if the stream has none.
  var descriptor: Int32? { get }
}

extension ByteStream {
  package var tlsVersion: String? { nil }
  package var descriptor: Int32? { nil }
}

/// The reason why reading or writing bytes failed.
package enum StreamError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The deadline passed first.
  case timedOut
  /// The connection broke.
  case lost(String)
  /// The other side violated the protocol below MQTT, such as WebSocket.
  case malformed(String)
  /// The process was asked to stop.
  case stopped

  package var description: String {
    switch self {
    case .timedOut: "no answer in time"
    case .lost(let reason): "the connection was lost: \(reason)"
    case .malformed(let reason): "the server violated the protocol: \(reason)"
    case .stopped: "the process was asked to stop"
    }
  }
}
