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

    init(_ cause: ServiceFailure.Cause) {
      self =
        switch cause {
        case .credentials(let error): .credentials(error)
        case .signing(let error): .signing(error)
        case .exchange(let error): .exchange(error)
        case .refused(let error): .refused(error)
        case .noTimeLeft: .noTimeLeft
        }
    }
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
  package var isThrottling: Bool {
    if case .transport(let failure) = cause { return failure.kind == .throttled }
    return serviceError?.retryReason == .throttling
  }
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

  /// The description without request ids, which is the same each time that this error repeats.
  package var repeatedText: String {
    guard let serviceError else { return "\(reason) \(advice)" }
    return "\(serviceError.status) \(serviceError.code ?? "") \(serviceError.message ?? "")"
  }

  /// What failed, in words.
  package var reason: String {
    switch cause {
    case .payloadTooLarge(let bytes, let limit):
      "the payload has \(bytes) bytes, but AWS IoT accepts at most \(limit)"
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
    case .payloadTooLarge: "Send a smaller message; DEFENDER_MAX_REPORT_BYTES limits the size of reports."
    case .credentials(.noSourceConfigured):
      "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the device or function a role."
    case .credentials(.sourceFailed(_, _, isTransient: true, _)):
      "The next report tries that source again. If it keeps failing, check the source and the network."
    case .credentials: "Correct the configuration of that source. No other source is tried instead."
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
    case 400: return "AWS IoT rejects this topic or these parameters; check the topic."
    case 401, 403:
      let advice =
        error.identityProblem?.advice
        ?? "Allow iot:Publish on arn:\(resource):topic/\(topic) in the IAM policy of "
        + "the role or user, or in the AWS IoT policy of the certificate."
      // AWS IoT's refusals have a code or a request id. Those of a proxy or a network's login page have neither.
      if error.isOfAWS { return advice }
      let doubt =
        "The response has no AWS error code and no request id. Check the endpoint, and anything between "
        + "the device and AWS, such as a proxy or a network's login page."
      return error.message == nil ? doubt : "\(doubt) If the response is from AWS IoT: \(advice)"
    case 404, 405: return "Check that the endpoint is AWS IoT's data plane."
    case 413:
      return "Send a smaller message; AWS IoT accepts at most \(AWSIoTQuotas.publishPayloadBytes) bytes."
    case 429:
      return "AWS IoT throttled the request. Publish less often, or request a higher quota for the account."
    case 500...: return "The failure is inside AWS IoT; the next report is published as usual."
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
      "Check the endpoint, the route and the firewall. If you need a proxy, set HTTPS_PROXY."
    case .ownCertificateRejected, .lostAfterCertificate:
      "The certificate must be registered and active in AWS IoT, and the key must belong to it."
    case .notTrusted:
      "If the endpoint's authority isn't Amazon, set AWS_CA_BUNDLE to a PEM file with its certificate."
    case .handshakeFailed: "The server may require a client certificate, or may not use TLS on this port."
    case .invalidProxy: "Correct HTTPS_PROXY, or add the endpoint's host to NO_PROXY."
    case .proxyNotResolved: "Check the proxy's name in HTTPS_PROXY and the resolver (/etc/resolv.conf)."
    case .proxyFailed:
      "Check the proxy's host and port, whether it is running, and the firewall. To connect without it, add the host to NO_PROXY."
    case .unusableFile: "It must be a readable PEM file."
    case .proxyRefused(407, _): "The proxy requires a user name and a password: set them in HTTPS_PROXY."
    case .proxyRefused: "Allow the endpoint in the proxy, or add its host to NO_PROXY."
    case .timedOut(.answering, _), .connectionLost, .emptyResponse:
      "The message may still have arrived."
    case .malformedResponse, .responseTooLarge: "Check that the endpoint is AWS IoT's data plane."
    case .stopped: "The message may still have arrived."
    case .outOfMemory, .other: "Try again; if it keeps failing, file a bug report."
    }
  }
}

extension ServiceError.IdentityProblem {
  /// What to do about the error, in words.
  package var advice: String {
    switch self {
    case .wrongSecret:
      "The secret access key doesn't belong to the access key id, or a proxy changed the request."
    case .wrongClock: "The clock is wrong: synchronize it (NTP)."
    case .wrongScope: "AWS_REGION must be the endpoint's region."
    case .badCredentials: "The credentials have expired or belong to another AWS partition: get new ones."
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
    /// The other side never accepts this message, because it is too large. It may accept another one.
    case unacceptable
    /// The other side accepts the message later.
    case throttled
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
      reason: "a stop was requested before \(what)",
      advice: isUnderWay ? "The message may still have arrived." : "It wasn't sent.", .stopped)
  }
}
