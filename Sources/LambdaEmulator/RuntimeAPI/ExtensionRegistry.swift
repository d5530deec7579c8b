import Synchronization

/// The extensions that the function's process has registered (Lambda developer guide, "Lambda Extensions API").
///
/// Only internal extensions without events are supported. Lambda sends SIGTERM to a process only if an extension is registered.
final class ExtensionRegistry: Sendable {
  /// The reason why a request is rejected.
  enum Refusal: Error, Equatable {
    case nameInUse(String)
    case unsupportedEvents([String])
    case unknownIdentifier
  }

  private struct State {
    /// The extensions' names by their identifiers.
    var names: [String: String] = [:]
    var waiting: [CheckedContinuation<Void, Never>] = []
  }

  private let state = Mutex(State())

  var isEmpty: Bool { state.withLock { $0.names.isEmpty } }

  /// Registers an extension and returns its identifier.
  func register(_ name: String, events: [String]) throws(Refusal) -> String {
    guard events.isEmpty else { throw .unsupportedEvents(events) }
    let identifier = randomUUID()
    let isNew = state.withLock { state in
      guard !state.names.values.contains(name) else { return false }
      state.names[identifier] = name
      return true
    }
    guard isNew else { throw .nameInUse(name) }
    return identifier
  }

  /// Waits until the process has ended, because an extension without events never receives one.
  func waitForEnd(of identifier: String) async throws(Refusal) {
    guard state.withLock({ $0.names[identifier] != nil }) else { throw .unknownIdentifier }
    await withCheckedContinuation { continuation in
      let isRegistered = state.withLock { state in
        guard state.names[identifier] != nil else { return false }
        state.waiting.append(continuation)
        return true
      }
      if !isRegistered { continuation.resume() }
    }
  }

  /// Forgets all extensions, because their process has ended.
  func removeAll() {
    let waiting = state.withLock { state in
      defer { state = State() }
      return state.waiting
    }
    for continuation in waiting { continuation.resume() }
  }
}
