package import AWSClient
package import Platform
package import WireFormats

/// Publishes messages to AWS IoT. Each transport has one implementation.
package protocol Publisher: AnyObject {
  /// Publishes `payload` and returns when the other side has acknowledged it. Must give up at `deadline`.
  func publish(
    _ payload: [UInt8], to topic: Topic, qos: QualityOfService, until deadline: BootTime
  ) throws(PublishError) -> PublishReceipt

  /// Connects without publishing, so that a start shows at once whether the connection works. Must give up at `deadline`.
  ///
  /// The connection stays open if reports would leave it open. Returns nil if this publisher can't connect without
  /// publishing.
  func open(for topic: Topic, until deadline: BootTime) throws(PublishError) -> OpenedConnection?

  /// Gets the credentials that sign, if any do. Must give up at `deadline`.
  func findCredentials(until deadline: BootTime) throws(CredentialError)

  /// The size of the largest payload that the other side accepts on `topic`, in bytes; nil if it has named no limit.
  func largestPayload(on topic: Topic) -> Int?

  /// Whether a connection is open now.
  var isConnected: Bool { get }

  /// What an operator should know about an open connection, such as that messages wait; nil if there is nothing.
  var connectionNote: String? { get }

  /// The work that keeps the connection alive between two messages; nil if there is none.
  var idleTask: (any IdleTask)? { get }

  /// The client certificate that this publisher uses; nil if it uses none, or hasn't yet.
  var certificate: CertificateUse? { get }

  /// Closes the connection if there is one. The next message opens another.
  func disconnect()

  /// Disconnects, and forgets credentials obtained with a certificate and key, so that the next message reads the files
  /// again.
  func renew()
}

extension Publisher {
  package func open(for topic: Topic, until deadline: BootTime) throws(PublishError) -> OpenedConnection? {
    nil
  }
  package func findCredentials(until deadline: BootTime) throws(CredentialError) {}
  package func largestPayload(on topic: Topic) -> Int? { nil }
  package var isConnected: Bool { false }
  package var connectionNote: String? { nil }
  package var idleTask: (any IdleTask)? { nil }
  package var certificate: CertificateUse? { nil }
  package func disconnect() {}
  package func renew() { disconnect() }
}

/// The other side's acknowledgement of a message.
package struct PublishReceipt: Sendable, CustomStringConvertible {
  /// The HTTP status of the response; nil if the transport has no statuses.
  package let status: Int?
  /// The value of `x-amzn-RequestId`.
  package let requestID: String?
  /// The number of attempts, including the one that succeeded.
  package let attempts: Int
  /// Whether the message waits on this machine, because the other side has no connection to AWS IoT at present.
  package let isSpooled: Bool
  private let body: [UInt8]
  /// The acknowledgement in words, for a transport without statuses.
  private let answer: String

  /// Creates a receipt. `body` is the body of the response; its content doesn't matter.
  package init(
    status: Int? = nil, requestID: String? = nil, body: [UInt8] = [], attempts: Int,
    answer: String = "acknowledged", isSpooled: Bool = false
  ) {
    self.isSpooled = isSpooled
    self.answer = answer
    self.status = status
    self.requestID = requestID
    self.body = body
    self.attempts = attempts
  }

  /// The id of the message in AWS IoT's logs; nil if the response has none.
  package var traceID: String? {
    // Parsed only when needed: any 2xx acknowledges the message, whatever its body, so publishing needn't wait for this.
    (try? JSONValue(parsing: body))?["traceId"]?.string
  }

  /// The acknowledgement for a log line: `status 200, request id 1f2e…, trace id 8a0c…`, or `acknowledged`.
  package var description: String {
    var answer = status.map { "status \($0)" } ?? answer
    let texts = ServerText()
    if let requestID { answer += ", request id \(texts.shown(requestID, limit: 100))" }
    if let traceID, traceID != requestID { answer += ", trace id \(texts.shown(traceID, limit: 100))" }
    return attempts > 1 ? "\(answer), after \(attempts) attempts" : answer
  }
}
