package import AWSClient
package import HTTPClient
import Platform
import WireFormats

/// Why publishing a message failed. The message may have arrived nevertheless.
package struct PublishError: Error, Equatable, Sendable, CustomStringConvertible {
  package enum Cause: Equatable, Sendable {
    case payloadTooLarge(bytes: Int, limit: Int)
    case credentials(CredentialError)
    case signing(SigningError)
    /// The HTTP exchange failed without a usable response.
    case exchange(HTTPError)
    /// The response has an error status.
    case refused(ServiceError)
    /// A transport other than HTTPS failed.
    case transport(TransportFailure)
    /// The deadline left no time for an attempt.
    case noTimeLeft
  }

  package let cause: Cause
  package let topic: Topic
  package let endpoint: String
  /// The number of attempts that were made.
  package let attempts: Int

  package init(_ cause: Cause, topic: Topic, endpoint: String, attempts: Int) {
    self.cause = cause
    self.topic = topic
    self.endpoint = endpoint
    self.attempts = attempts
  }

  /// Whether a request to stop the process is the only cause.
  package var isOfStop: Bool {
    switch cause {
    case .exchange(.stopped): true
    case .transport(let failure): failure.kind == .stopped
    default: false
    }
  }

  /// Whether the last response throttled the request.
  package var isThrottling: Bool { serviceError?.retryReason == .throttling }
  /// The HTTP status of the last response; nil if the cause isn't a response.
  package var status: Int? { serviceError?.status }
  /// AWS's error code in the last response; nil if there is none.
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

  /// What failed, in words.
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

  /// What to do about the error, in words.
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

  /// The partition, service, region and account of the topic's ARN, as far as the endpoint's host name shows them.
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
      // AWS IoT's refusals have a code or a request id. Those of a proxy or a network's login page have neither.
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
  /// What to do about the error, in words.
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
  /// What to do about the error, in words.
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

/// Why a transport other than HTTPS failed to publish, in that transport's words.
package struct TransportFailure: Error, Equatable, Sendable {
  /// What failed.
  package let reason: String
  /// What to do about the failure, in whole sentences.
  package let advice: String
  package let kind: Kind

  package enum Kind: Sendable {
    /// A retry may succeed.
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

  /// Returns the failure of a publish that a request to stop ended before `what`.
  ///
  /// `isUnderWay` says whether the message may have been sent by then.
  package static func stopped(before what: String, isUnderWay: Bool = false) -> TransportFailure {
    TransportFailure(
      reason: "the process was asked to stop before \(what)",
      advice: isUnderWay ? "The message may have arrived all the same." : "It wasn't sent.", .stopped)
  }
}
