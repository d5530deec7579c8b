import HTTPClient
import Platform

/// Watches the files of the client certificate, and replaces the connection between two reports if they were renewed. Also
/// warns before the certificate expires.
///
/// A check runs, at most once a minute, when a report, a ping or the watchdog has woken the process. The watch itself wakes
/// the process only once before the certificate of an open connection expires, and once for each renewed certificate.
final class CertificateWatch: IdleTask {
  private static let checkInterval = Duration.seconds(60)
  /// The longest random delay before a new connection. It keeps a fleet whose files change at one moment from reconnecting
  /// at one moment.
  private static let spread = Duration.seconds(30)
  /// The last check for renewed files comes this long before the certificate expires.
  private static let finalCheckTime = Duration.seconds(120)
  private static let warningTime = Duration.seconds(30 * 86_400)
  private static let timeBetweenWarnings = Duration.seconds(86_400)
  /// The time limit for the new connection. If the next report is due earlier, it opens the connection.
  private static let connectionTime = Duration.seconds(30)

  private let publisher: any Publisher
  private let topic: Topic
  private let time: any Waiter
  private let log: Log
  private var random: any RandomNumberGenerator
  private var lastCheck: BootTime?
  /// When to replace the connection; nil if its certificate is the one in the files.
  private var renewal: BootTime?
  /// When to check even if nothing else wakes the process.
  private var finalCheck: BootTime?
  private var lastWarning: (time: BootTime, isExpired: Bool)?
  /// Shows when the certificate expires; nil if there is no service manager.
  var status: AgentStatus? {
    didSet { status?.certificate = { [weak self] in self?.remark } }
  }

  /// Creates a watch for the certificate of `publisher`. A new connection is for reports on `topic`.
  init(
    _ publisher: any Publisher, topic: Topic, time: any Waiter, log: Log,
    random: any RandomNumberGenerator = SystemRandomNumberGenerator()
  ) {
    self.publisher = publisher
    self.topic = topic
    self.time = time
    self.log = log
    self.random = random
  }

  var nextDue: BootTime? {
    guard let renewal, let finalCheck else { return renewal ?? finalCheck }
    return min(renewal, finalCheck)
  }

  var nextChance: BootTime? {
    guard publisher.certificate != nil else { return nil }
    return lastCheck?.advanced(by: Self.checkInterval) ?? BootTime(nanosecondsSinceBoot: 0)
  }

  func run(until deadline: BootTime) {
    let now = time.bootTime
    if let renewal, renewal <= now {
      self.renewal = nil
      renewConnection(until: deadline)
    }
    if finalCheck.map({ $0 <= now }) ?? false || nextChance.map({ $0 <= now }) ?? false { check(at: now) }
  }

  private func check(at now: BootTime) {
    lastCheck = now
    finalCheck = nil
    guard let use = publisher.certificate else { return }
    let keeper = use.identity.keeper
    let former = keeper.notAfter
    keeper.refreshed()
    let end = keeper.notAfter
    if end != former { status?.showAll() }
    if let end { warn(ofEnd: end, of: use.identity.certificateFile, at: now) }
    // If no connection is open, the next one uses the new pair without further action.
    guard use.authenticatesConnection, publisher.isConnected else { return }
    if let former = keeper.replaced {
      guard renewal == nil else { return }
      let delay = Self.spread * Double.random(in: 0..<1, using: &random)
      // Leave a few seconds to connect before the former certificate expires.
      let left = former.notAfter.map { time.wallTime.duration(to: $0) - .seconds(10) } ?? delay
      renewal = now.advanced(by: max(.zero, min(delay, left)))
    } else if let end {
      let left = time.wallTime.duration(to: end) - Self.finalCheckTime
      if left > .zero { finalCheck = now.advanced(by: left) }
    }
  }

  /// Replaces the connection. If that fails, the next report tries again.
  private func renewConnection(until deadline: BootTime) {
    guard publisher.isConnected, publisher.certificate?.identity.keeper.replaced != nil else { return }
    // An answer or a command may have arrived that nobody has read yet. It would be lost with the connection.
    publisher.idleTask?.run(until: deadline)
    publisher.disconnect()
    let limit = time.bootTime.advanced(by: Self.connectionTime)
    guard limit <= deadline else {
      status?.renewed(isConnected: false)
      return log.info("Closed the connection. The next report opens one with the renewed certificate.")
    }
    do throws(PublishError) {
      guard let opened = try publisher.open(for: topic, until: limit) else { return }
      log.info("Connected with the renewed certificate to \(opened).")
      status?.renewed(isConnected: publisher.isConnected)
    } catch {
      let failure =
        "Can't connect with the renewed certificate to \(error.endpoint): \(sentence(error.reason))"
      guard !error.isOfStop else { return log.info(failure) }
      status?.lost(failure, at: time.wallTime)
      log.error("\(failure) \(error.advice) The next report tries again.")
    }
  }

  private func warn(ofEnd end: WallTime, of file: String, at now: BootTime) {
    let left = time.wallTime.duration(to: end)
    guard left < Self.warningTime else { return lastWarning = nil }
    let isExpired = left <= .zero
    if let lastWarning, lastWarning.isExpired == isExpired,
      now < lastWarning.time.advanced(by: Self.timeBetweenWarnings)
    {
      return
    }
    lastWarning = (now, isExpired)
    let date = CivilTime(end).extendedFormat
    let advice = "Register a new certificate, and replace the files of the certificate and the key."
    if isExpired {
      log.error(
        "The certificate \(file) expired \(span(.zero - left)) ago, at \(date), by this machine's clock. \(advice)"
      )
    } else {
      log.warn("The certificate \(file) expires in \(span(left)), at \(date). \(advice)")
    }
  }

  /// `certificate expires in 12 days`; nil without a certificate.
  private var remark: String? {
    guard let end = publisher.certificate?.identity.keeper.notAfter else { return nil }
    let left = time.wallTime.duration(to: end)
    return left <= .zero
      ? "certificate expired \(span(.zero - left)) ago" : "certificate expires in \(span(left))"
  }
}
