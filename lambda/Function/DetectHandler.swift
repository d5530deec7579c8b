package import FleetDetection
package import LambdaRuntime
package import Platform
import WireFormats

/// `detect_handler`: evaluates the reports of a fleet.
package struct DetectHandler: Handler, ~Copyable {
  /// The value of `_HANDLER` that selects this handler.
  package static let name = "detect_handler"
  /// The time before the deadline that is reserved for the response.
  private static let answerMargin = Duration.seconds(1)

  private let detector: FleetDetector
  private let time: any TimeSource
  private let log: Log
  private let function: String
  private let write: ([UInt8]) -> Void

  /// Creates a handler. `write` receives lines of metrics for standard output, without a line feed.
  package init(
    _ detector: FleetDetector, function: String, time: any TimeSource, log: Log,
    write: @escaping ([UInt8]) -> Void
  ) {
    self.detector = detector
    self.function = function
    self.time = time
    self.log = log
    self.write = write
  }

  /// Creates a handler with the configuration in the environment.
  package init(_ environment: Environment, time: any Waiter, log: Log) throws {
    let configuration = try FleetConfiguration(environment)
    let services = try FleetServices(environment, configuration, time: time, log: log)
    let catalog = ProfileCatalog(
      files: { ProfileFolder.documents(at: configuration.profilePaths) }, store: services.store, time: time,
      log: log)
    let detector = FleetDetector(
      services.store, services.delivery, catalog, silence: configuration.silence,
      retention: configuration.retention, time: time, log: log)
    let function = environment.value("AWS_LAMBDA_FUNCTION_NAME") ?? "detect"
    self.init(detector, function: function, time: time, log: log) { line in
      // Metrics that can't be written aren't worth a failed batch.
      do throws(Errno) { try writeAll(line + [UInt8(ascii: "\n")], to: 1) } catch {
        log.warn("Can't write metrics to standard output: \(error).")
      }
    }
  }

  package mutating func handle(_ event: Event, _ context: Context) throws -> Response {
    let start = time.bootTime
    let remaining = time.wallTime.duration(to: context.deadline) - Self.answerMargin
    let deadline = start.advanced(by: remaining)
    do {
      switch try DetectEvent(event.bytes) {
      case .sweep:
        var counts = FleetCounts()
        defer { report(counts, latency: nil) }
        try detector.sweep(&counts, until: deadline)
        return Response(json: Array("{}".utf8))
      case .batch(let records):
        let outcome = try detector.process(records.map(\.body), until: deadline)
        report(outcome.counts, latency: start.duration(to: time.bootTime))
        return response(outcome, records)
      case .report(let body):
        let outcome = try detector.process([body], until: deadline)
        report(outcome.counts, latency: start.duration(to: time.bootTime))
        if let failure = outcome.failures[0] { throw Self.failure(failure) }
        return Response(json: Array("{}".utf8))
      }
    } catch let error as StoreError {
      throw InvocationFailure(type: "Function.StoreFailed", message: "\(error)")
    }
  }

  private func report(_ counts: FleetCounts, latency: Duration?) {
    let metrics = FleetMetrics(function: function, at: time.wallTime)
    for line in metrics.lines(counts, latency: latency) { write(line) }
  }

  private static func failure(_ failure: BatchOutcome.Failure) -> InvocationFailure {
    switch failure {
    case .malformed(let reason):
      InvocationFailure(
        type: "Function.MalformedReport", message: "The report can't be evaluated: \(reason).")
    case .unavailable(let reason): InvocationFailure(type: "Function.StoreFailed", message: reason)
    }
  }

  /// Returns `{"batchItemFailures":[{"itemIdentifier":"…"}]}` with the records to deliver again. A malformed one stays malformed: SQS
  /// moves it to the dead-letter queue after some deliveries, but in a stream it would only keep the other records back.
  private func response(_ outcome: BatchOutcome, _ records: [DetectEvent.Record]) -> Response {
    var document = JSONWriter()
    document.beginMap(count: 1)
    document.key("batchItemFailures")
    document.beginList(count: outcome.failures.count)
    for (position, failure) in outcome.failures.sorted(by: { $0.key < $1.key }) {
      guard records.indices.contains(position) else { continue }
      let record = records[position]
      if case .malformed(let reason) = failure {
        let end = record.isOfStream ? " It isn't delivered again." : ""
        log.error("The record \(record.id) can't be evaluated: \(reason).\(end)")
        if record.isOfStream { continue }
      }
      document.beginMap(count: 1)
      document.member("itemIdentifier", record.id)
      document.endMap()
    }
    document.endList()
    document.endMap()
    return Response(json: document.bytes)
  }
}
