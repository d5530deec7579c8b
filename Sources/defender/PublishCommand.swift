import AWSClient
import ArgumentParser
import DefenderAgent
import Glibc
import HTTPClient
import Platform
import WireFormats

/// `defender publish`: one signed publish to the AWS IoT data plane.
struct PublishCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "publish",
    abstract: "Publishes one message to AWS IoT over HTTPS, signed with AWS credentials.",
    usage: "defender publish --topic <topic> [<options>]",
    discussion: """
      Does the same as `aws iot-data publish`, with the code that the function uses. The payload is sent byte for byte. \
      Without one, the message is empty.

      The credentials come from the same sources as those of the AWS CLI: AWS_ACCESS_KEY_ID and its companions, \
      AWS_PROFILE and the shared files, a web identity, a container, EC2. It also reads AWS_REGION (or \
      AWS_DEFAULT_REGION), AWS_CA_BUNDLE, HTTPS_PROXY and NO_PROXY, and without --endpoint \
      AWS_ENDPOINT_URL_IOT_DATA_PLANE and AWS_ENDPOINT_URL.

      Examples:
        defender publish --topic sensors/pump-7 --payload '{"temperature":21.5}'
        defender publish --topic '$aws/rules/archive/pump 7' --qos 0 \\
          --payload-file report.cbor
        cat report | defender publish --topic sensors/pump-7 --payload-file -
        defender publish --topic t --endpoint https://127.0.0.1:8443

      The response goes to standard output.

      Exit status: 0 AWS IoT accepted the message; 1 it rejected it; 2 nothing was sent (no credentials, no region, an \
      unreadable file); 3 AWS IoT couldn't be reached or didn't respond; 64 wrong command line; 74 the response \
      couldn't be written.
      """)

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("The topic, up to 256 bytes of UTF-8 and 7 slashes.", valueName: "topic"))
  var topic: String

  @Option(
    parsing: .unconditional, help: ArgumentHelp("The payload (default: empty).", valueName: "text"))
  var payload: String?

  @Option(
    help: ArgumentHelp("The file with the payload; - is standard input.", valueName: "file|-"),
    completion: .file())
  var payloadFile: String?

  @Option(
    help: ArgumentHelp("Quality of service: 0 or 1.", valueName: "0|1"), completion: .list(["0", "1"]))
  var qos: UInt8 = 1

  @Option(
    help: ArgumentHelp(
      "The endpoint, such as https://127.0.0.1:8443 (default: the region's).", valueName: "url"))
  var endpoint: String?

  @Option(help: ArgumentHelp("The time limit, 0.001 to 86400.", valueName: "seconds"))
  var timeout = 30.0

  func validate() throws {
    if payload != nil, payloadFile != nil {
      throw ValidationError("--payload and --payload-file can't be combined.")
    }
    if QualityOfService(rawValue: qos) == nil {
      throw ValidationError("--qos is \(qos); expected 0 or 1.")
    }
    guard timeout >= 0.001, timeout <= 86_400 else {
      throw ValidationError("--timeout is \(timeout); expected 0.001 to 86400 seconds.")
    }
    do {
      _ = try Topic(validating: topic)
    } catch {
      throw ValidationError("--topic: \(error).")
    }
  }

  func run() throws {
    let console = Console()
    do throws(CommandFailure) {
      let publisher = try publisher(in: .ofThisProcess)
      let payload = try payloadBytes()
      let receipt = try publish(payload, with: publisher)
      console.output(answer(receipt).prettyPrinted())
    } catch {
      // The text may contain the server's words, whose control characters a terminal would interpret.
      console.error("defender: \(escapingControlCharacters("\(error)"))")
      throw ExitCode(error.status.rawValue)
    }
  }

  private func publisher(in environment: Environment) throws(CommandFailure) -> HTTPSPublisher {
    let given = environment.value("AWS_REGION", "AWS_DEFAULT_REGION")
    do {
      let endpoint =
        if let endpoint {
          try ServiceEndpoint(url: endpoint, namedBy: "--endpoint")
        } else {
          try ServiceEndpoint(environment, region: given)
        }
      guard let region = given ?? ServiceEndpoint.region(inHost: endpoint.host) else {
        throw ServiceEndpointError.noRegion
      }
      let log = Log(environment)
      let time = SystemWaiter(shutdown: nil)
      let access = try Access(environment)
      return HTTPSPublisher(
        endpoint: endpoint, region: region, credentials: try access.credentials(time: time, log: log),
        exchange: try CurlExchange(access.connection), time: time, log: log,
        attemptTimeout: .seconds(timeout))
    } catch {
      throw CommandFailure("\(error)", status: .notRun)
    }
  }

  private func publish(
    _ payload: [UInt8], with publisher: HTTPSPublisher
  ) throws(CommandFailure) -> PublishReceipt {
    let topic: Topic
    do {
      topic = try Topic(validating: self.topic)
    } catch {
      throw CommandFailure("--topic: \(error).", status: .notRun)
    }
    let deadline = BootTime.now.advanced(by: .seconds(timeout))
    do throws(PublishError) {
      return try publisher.publish(
        payload, to: topic, qos: QualityOfService(rawValue: qos) ?? .atLeastOnce, until: deadline)
    } catch {
      throw CommandFailure("\(error)", status: error.status)
    }
  }

  private func payloadBytes() throws(CommandFailure) -> [UInt8] {
    guard let payloadFile else { return Array((payload ?? "").utf8) }
    let limit = AWSIoTQuotas.publishPayloadBytes
    do throws(Errno) {
      return payloadFile == "-" ? try standardInput(limit: limit) : try readFile(payloadFile, limit: limit)
    } catch .fileTooLarge {
      throw CommandFailure(
        "The payload in '\(payloadFile)' has more than the \(limit) bytes that AWS IoT accepts.",
        status: .notRun)
    } catch {
      throw CommandFailure("Can't read the payload file '\(payloadFile)': \(error).", status: .notRun)
    }
  }

  /// Reads all of standard input from the descriptor, because it may be something that can't be opened by a
  /// path.
  private func standardInput(limit: Int) throws(Errno) -> [UInt8] {
    let input = FileDescriptor(owning: STDIN_FILENO)
    var bytes: [UInt8] = []
    while try input.read(into: &bytes, limit: 65_536) > 0 {
      if bytes.count > limit { throw .fileTooLarge }
    }
    return bytes
  }

  private func answer(_ receipt: PublishReceipt) -> JSONValue {
    var members: [JSONValue.Member] = []
    if let status = receipt.status {
      members.append(JSONValue.Member(name: "status", value: .number(String(status))))
    }
    members.append(JSONValue.Member(name: "attempts", value: .number(String(receipt.attempts))))
    let texts = [("requestId", receipt.requestID), ("traceId", receipt.traceID)]
    for case (let name, let text?) in texts {
      members.append(JSONValue.Member(name: name, value: .string(text)))
    }
    return .object(members)
  }
}

extension PublishError {
  /// The exit status for the error.
  fileprivate var status: CommandFailure.Status {
    switch cause {
    case .payloadTooLarge, .credentials, .signing, .noTimeLeft, .exchange(.invalidRequest),
      .exchange(.withoutTLS),
      .exchange(.invalidProxy), .exchange(.unusableFile):
      .notRun
    case .refused: .failed
    case .exchange, .transport: .noAnswer
    }
  }
}
