/// Limits the number of concurrent operations.
///
/// Every test starts processes, and all tests start at once. Without a limit, each process would get a hundredth of a processor, and
/// deadlines of a few seconds would expire before anything has started.
actor Turnstile {
  static let processes = Turnstile(places: 4)

  private var places: Int
  private var waiting: [CheckedContinuation<Void, Never>] = []

  init(places: Int) {
    self.places = places
  }

  /// Runs `body` once there is capacity.
  nonisolated func pass<Result: Sendable>(_ body: () async throws -> Result) async rethrows -> Result {
    await enter()
    do {
      let result = try await body()
      await leave()
      return result
    } catch {
      await leave()
      throw error
    }
  }

  private func enter() async {
    guard places == 0 else {
      places -= 1
      return
    }
    await withCheckedContinuation { waiting.append($0) }
  }

  private func leave() {
    if waiting.isEmpty {
      places += 1
    } else {
      waiting.removeFirst().resume()
    }
  }
}
