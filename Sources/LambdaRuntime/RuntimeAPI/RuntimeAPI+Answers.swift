import Platform
import WireFormats

extension RuntimeAPI {
  /// What RAPID, the Runtime API's server, takes: 6 MiB and 100 bytes.
  static var maximumResponseBytes: Int { 6_291_556 }
  /// How often an answer is sent before it is given up.
  private static var answerAttempts: Int { 4 }

  /// Answers an invocation, with an error in place of a response that Lambda would not take.
  func answer(_ invocation: consuming Invocation, with outcome: Result<Response, InvocationFailure>) {
    let id = invocation.context.requestID
    switch outcome {
    case .success(let response):
      if let writer = response.stream {
        stream(response.contentType, to: id, until: invocation.context.deadline, writer)
      } else if response.body.count > Self.maximumResponseBytes {
        let message =
          "the response has \(response.body.count) bytes; Lambda takes \(Self.maximumResponseBytes) at most"
        log.error(message)
        post(InvocationFailure(type: "Function.ResponseSizeTooLarge", message: message), to: .error(id))
      } else {
        setHead(
          .response(id), "Content-Type: ", headerValue(response.contentType), "\r\nContent-Length: ",
          String(response.body.count))
        deliver(response.body, to: .response(id))
      }
    case .failure(let failure):
      post(failure, to: .error(id))
    }
  }

  /// Tells Lambda that the function can't start.
  func reportInitialisationFailure(_ failure: InvocationFailure) {
    post(failure, to: .initialisationError)
  }

  /// Tells Lambda that the function can't go on after a snapshot.
  func reportRestoreFailure(_ failure: InvocationFailure) {
    post(failure, to: .restoreError)
  }

  /// Answers an invocation in the place of a worker that died of it.
  func reportLostInvocation(_ requestID: String, _ failure: InvocationFailure) {
    post(failure, to: .error(requestID))
    // The next worker is a copy of this process: a connection kept here would be its connection, too.
    connection.close()
  }

  /// Sends a failure; `mayHaveArrived` says that what it stands for may have been taken before.
  private func post(_ failure: InvocationFailure, to destination: Destination, mayHaveArrived: Bool = false) {
    let fields = """
      Content-Type: application/vnd.aws.lambda.error+json\r
      Lambda-Runtime-Function-Error-Type: \(failure.keptType)\r
      Lambda-Runtime-Function-XRay-Error-Cause: \(failure.xRayCause)
      """
    let document = failure.document
    setHead(destination, fields, "\r\nContent-Length: ", String(document.count))
    deliver(document, to: destination, mayHaveArrived)
  }

  /// Sends an answer, whose head is ready, until it is taken or refused; what came of it other than success is in the log.
  ///
  /// Once the process was asked to stop, it is sent once.
  private func deliver(_ body: [UInt8], to destination: Destination, _ mayHaveArrivedBefore: Bool = false) {
    var mayHaveArrived = mayHaveArrivedBefore
    var streak = FailureStreak(time)
    for attempt in 1...Self.answerAttempts {
      do throws(ExchangeError) {
        let answer = try connection.post(head, body)
        logRefusal(of: "\(destination)", answer, bytes: body.count, mayHaveArrived)
        return
      } catch {
        if connection.hasSentAll { mayHaveArrived = true }
        let wasStale = connection.wasReused && error.isOfStaleConnection
        let isLast = attempt == Self.answerAttempts || (shutdown?.isRequested == true && !wasStale)
        guard let pause = streak.pause(after: error), !isLast else {
          log.error("\(destination) could not be delivered: \(error)")
          return
        }
        if attempt == 1 { log.warn("\(destination) got no answer, sending it again: \(error)") }
        if !wasStale { _ = time.sleep(until: time.bootTime.advanced(by: pause)) }
      }
    }
  }

  private func logRefusal(
    of name: @autoclosure () -> String, _ answer: RuntimeConnection.Answer, bytes: Int, _ mayHaveArrived: Bool
  ) {
    switch answer.head.status {
    case 200..<300: break
    case 403 where mayHaveArrived:
      log.info("\(name()) had arrived the first time")
    case 413:
      log.error(
        "\(name()) was refused for its size: it has \(bytes) bytes, Lambda takes \(Self.maximumResponseBytes); "
          + reason(in: answer.body))
    default:
      log.error("\(name()) was refused with status \(answer.head.status): \(reason(in: answer.body))")
    }
  }
}

/// Where an answer goes.
enum Destination: CustomStringConvertible {
  /// The response to the invocation with this id.
  case response(String)
  /// The error in its place.
  case error(String)
  case initialisationError
  case restoreError

  /// Appends the path, after what all paths of the Runtime API begin with.
  func append(to request: inout [UInt8]) {
    switch self {
    case .response(let id), .error(let id):
      request.append(contentsOf: "/invocation/".utf8)
      request.append(contentsOf: id.utf8)
      if case .response = self {
        request.append(contentsOf: "/response".utf8)
      } else {
        request.append(contentsOf: "/error".utf8)
      }
    case .initialisationError: request.append(contentsOf: "/init/error".utf8)
    case .restoreError: request.append(contentsOf: "/restore/error".utf8)
    }
  }

  /// What is sent there, in words for the log.
  var description: String {
    switch self {
    case .response: "the response"
    case .error: "the error"
    case .initialisationError: "the initialisation error"
    case .restoreError: "the restore error"
    }
  }
}

extension RuntimeAPI {
  /// The longest that Lambda lets a function work.
  private static var longestInvocation: Duration { .seconds(900) }

  /// Sends a response while `write` makes it.
  private func stream(
    _ contentType: String, to id: String, until deadline: WallTime,
    _ write: (inout ResponseStream) throws -> Void
  ) {
    setHead(
      .response(id), "Content-Type: \(headerValue(contentType))\r\n",
      "Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n",
      "Trailer: \(errorTypeField)\r\nTrailer: \(errorBodyField)")
    let remaining = min(time.wallTime.duration(to: deadline), Self.longestInvocation)
    let sender = StreamSender(
      on: connection, head: head, allowing: max(remaining, RuntimeConnection.exchangeTimeout))
    var failure: InvocationFailure?
    do {
      var stream = ResponseStream(sender)
      try write(&stream)
    } catch {
      failure = InvocationFailure(error)
    }
    finish(sender, to: id, failure)
  }

  private func finish(_ sender: StreamSender, to id: String, _ failure: InvocationFailure?) {
    if let failure, sender.failure == nil { log.error("\(failure.type): \(failure.message)") }
    if let failure, !sender.hasBegun { return post(failure, to: .error(id)) }
    let trailers = failure?.shortened(toDocumentOf: maximumTrailerDocumentBytes)
    let trailerLines = trailers.map { failure in
      "\(errorTypeField): \(failure.keptType)\r\n\(errorBodyField): \(base64(failure.document))\r\n"
    }
    do throws(ExchangeError) {
      let answer = try sender.finish(trailerLines ?? "")
      logRefusal(of: "the streamed response", answer, bytes: sender.bytesSent, false)
    } catch {
      let message = "the streamed response broke off: \(error)"
      log.error(message)
      // A stream can't be sent again, but an invocation whose stream was cut off is still open for an error.
      let failure = InvocationFailure(type: "Runtime.StreamBroken", message: message)
      post(failure, to: .error(id), mayHaveArrived: sender.hasSentAll)
    }
  }
}

/// The server of the Runtime API takes trailers as one block of at most 4,096 bytes; Base64 makes four bytes of three.
private let maximumTrailerDocumentBytes = 2_600

private let errorTypeField = "Lambda-Runtime-Function-Error-Type"
private let errorBodyField = "Lambda-Runtime-Function-Error-Body"
