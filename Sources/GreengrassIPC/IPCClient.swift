package import Platform
package import WireFormats

/// A component's client for its nucleus. It uses one connection, and reconnects whenever that is lost.
///
/// Synchronous, for one thread. It reads events and answers pings while it waits for an answer and in
/// ``serve(until:orWhen:)``, in which a component should spend its idle time.
package final class IPCClient {
  private let socketPath: String
  /// In a closure, so that a dump of this object can't reveal the token.
  private var token: () -> String
  private let componentName: () -> String?
  private let log: Log
  private let time: any Waiter
  private var random: any RandomNumberGenerator
  private var repeats = RepeatFilter(interval: .seconds(300))

  private var connection: IPCConnection?
  /// Half of each delay is random, so that the components of a core don't all reconnect at once.
  static let reconnecting = Backoff(first: .milliseconds(250), cap: .seconds(30), jitter: 0.5)
  private var backoff = reconnecting
  private var nextAttempt = BootTime(nanosecondsSinceBoot: 0)
  private var lastError: IPCError?

  private var subscriptions: [IPCSubscription] = []
  private var subscriptionOfStream: [Int32: IPCSubscription] = [:]
  private var retrySubscriptionsAt: BootTime?
  private var call: (streamID: Int32, answer: Result<JSONValue, IPCError>?)?
  /// Whether the nucleus expects the client to end the stream of a call, as lite does and the classic nucleus doesn't;
  /// nil before its first answer.
  package private(set) var leavesStreamsOpen: Bool?
  /// The token that the nucleus issued to replace one that it no longer knew; nil if it issued none.
  package private(set) var issuedToken: (() -> String)?

  /// Work that ``serve(until:orWhen:)`` does when it is due and there is a connection; it may call the nucleus.
  package weak var idleTask: (any IdleTask)?

  static let handshakeTimeout = Duration.seconds(10)
  static let subscriptionRetryInterval = Duration.seconds(300)

  /// Creates a client that connects on first use.
  ///
  /// - Parameters:
  ///   - socketPath: The path of the nucleus's Unix socket, as the nucleus gives it, relative or absolute.
  ///   - token: The token that identifies this component to the nucleus (`SVCUID`).
  ///   - componentName: Returns the component's name, for a nucleus that no longer knows the token; nil if it is unknown.
  ///   - log: The log for lost connections and refused subscriptions. Each message appears at most every five minutes.
  ///   - time: The clock and the waiter.
  ///   - random: The source of the jitter between attempts to reconnect.
  package init(
    socketPath: String, token: String, componentName: @escaping () -> String? = { nil }, log: Log,
    time: any Waiter, random: any RandomNumberGenerator = SystemRandomNumberGenerator()
  ) {
    self.socketPath = socketPath
    self.token = { token }
    self.componentName = componentName
    self.log = log
    self.time = time
    self.random = random
  }

  /// Creates a client for the nucleus that started this process; nil if none did.
  ///
  /// Without a `componentName`, the name comes from the process's control group.
  package convenience init?(
    _ environment: Environment, componentName: String?, controlGroupFile: String = "/proc/self/cgroup",
    log: Log, time: any Waiter
  ) {
    guard
      let token = environment.value("SVCUID"),
      let path = environment.value(
        "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT", "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH")
    else { return nil }
    self.init(
      socketPath: path, token: token,
      componentName: { componentName ?? ComponentIdentity.componentName(controlGroupFile: controlGroupFile) },
      log: log, time: time)
  }

  /// Whether there is a connection to the nucleus.
  package var isConnected: Bool { connection != nil }

  /// Sends `request` on the current connection or a new one, and returns the nucleus's answer.
  package func call(_ request: IPCRequest, until deadline: BootTime) throws(IPCError) -> JSONValue {
    do throws(IPCError) {
      let connection = try connected(until: deadline)
      let streamID = try connection.start(request, until: deadline)
      call = (streamID, nil)
      defer { call = nil }
      let awaited = "its answer to \(request.operation)"
      while true {
        let message = try connection.nextMessage(until: deadline, waitingFor: awaited, allowsGrace: true)
        try dispatch(message, request)
        guard let answer = call?.answer else {
          // A nucleus that keeps sending other messages must not extend the wait beyond the deadline.
          try connection.checkTime(until: deadline, waitingFor: awaited)
          continue
        }
        let value = try answer.get()
        // Reset the backoff only after an answer to a call. Suppose a nucleus answers the subscriptions of each new
        // connection and then closes it: with an earlier reset, the client would reconnect after the shortest delay for
        // ever.
        backoff.reset()
        return value
      }
    } catch {
      // After a timeout, a late answer would have no receiver, so close the connection. If there is no connection, the
      // time of the next attempt must not change: otherwise frequent calls would postpone it for ever.
      if connection != nil, error.endsConnection || error.isTimeout { disconnect(because: error) }
      throw error
    }
  }

  /// Subscribes to events, now and on each new connection; doesn't wait for the nucleus's answer.
  ///
  /// If the subscription is optional, a refusal is logged only at level DEBUG, and the next attempt is on the next connection.
  package func subscribe(_ request: IPCRequest, isOptional: Bool = false) -> IPCSubscription {
    let subscription = IPCSubscription(request, isOptional: isOptional)
    subscriptions.append(subscription)
    if let connection {
      do throws(IPCError) {
        try start(subscription, on: connection)
      } catch {
        disconnect(because: error)
      }
    }
    return subscription
  }

  /// Ends a subscription in this client and at the nucleus.
  package func unsubscribe(_ subscription: IPCSubscription) {
    subscriptions.removeAll { $0 === subscription }
    guard let streamID = subscriptionOfStream.first(where: { $0.value === subscription })?.key else { return }
    // Ignore messages that still arrive on the stream.
    subscriptionOfStream[streamID] = nil
    do throws(IPCError) {
      try connection?.endStream(streamID, until: time.bootTime.advanced(by: Self.handshakeTimeout))
    } catch {
      disconnect(because: error)
    }
  }

  /// Ends a subscription's stream, if it has one, and subscribes again on a new stream.
  ///
  /// When one of its daemons restarts, nucleus lite drops subscriptions without notice; a new stream restores them.
  /// Events that have arrived are kept. Without a connection there is nothing to do: a new connection starts all
  /// subscriptions.
  package func renew(_ subscription: IPCSubscription) {
    guard let connection else { return }
    do throws(IPCError) {
      if let streamID = subscriptionOfStream.first(where: { $0.value === subscription })?.key {
        subscriptionOfStream[streamID] = nil
        try connection.endStream(streamID, until: time.bootTime.advanced(by: Self.handshakeTimeout))
      }
      try start(subscription, on: connection)
    } catch {
      disconnect(because: error)
    }
  }

  /// Makes the next call request refused subscriptions again, because permissions may have changed.
  package func forgetRefusals() {
    if retrySubscriptionsAt != nil { retrySubscriptionsAt = time.bootTime }
  }

  /// The reason why ``serve(until:orWhen:)`` returned.
  package enum ServeEnd: Sendable {
    case onTime
    case condition
    case shutdown
  }

  /// Reads events and answers pings until `instant`, or until `condition` holds; reconnects if necessary.
  package func serve(until instant: BootTime, orWhen condition: () -> Bool = { false }) -> ServeEnd {
    while true {
      if condition() { return .condition }
      if time.shutdownSignal?.isRequested == true { return .shutdown }
      if time.bootTime >= instant { return .onTime }
      if connection != nil, let idleTask, let due = idleTask.nextDue, time.bootTime >= due {
        idleTask.run(until: instant)
        continue
      }
      do throws(IPCError) {
        let connection = try connected(until: instant)
        let limit = min(instant, idleTask?.nextDue ?? instant)
        try dispatch(try connection.nextMessage(until: limit, waitingFor: "an event"), nil)
      } catch .shutdown {
        return .shutdown
      } catch .timedOut {
        continue
      } catch {
        // A failed attempt to connect has already been handled in `connected(until:)`.
        if connection != nil { disconnect(because: error) }
      }
    }
  }

  // MARK: The connection

  private func connected(until deadline: BootTime) throws(IPCError) -> IPCConnection {
    if let connection {
      // A broken connection is only kept after a request to stop.
      guard !connection.isBroken else { throw .shutdown }
      try retrySubscriptions(on: connection)
      return connection
    }
    while true {
      let now = time.bootTime
      if now >= deadline { throw lastError ?? .timedOut(waitingFor: "a connection") }
      if now < nextAttempt {
        let wake = time.wait(until: min(nextAttempt, deadline))
        guard wake == .onTime else { throw .shutdown }
        continue
      }
      do throws(IPCError) {
        return try connect(until: min(deadline, now.advanced(by: Self.handshakeTimeout)))
      } catch .shutdown {
        throw .shutdown
      } catch {
        disconnect(because: error)
      }
    }
  }

  private func connect(until deadline: BootTime) throws(IPCError) -> IPCConnection {
    let new = try identifiedConnection(until: deadline)
    connection = new
    let text = "Connected to the Greengrass nucleus again."
    if lastError != nil, repeats.allows(text, at: time.bootTime) { log.info(text) }
    lastError = nil
    for subscription in subscriptions { try start(subscription, on: new) }
    return new
  }

  /// Returns a connection that is authenticated with the token, or with the component's name if the nucleus no longer
  /// knows the token.
  ///
  /// Lite keeps tokens in the memory of `ggipcd`, and restarts it without restarting the components. If a component
  /// connects by name, lite identifies it by its control group and issues a new token.
  private func identifiedConnection(until deadline: BootTime) throws(IPCError) -> IPCConnection {
    let refusal: IPCError
    let name: String
    do throws(IPCError) {
      return try IPCConnection(
        socketPath: socketPath, as: .token(token()), until: deadline, time: time)
    } catch {
      guard error.mayMeanToken, let known = componentName() else { throw error }
      refusal = error
      name = known
    }
    do throws(IPCError) {
      let new = try IPCConnection(
        socketPath: socketPath, as: .name(name), until: deadline, time: time)
      if let issued = new.issuedToken {
        token = { issued }
        issuedToken = token
      }
      let text =
        "Connected to the Greengrass nucleus as \(name): it no longer recognized this component's token (SVCUID)."
      if repeats.allows(text, at: time.bootTime) { log.info(text) }
      return new
    } catch .shutdown {
      throw .shutdown
    } catch {
      log.debug("Connecting as \(name) without a token failed: \(error).")
      throw refusal
    }
  }

  private func disconnect(because error: IPCError) {
    if case .shutdown = error { return }
    connection = nil
    subscriptionOfStream = [:]
    retrySubscriptionsAt = nil
    for subscription in subscriptions { subscription.move(to: .idle) }
    lastError = error
    nextAttempt = time.bootTime.advanced(by: backoff.next(using: &random))
    warn(error)
  }

  private func warn(_ error: IPCError, _ advice: String? = nil) {
    let text = "\(error)"
    if repeats.allows(text, at: time.bootTime) { log.warn("\(sentence(text)) \(advice ?? error.advice)") }
  }

  // MARK: Streams

  private func start(_ subscription: IPCSubscription, on connection: IPCConnection) throws(IPCError) {
    let deadline = time.bootTime.advanced(by: Self.handshakeTimeout)
    let streamID = try connection.start(subscription.request, until: deadline)
    subscription.move(to: .requested)
    subscriptionOfStream[streamID] = subscription
  }

  /// Requests refused subscriptions again: `accessControl` may have been changed since.
  private func retrySubscriptions(on connection: IPCConnection) throws(IPCError) {
    guard let instant = retrySubscriptionsAt, time.bootTime >= instant else { return }
    retrySubscriptionsAt = nil
    for subscription in subscriptions where subscription.isRefused && !subscription.isOptional {
      try start(subscription, on: connection)
    }
  }

  private func dispatch(_ message: RPCMessage, _ request: IPCRequest?) throws(IPCError) {
    if let subscription = subscriptionOfStream[message.streamID] {
      dispatch(message, to: subscription)
    } else if let streamID = call?.streamID, streamID == message.streamID, let request {
      call = (streamID, answer(message, to: request))
      if message.kind == .applicationMessage { leavesStreamsOpen = !message.endsStream }
      if !message.endsStream, let connection {
        // Lite expects the client to end the stream.
        try connection.endStream(streamID, until: time.bootTime.advanced(by: Self.handshakeTimeout))
      }
    } else {
      log.debug("Ignored a message of the Greengrass nucleus on the unknown stream \(message.streamID).")
    }
  }

  private func dispatch(_ message: RPCMessage, to subscription: IPCSubscription) {
    let answerType = "aws.greengrass#\(subscription.request.operation)Response"
    switch answer(message, to: subscription.request) {
    case .failure(let error):
      if subscription.isOptional {
        log.debug("\(sentence("\(error)")) The component works without it.")
      } else {
        warn(error, subscription.wasGranted ? error.adviceOnWithdrawal : error.advice)
      }
      if message.kind == .applicationError {
        return end(subscription, streamID: message.streamID, because: error)
      }
    case .success where message.serviceModelType == answerType:
      subscription.move(to: .active)
    case .success(let event):
      // An event can arrive before the answer: nucleus lite sends the two from different threads.
      if !message.payload.isEmpty { subscription.append(event, bytes: message.payload.count) }
    }
    if message.endsStream { end(subscription, streamID: message.streamID) }
  }

  private func end(_ subscription: IPCSubscription, streamID: Int32, because refusal: IPCError? = nil) {
    subscription.move(to: .ended, because: refusal)
    subscriptionOfStream[streamID] = nil
    guard !subscription.isOptional else { return }
    retrySubscriptionsAt = time.bootTime.advanced(by: Self.subscriptionRetryInterval)
  }

  private func answer(_ message: RPCMessage, to request: IPCRequest) -> Result<JSONValue, IPCError> {
    guard message.kind == .applicationMessage else {
      return .failure(
        .refused(
          operation: request.operation, subject: request.subject,
          name: message.errorName ?? "an error", text: message.errorText))
    }
    guard !message.payload.isEmpty else { return .success(.object([])) }
    do throws(JSONError) {
      return .success(try JSONValue(parsing: message.payload))
    } catch {
      return .failure(.malformed("a malformed answer to \(request.operation): \(error)"))
    }
  }
}
