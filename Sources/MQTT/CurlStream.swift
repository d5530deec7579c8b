package import HTTPClient
package import Platform

/// A byte stream over a connection that libcurl opened.
package final class CurlStream: ByteStream {
  /// Nil once the stream is closed.
  private var connection: CurlConnection?

  package init(_ connection: CurlConnection) {
    self.connection = connection
  }

  package func read(
    into buffer: inout [UInt8], limit: Int, until deadline: BootTime
  ) throws(StreamError) -> Int {
    guard let connection else { throw .lost("it is closed") }
    do throws(HTTPError) {
      return try connection.receive(into: &buffer, limit: limit, until: deadline)
    } catch {
      throw StreamError(error)
    }
  }

  package func write(_ bytes: [UInt8], until deadline: BootTime) throws(StreamError) {
    guard let connection else { throw .lost("it is closed") }
    do throws(HTTPError) {
      try connection.send(bytes, until: deadline)
    } catch {
      throw StreamError(error)
    }
  }

  package func close() { connection = nil }

  package var tlsVersion: String? { connection?.tlsVersion }

  package var descriptor: Int32? { connection?.descriptor }
}

extension StreamError {
  fileprivate init(_ error: HTTPError) {
    switch error {
    case .timedOut: self = .timedOut
    case .stopped: self = .stopped
    case .connectionLost(let reason), .lostAfterCertificate(let reason), .other(_, let reason):
      self = .lost(reason)
    default: self = .lost("\(error)")
    }
  }
}
