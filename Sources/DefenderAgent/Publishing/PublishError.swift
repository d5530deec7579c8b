package import AWSClient
package import HTTPClient
import Platform
import WireFormats

/// Why a message wasn't published, or isn't known to be.
package struct PublishError: Error, Equatable, Sendable, CustomStringConvertible {
  package enum Cause: Equatable, Sendable {
    case payloadTooLarge(bytes: Int, limit: Int)
    case credentials(CredentialError)
    case signing(SigningError)
    /// No answer came.
    case exchange(HTTPError)
    /// An answer came, and it was no.
    case refused(ServiceError)
    /// Another transport than HTTPS failed.
    case transport(TransportFailure)
    /// The time left wouldn't have carried an attempt.
    case noTimeLeft
  }

  package let cause: Cause
  package let topic: Topic
  package let endpoint: String
  /// How often the message was sent.
  package let attempts: Int

  package init(_ cause: Cause, topic: Topic, endpoint: String, attempts: Int) {
    self.cause = cause
    self.topic = topic
    self.endpoint = endpoint
    self.attempts = attempts
  }

  /// Whether it is the end of the process, and nothing else, that cut it short.
  package var isOfStop: Bool {
    switch cause {
    case .exchange(.stopped): true
    case .transport(let failure): failure.kind == .stopped
    default: false
    }
  }

  /// Whether the last answer was that there are too many requests.
  package var isThrottling: Bool { serviceError?.retryReason == .throttling }
  /// The status of the last answer.
  package var status: Int? { serviceError?.status }
  /// AWS's code for the last answer.
  package var code: String? { serviceError?.code }
  package var message: String? { serviceError?.message }
  package var requestID: String? { serviceError?.requestID }

  private var serviceError: ServiceError? {
    guard case .refused(let error) = cause else { return nil }
    return error
  }

  package var description: String {
    let times = attempts > 1 ? " after \(attempts) attempts" : ""
    return "publishing to '\(topic)' at \(endpoint) failed\(times): \(sentence(reason)) \(advice)"
  }

  /// What happened, in words.
  package var reason: String {
    switch cause {
    case .payloadTooLarge(let bytes, let limit):
      "the payload has \(bytes) bytes, and AWS IoT takes at most \(limit)"
    case .credentials(let error): "\(error)"
    case .signing(let error): "\(error)"
    case .exchange(let error): "\(error)"
    case .refused(let error): "\(error)"
    case .transport(let failure): failure.reason
    case .noTimeLeft: "no time was left for an attempt"
    }
  }

  /// What to do about it, in words.
  package var advice: String {
    switch cause {
    case .payloadTooLarge: "Send less at once; DEFENDER_MAX_REPORT_BYTES limits a report."
    case .credentials(.noSourceConfigured):
      "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the device or function a role."
    case .credentials(.sourceFailed(_, _, isTransient: true)):
      "The source may recover: the next report asks it again. If it doesn't, check the source and its way to AWS."
    case .credentials: "Correct the configuration of that source; no other one is tried in its place."
    case .signing: "Check the endpoint's URL."
    case .exchange(let error): error.advice
    case .refused(let error): adviceOnRefusal(error)
    case .transport(let failure): failure.advice
    case .noTimeLeft: "Give the invocation a longer timeout."
    }
  }

  /// Partition, service, region and account of the topic's name, as far as the endpoint's host tells them.
  private var resource: String {
    let labels = endpoint.split { $0 == "." || $0 == "/" || $0 == ":" }
    let service = labels.firstIndex { $0 == "iot" || $0 == "iot-fips" }
    let region = service.flatMap { labels[$0...].dropFirst().first } ?? "<region>"
    let partition = region.hasPrefix("cn-") ? "aws-cn" : region.hasPrefix("us-gov-") ? "aws-us-gov" : "aws"
    return "\(partition):iot:\(region):<account>"
  }

  private func adviceOnRefusal(_ error: ServiceError) -> String {
    switch error.status {
    case 400: return "AWS IoT doesn't take this topic or these parameters."
    case 401, 403:
      let advice =
        error.identityProblem?.advice
        ?? "The role lacks iot:Publish on arn:\(resource):topic/\(topic): allow it in the IAM policy of "
        + "whoever signs, or in the AWS IoT policy of the certificate."
      // AWS IoT names its refusals; a proxy or the login page of a network doesn't.
      if error.isOfAWS { return advice }
      let doubt =
        "The answer has neither a code nor a request id of AWS: check the endpoint, and what is in between "
        + "(a proxy, the login page of a network)."
      return error.message == nil ? doubt : "\(doubt) If AWS IoT did answer: \(advice)"
    case 404, 405: return "Check that the endpoint is AWS IoT's data plane."
    case 413: return "Send less at once; AWS IoT takes at most \(AWSIoTQuotas.publishPayloadBytes) bytes."
    case 429: return "AWS IoT throttles; publish less often or have the account's quota raised."
    case 500...: return "AWS IoT has a problem of its own; the next report is tried as usual."
    default: return "Check that the endpoint is AWS IoT's data plane."
    }
  }
}

extension HTTPError {
  /// What to do about it, in words.
  package var advice: String {
    switch self {
    case .invalidRequest: "Check AWS_ENDPOINT_URL_IOT_DATA_PLANE and the certificate settings."
    case .withoutTLS:
      "Use an https:// endpoint, or set DEFENDER_ALLOW_PLAIN_HTTP=1 if you trust the whole network path."
    case .notResolved: "Check the endpoint's name, the region and the resolver (/etc/resolv.conf)."
    case .notConnected, .timedOut(.connecting, _):
      "Check the endpoint, the route and the firewall; HTTPS_PROXY names a proxy where one is needed."
    case .ownCertificateRejected, .lostAfterCertificate:
      "The certificate has to be registered and active in AWS IoT, and the key has to be its own."
    case .notTrusted: "AWS_CA_BUNDLE names a file with the certificate authorities to trust."
    case .handshakeFailed: "The other side may want a client certificate, or no TLS at all."
    case .invalidProxy: "Correct HTTPS_PROXY, or name the endpoint in NO_PROXY."
    case .proxyNotResolved: "Check the proxy's name in HTTPS_PROXY and the resolver (/etc/resolv.conf)."
    case .proxyFailed:
      "Check the proxy's host and port, that it runs, and the firewall; NO_PROXY names hosts to reach without it."
    case .unusableFile: "Name a PEM file."
    case .proxyRefused(407, _): "HTTPS_PROXY needs the user name and password that the proxy wants."
    case .proxyRefused: "Let the proxy connect to the endpoint, or name the endpoint in NO_PROXY."
    case .timedOut(.answering, _), .connectionLost, .emptyResponse:
      "The message may have arrived all the same."
    case .malformedResponse, .responseTooLarge: "Check that the endpoint is AWS IoT's data plane."
    case .stopped: "The message may have arrived all the same."
    case .outOfMemory, .other: "Try again; report it where it stays."
    }
  }
}

extension ServiceError.IdentityProblem {
  /// What to do about it, in words.
  package var advice: String {
    switch self {
    case .wrongSecret:
      "The secret access key doesn't belong to the access key id, or a proxy changed the request."
    case .wrongClock: "The clock is wrong; set it (NTP)."
    case .wrongScope: "AWS_REGION has to be the region of the endpoint."
    case .badCredentials: "The credentials are expired or not of this partition; get new ones."
    }
  }
}

/// Why a transport other than HTTPS didn't deliver, in that transport's words.
package struct TransportFailure: Error, Equatable, Sendable {
  /// What happened.
  package let reason: String
  /// What to do about it, in whole sentences.
  package let advice: String
  package let kind: Kind

  package enum Kind: Sendable {
    /// The same may succeed a moment later.
    case transient
    case permanent
    /// The process was asked to stop.
    case stopped
  }

  package init(reason: String, advice: String, _ kind: Kind) {
    self.reason = reason
    self.advice = advice
    self.kind = kind
  }

  package init(reason: String, advice: String, isTransient: Bool) {
    self.init(reason: reason, advice: advice, isTransient ? .transient : .permanent)
  }

  package var isTransient: Bool { kind == .transient }

  /// The process was asked to stop before `what`, with the message on its way or not yet.
  package static func stopped(before what: String, isUnderWay: Bool = false) -> TransportFailure {
    TransportFailure(
      reason: "the process was asked to stop before \(what)",
      advice: isUnderWay ? "The message may have arrived all the same." : "It wasn't sent.", .stopped)
  }
}
