package import Platform
package import WireFormats

/// A way for a message to reach AWS IoT; one implementation for each transport.
package protocol Publisher: AnyObject {
  /// Publishes `payload` and returns when the other side has acknowledged it; gives up at `deadline`.
  func publish(
    _ payload: [UInt8], to topic: Topic, qos: QualityOfService, until deadline: BootTime
  ) throws(PublishError) -> PublishReceipt

  /// The work that keeps the connection alive between two messages; nil if there is none.
  var idleTask: (any IdleTask)? { get }

  /// Lets a connection go that there may be; the next message makes another.
  func disconnect()

  /// Disconnects, and forgets what a certificate and key were used for, so that the next message reads them again.
  func renew()
}

extension Publisher {
  package var idleTask: (any IdleTask)? { nil }
  package func disconnect() {}
  package func renew() { disconnect() }
}

/// What the other side said when it took a message.
package struct PublishReceipt: Sendable, CustomStringConvertible {
  /// The status of the answer; nil where the transport has none but its acknowledgement.
  package let status: Int?
  /// The value of `x-amzn-RequestId`.
  package let requestID: String?
  /// How often the message was sent, this time included.
  package let attempts: Int
  private let body: [UInt8]
  /// What the other side did with the message, in words, for a transport without statuses.
  private let answer: String

  /// `body` is that of the answer, whatever is in it.
  package init(
    status: Int? = nil, requestID: String? = nil, body: [UInt8] = [], attempts: Int,
    answer: String = "acknowledged"
  ) {
    self.answer = answer
    self.status = status
    self.requestID = requestID
    self.body = body
    self.attempts = attempts
  }

  /// AWS IoT's own id of what it did, for its logs; nil where the answer has none.
  package var traceID: String? {
    // Read when somebody asks: any 2xx acknowledges, whatever its body, and a publish needn't wait for this.
    (try? JSONValue(parsing: body))?["traceId"]?.string
  }

  /// What the other side said, for a line of log: `status 200, request id 1f2e…, trace id 8a0c…`, or `acknowledged`.
  package var description: String {
    var answer = status.map { "status \($0)" } ?? answer
    let texts = ServerText()
    if let requestID { answer += ", request id \(texts.shown(requestID, limit: 100))" }
    if let traceID, traceID != requestID { answer += ", trace id \(texts.shown(traceID, limit: 100))" }
    return attempts > 1 ? "\(answer), after \(attempts) attempts" : answer
  }
}
