import DeviceDefender
import Platform
import WireFormats

extension ReportLoop {
  /// Applies the configuration to the detector. A new detector continues from its saved state.
  mutating func configureDetection() {
    guard let configured = configuration.detection else {
      detector = nil
      return
    }
    if detector != nil {
      detector?.update(to: configured)
    } else {
      detector = Detector(configured, log: log)
      restoreDetection()
    }
  }

  /// Continues from the alarms and events that an earlier process saved.
  mutating func restoreDetection() {
    if detector != nil { detector?.restore(state.contents(of: Detector.fileName)) }
  }

  /// Evaluates the snapshot of a report, and saves the alarms and events before anything is published.
  mutating func detect(in snapshot: MetricsSnapshot, _ report: Report, into outcome: inout ReportOutcome) {
    guard detector != nil else { return }
    let count = detector?.evaluate(
      snapshot, report, since: reporter.baseline?.networkCounters, at: time.wallTime)
    outcome.violations += UInt64(count ?? 0)
    saveDetection()
  }

  private mutating func saveDetection() {
    if let saved = detector?.state { state.replace(Detector.fileName, with: saved, at: time) }
  }

  /// Publishes the queued events, the oldest first, and runs the command for the new ones.
  ///
  /// An event that can't be published stays in the queue, with its id.
  mutating func publishViolations(before end: BootTime, isConnected: Bool) {
    guard let queued = detector?.queue.events, let topic = detector?.configuration.topic else { return }
    if isConnected, !queued.isEmpty {
      let limit = min(end, time.bootTime.advanced(by: configuration.publishTimeout))
      for event in queued {
        guard publish(event, to: topic, until: limit) else { break }
        detector?.removePublished()
      }
      saveDetection()
    }
    if let dropped = detector?.takeDropped(), dropped > 0 {
      log.warn(
        "Dropped \(dropped) violation events, the oldest, because more than \(EventQueue.capacity) were waiting."
      )
    }
    if detector?.forCommand.isEmpty == false {
      // The program waits for the system's clock, not for `time`.
      let limit = BootTime.now.advanced(by: min(.seconds(60), time.bootTime.duration(to: end)))
      detector?.runCommand(until: limit, or: time.shutdownSignal)
    }
  }

  private mutating func publish(_ event: [UInt8], to topic: Topic, until limit: BootTime) -> Bool {
    do throws(PublishError) {
      let receipt = try publisher.publish(event, to: topic, qos: .atLeastOnce, until: limit)
      log.info("Published a violation event, \(event.count) bytes, to \(topic.name): \(receipt).")
      return true
    } catch {
      let text = "Can't publish a violation event; it stays in the queue: \(error)"
      if error.isOfStop {
        log.info(text)
      } else if failures.allows("violation: \(error)", at: time.bootTime) {
        log.error(text)
      } else {
        log.debug(text)
      }
      return false
    }
  }
}
