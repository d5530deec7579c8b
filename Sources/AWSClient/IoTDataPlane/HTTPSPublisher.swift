package import HTTPClient
package import Platform
import WireFormats

/// Publishes over HTTPS, signed with AWS credentials: `POST /topics/<topic>?qos=<n>` of the IoT data plane.
package final class HTTPSPublisher: Publisher {
  /// What AWS IoT takes in one message.
  package static let maximumPayloadBytes = 131_072
  /// The time that one attempt may take where the deadline leaves more.
  package static let attemptTimeout: Duration = .seconds(10)

  package let transport = "https"
  private let endpoint: Endpoint
  private let credentials: any CredentialSource
  private let exchange: any HTTPExchange
  private let time: any TimeKeeper
  private let log: Log
  private var signer: RequestSigner

  package init(
    endpoint: Endpoint, region: String, credentials: any CredentialSource, exchange: any HTTPExchange,
    time: any TimeKeeper, log: Log
  ) throws(CryptographyError) {
    signer = try RequestSigner(region: region, service: "iotdata")
    self.endpoint = endpoint
    self.credentials = credentials
    self.exchange = exchange
    self.time = time
    self.log = log
  }

  package func publish(
    _ payload: [UInt8], to topic: Topic, qos: QualityOfService, until deadline: BootTime
  ) throws(PublishError) -> PublishReceipt {
    guard payload.count <= Self.maximumPayloadBytes else {
      let cause = PublishError.Cause.payloadTooLarge(bytes: payload.count, limit: Self.maximumPayloadBytes)
      throw error(cause, topic, attempts: 0)
    }
    let timeout = min(Self.attemptTimeout, time.bootTime.duration(to: deadline))
    guard timeout > .zero else { throw error(.noTimeLeft, topic, attempts: 0) }
    let request = try signedRequest(payload, topic, qos)
    let response: HTTPResponse
    do throws(HTTPError) {
      response = try exchange.exchange(request, timeout: timeout)
    } catch let failure {
      throw error(.exchange(failure), topic, attempts: 1)
    }
    guard response.isSuccess else { throw error(.refused(ServiceError(response)), topic, attempts: 1) }
    return receipt(response, attempts: 1)
  }

  private func signedRequest(
    _ payload: [UInt8], _ topic: Topic, _ qos: QualityOfService
  ) throws(PublishError) -> HTTPRequest {
    var request = HTTPRequest(
      method: "POST", url: endpoint.url(topic.path, query: "qos=\(qos.rawValue)"), body: payload)
    let now = time.wallTime
    do {
      guard let credentials = try credentials.credentials(at: now) else {
        throw CredentialError.noSourceConfigured(tried: [credentials.name])
      }
      try signer.sign(&request, with: credentials, at: now)
    } catch let failure as CredentialError {
      throw error(.credentials(failure), topic, attempts: 0)
    } catch let failure as SigningError {
      throw error(.signing(failure), topic, attempts: 0)
    } catch {
      throw self.error(
        .signing(.cryptography(CryptographyError(operation: "a signature"))), topic, attempts: 0)
    }
    request.headers.append(("User-Agent", "device-defender-swift"))
    return request
  }

  private func receipt(_ response: HTTPResponse, attempts: Int) -> PublishReceipt {
    // Any 2xx acknowledges, whatever its body: the trace id is a convenience.
    let body = try? JSONValue(parsing: response.body)
    return PublishReceipt(
      status: response.status, traceID: body?["traceId"]?.string,
      requestID: response.header("x-amzn-requestid"), attempts: attempts)
  }

  private func error(_ cause: PublishError.Cause, _ topic: Topic, attempts: Int) -> PublishError {
    PublishError(cause, topic: topic, endpoint: endpoint.description, attempts: attempts)
  }
}
