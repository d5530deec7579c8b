import MQTT
import Platform

extension MQTTPublisher {
  /// Processes the messages that have arrived. Returns false if there may be more of them.
  @discardableResult
  func takeWhatArrived(on session: Session) throws(MQTTError) -> Bool {
    // Bounded, so that a broker that never stops sending can't block the caller. A full inbox is emptied.
    for _ in 0...Session.inboxLimit {
      guard let arrival = try session.receive(until: time.bootTime) else { return true }
      take(arrival)
    }
    return false
  }

  func take(_ arrival: Session.Arrival) {
    guard case .message(let message) = arrival else { return }
    let isCommand = commands?.take(
      message.payload, on: message.topic, isRetained: message.isRetained, log: log)
    guard isCommand != true else { return }
    let verdict = answers.take(on: message.topic, payload: message.payload, isRetained: message.isRetained)
    switch verdict {
    case .counts, .replacesRejection: break
    case .isOfAnotherTopic, .isUnreadable:
      // One key for all messages: a sender could name a new topic each time.
      guard repeats.allows("ignored", at: time.bootTime) else { break }
      log.warn("Ignored a message on '\(message.topic)': \(verdict).")
    default: log.debug("Ignored an answer on '\(message.topic)': \(verdict).")
    }
  }
}
