import Platform

/// Caches a source's credentials until they must be refreshed.
///
/// In the last 5 minutes before the credentials expire, a refresh is tried at most once a minute; in the last minute,
/// at each use. If it fails, the old credentials stay in use until they expire; no failure is cached. Fresh credentials
/// that look expired are used if there are no others, because this machine's clock may be ahead.
struct CredentialCache {
  private static let advisoryTime: Duration = .seconds(300)
  private static let mandatoryTime: Duration = .seconds(60)
  private static let timeBetweenTries: Duration = .seconds(60)

  private var current: Credentials?
  private var lastTry: BootTime?

  /// Returns the credentials to use at `now`: the cached ones, or those of `fetch` if a refresh is due.
  mutating func credentials(
    at now: WallTime, from source: String, _ context: CredentialContext,
    fetch: () throws(CredentialFailure) -> Credentials
  ) throws(CredentialError) -> Credentials {
    let timeLeft = current.map { $0.expiration.map { now.duration(to: $0) } ?? .seconds(Int64.max) }
    if let current, let timeLeft, !isDue(timeLeft, context.time.bootTime) { return current }
    lastTry = context.time.bootTime
    do throws(CredentialFailure) {
      let fresh = try fetch()
      if let expiration = fresh.expiration, expiration <= now {
        let reason = "its credentials expired at \(CivilTime(expiration).extendedFormat)"
        if let timeLeft, timeLeft > .zero { throw CredentialFailure(reason) }
        // Rejecting them would hide the real fault: AWS's answer to a request reveals by how much the clock is off.
        context.log.warn(
          "\(source): \(reason) by this machine's clock, which may be wrong. They are used anyway.")
      }
      current = fresh
      return fresh
    } catch {
      guard let current, let timeLeft, timeLeft > .zero else {
        throw .sourceFailed(
          source: source, reason: error.reason, isTransient: error.isTransient, isOfProxy: error.isOfProxy)
      }
      context.log.warn(
        "Can't refresh the credentials from \(source): \(error.reason). "
          + "The current ones are valid for another \(timeLeft.components.seconds) s.")
      return current
    }
  }

  /// Forgets `credentials` if they are the cached ones. Returns whether they were.
  mutating func forget(_ credentials: Credentials) -> Bool {
    guard current == credentials else { return false }
    current = nil
    return true
  }

  private func isDue(_ timeLeft: Duration, _ now: BootTime) -> Bool {
    if timeLeft > Self.advisoryTime { return false }
    if timeLeft <= Self.mandatoryTime { return true }
    guard let lastTry else { return true }
    return lastTry.duration(to: now) >= Self.timeBetweenTries
  }
}
