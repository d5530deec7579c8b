import Platform
import WireFormats

extension RuntimeAPI {
  /// The maximum number of times that an answer is sent.
  private static var answerAttempts: Int { 4 }

  /// Answers an invocation. Replaces a response that exceeds Lambda's size limit with an error.
  func answer(_ invocation: consuming Invocation, with outcome: Result<Response, InvocationFailure>) {
    let id = invocation.ids
    switch outcome {
    case .success(let response):
      if let writer = response.stream {
        stream(response.contentType, to: id, until: invocation.context.deadline, writer)
      } else if let failure = response.sizeFailure {
        log.error(failure.message)
        post(failure, to: .error(id))
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

  /// Reports to Lambda that the function can't start.
  func reportInitialisationFailure(_ failure: InvocationFailure) {
    post(failure, to: .initialisationError)
  }

  /// Reports to Lambda that the function can't resume from a snapshot.
  func reportRestoreFailure(_ failure: InvocationFailure) {
    post(failure, to: .restoreError)
  }

  /// Answers an invocation on behalf of the worker that died during it.
  ///
  /// The worker may have died after its response had been accepted.
  func reportLostInvocation(_ id: InvocationIDs, _ failure: InvocationFailure) {
    post(failure, to: .error(id), mayHaveArrived: true)
    // The next worker is a fork of this process and would inherit an open connection.
    connection.close()
  }

  /// Sends a failure. `mayHaveArrived` means that Lambda may already have accepted the response that the failure replaces.
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

  /// Sends an answer, whose head is in `head`, until the Runtime API accepts or rejects it. Logs every outcome but success.
  ///
  /// After a stop request it is not retried, unless the failed attempt used a stale connection.
  private func deliver(_ body: [UInt8], to destination: Destination, _ mayHaveArrivedBefore: Bool = false) {
    var mayHaveArrived = mayHaveArrivedBefore
    var streak = FailureStreak(time)
    for attempt in 1...Self.answerAttempts {
      do throws(ExchangeError) {
        let answer = try connection.post(head, body)
        logRefusal(
          of: "\(destination)", answer, mayHaveArrived,
          size: "it has \(body.count) bytes, and the limit is \(Response.maximumBytes)")
        return
      } catch {
        if connection.hasSentAll { mayHaveArrived = true }
        let wasStale = connection.wasReused && error.isOfStaleConnection
        let isLast = attempt == Self.answerAttempts || (shutdown?.isRequested == true && !wasStale)
        guard let pause = streak.pause(after: error), !isLast else {
          log.error("Can't deliver \(destination): \(error).")
          return
        }
        if attempt == 1 { log.warn("No reply to \(destination), sending it again: \(error).") }
        if !wasStale { _ = time.wait(until: time.bootTime.advanced(by: pause)) }
      }
    }
  }

  /// Logs why the Runtime API rejected an answer. Does nothing if it accepted it.
  ///
  /// `mayHaveArrived` means that the Runtime API may already have accepted an answer to the same invocation. It then rejects this one with 403
  /// (the invocation has been answered), 400 (the request ID is no longer known) or 410 (the invocation has ended).
  private func logRefusal(
    of name: @autoclosure () -> String, _ answer: RuntimeConnection.Answer, _ mayHaveArrived: Bool,
    size: @autoclosure () -> String
  ) {
    let status = answer.head.status
    switch status {
    case 200..<300: break
    case 400 where mayHaveArrived, 403 where mayHaveArrived, 410 where mayHaveArrived:
      log.info(
        """
        The Runtime API rejected \(name()) with status \(status), probably because it had already received it. Reply: \
        \(reason(in: answer.body))
        """)
    case 410:
      log.warn(
        """
        The Runtime API rejected \(name()) as too late (status 410): the invocation has ended, probably because it timed out. \
        Continuing with the next event. Reply: \(reason(in: answer.body))
        """)
    case 413:
      log.error(
        "The Runtime API rejected \(name()) as too large (status 413): \(size()). Reply: \(reason(in: answer.body))"
      )
    default:
      log.error("The Runtime API rejected \(name()) with status \(status): \(reason(in: answer.body))")
    }
  }
}

/// The Runtime API resource to which an answer is posted.
enum Destination: CustomStringConvertible {
  /// The response to the invocation with this ID.
  case response(InvocationIDs)
  /// The error report for the invocation with this ID.
  case error(InvocationIDs)
  case initialisationError
  case restoreError

  /// Appends the path, relative to the common prefix of the Runtime API.
  func append(to request: inout [UInt8]) {
    switch self {
    case .response(let id), .error(let id):
      request.append(contentsOf: "/invocation/".utf8)
      request.append(contentsOf: id.requestID.utf8)
      if case .response = self {
        request.append(contentsOf: "/response".utf8)
      } else {
        request.append(contentsOf: "/error".utf8)
      }
    case .initialisationError: request.append(contentsOf: "/init/error".utf8)
    case .restoreError: request.append(contentsOf: "/restore/error".utf8)
    }
  }

  /// The value of `Lambda-Runtime-Invocation-Id`; nil if the request has no such field.
  var invocationID: [UInt8]? {
    switch self {
    case .response(let id), .error(let id): id.invocationID
    case .initialisationError, .restoreError: nil
    }
  }

  /// A name for the answer in log messages.
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
  /// Lambda's maximum function timeout, that of asynchronous invocations on Managed Instances.
  private static var longestInvocation: Duration { .seconds(5_400) }

  /// Returns how long the stream of an invocation may take.
  ///
  /// Lambda doesn't enforce the deadlines of Managed Instances. Elsewhere, a deadline that is already past is wrong or isn't
  /// enforced, because otherwise this process would no longer run.
  func allowance(until deadline: WallTime) -> Duration {
    let remaining = time.wallTime.duration(to: deadline)
    guard enforcesDeadlines, remaining > .zero else { return Self.longestInvocation }
    return min(max(remaining, RuntimeConnection.exchangeTimeout), Self.longestInvocation)
  }

  /// Sends a response while `write` produces it.
  private func stream(
    _ contentType: String, to id: InvocationIDs, until deadline: WallTime,
    _ write: (inout ResponseStream) throws -> Void
  ) {
    setHead(
      .response(id), "Content-Type: \(headerValue(contentType))\r\n",
      "Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n",
      "Trailer: \(errorTypeField)\r\nTrailer: \(errorBodyField)")
    let sender = StreamSender(on: connection, head: head, allowing: allowance(until: deadline))
    var failure: InvocationFailure?
    do {
      var stream = ResponseStream(sender.send)
      try write(&stream)
    } catch {
      failure = InvocationFailure(error)
    }
    finish(sender, to: id, failure)
  }

  private func finish(_ sender: StreamSender, to id: InvocationIDs, _ failure: InvocationFailure?) {
    if let failure, sender.failure == nil { log.error("\(failure.type): \(failure.message)") }
    if let failure, !sender.hasBegun { return post(failure, to: .error(id)) }
    let trailers = failure?.shortened(toDocumentOf: maximumTrailerDocumentBytes)
    let trailerLines = trailers.map { failure in
      "\(errorTypeField): \(failure.keptType)\r\n\(errorBodyField): \(base64(failure.document))\r\n"
    }
    do throws(ExchangeError) {
      let answer = try sender.finish(trailerLines ?? "")
      logRefusal(
        of: "the streamed response", answer, false, size: "its first \(sender.bytesSent) bytes were sent")
    } catch {
      let message = "Sending the streamed response failed: \(error)."
      log.error(message)
      // A stream can't be sent again, but Lambda still accepts an error for an invocation whose stream was cut off.
      let failure = InvocationFailure(type: "Runtime.StreamBroken", message: message)
      post(failure, to: .error(id), mayHaveArrived: sender.hasSentAll)
    }
  }
}

/// The Runtime API's server accepts at most 4,096 bytes of trailers in total, and Base64 turns three bytes into four.
private let maximumTrailerDocumentBytes = 2_600

private let errorTypeField = "Lambda-Runtime-Function-Error-Type"
private let errorBodyField = "Lambda-Runtime-Function-Error-Body"
