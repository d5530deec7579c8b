package import Platform

/// Reads the files of a client identity, and keeps the last certificate and key that belonged together.
///
/// Programs that renew a certificate replace its files one after the other. Until the new certificate and key belong together,
/// the former pair stays in use, for new connections too.
package final class KeyPairKeeper: @unchecked Sendable {
  private let files: ClientIdentityFiles
  private let lock = Lock()
  // `lock` guards all of these.
  private var pair: KeyPair?
  /// The pair of the last connection.
  private var used: KeyPair?
  /// The versions of the files when they were read.
  private var versions: [FileVersion] = []
  /// Whether unchanged versions mean unchanged contents.
  private var isSettled = false
  /// Why the files couldn't be used when they were read.
  private var problem: ClientIdentityError?
  /// The password from a pipe, which can be read only once.
  private var pipedPassword: [UInt8]?
  private var log: Log?

  init(_ files: ClientIdentityFiles) {
    self.files = files
  }

  deinit {
    if var password = pipedPassword.take() { overwrite(&password) }
  }

  /// Starts to log when a renewed pair is adopted, and why the files can't be used.
  func report(to log: Log) { lock.withLock { self.log = log } }

  /// Reads the files if they have changed. Returns the pair to use; nil if there has been no usable one yet.
  @discardableResult
  package func refreshed() -> KeyPair? {
    lock.withLock {
      refresh()
      return pair
    }
  }

  /// Returns the pair for a new connection, after reading the files if they have changed.
  func pairForConnection() throws(ClientIdentityError) -> KeyPair {
    let result = lock.withLock { () -> Result<KeyPair, ClientIdentityError> in
      refresh()
      guard let pair else { return .failure(problem ?? .noCertificate(files.certificate)) }
      used = pair
      return .success(pair)
    }
    return try result.get()
  }

  /// Makes the next use read the files, even if they look unchanged, and log again if they can't be used.
  package func readAgain() {
    lock.withLock {
      versions = []
      problem = nil
    }
  }

  /// Whether a usable pair was found.
  var holdsPair: Bool { lock.withLock { pair != nil } }

  /// The end of the validity of the pair in use; nil if there is none.
  package var notAfter: WallTime? { lock.withLock { pair?.notAfter } }

  /// The pair of the last connection, if another one has replaced it since; nil otherwise.
  package var replaced: KeyPair? { lock.withLock { used === pair ? nil : used } }

  /// Reads the password and the key now, and throws if the key is encrypted and the password doesn't decrypt it.
  func checkPassword(readFile: (String) throws(Errno) -> [UInt8]) throws(ClientIdentityError) {
    let problem = lock.withLock { () -> ClientIdentityError? in
      do throws(ClientIdentityError) {
        var password = try password(readFile: readFile)
        defer { overwrite(&password) }
        try HTTPClient.checkPassword(password, of: files)
        return nil
      } catch {
        return error
      }
    }
    if let problem { throw problem }
  }

  /// Why the files can't be used as they are now; nil if they can.
  var problemOfFiles: ClientIdentityError? {
    lock.withLock {
      do throws(ClientIdentityError) {
        _ = try read()
        return nil
      } catch {
        return error
      }
    }
  }

  private func read() throws(ClientIdentityError) -> KeyPair {
    var password = try password(readFile: readPassword)
    defer { overwrite(&password) }
    return try KeyPair(files, password: password)
  }

  private func refresh() {
    let paths = [files.certificate, files.key] + (files.password.map { [$0] } ?? [])
    // Before the versions: a pause between the two must not make a file that has just changed look settled.
    let now = WallTime.now
    let found = paths.map { FileVersion(path: $0) }
    guard found != versions || !isSettled else { return }
    versions = found
    isSettled = found.allSatisfy { $0.isSettled(at: now) }
    do throws(ClientIdentityError) {
      adopt(try read())
    } catch {
      if error.isTransient { isSettled = false }
      keepFormer(because: error)
    }
  }

  private func adopt(_ read: KeyPair) {
    problem = nil
    guard let former = pair else { return pair = read }
    guard !former.hasSameCertificates(as: read) else { return }
    pair = read
    let end = read.notAfter.map { " It is valid until \(CivilTime($0).extendedFormat)." } ?? ""
    log?.info("Read the renewed certificate \(files.certificate) and its key \(files.key).\(end)")
    warn(ofEnd: read.notAfter, after: former.notAfter)
    if let warning = files.warning { log?.warn(warning) }
  }

  /// Warns if the renewed certificate ends earlier than the former one, as one from a restored backup does.
  private func warn(ofEnd end: WallTime?, after former: WallTime?) {
    guard let end, let former else { return }
    let isExpired = end <= WallTime.now
    guard isExpired || end < former else { return }
    let verb = isExpired ? "has expired: it was" : "expires earlier than the former one: it is"
    log?.warn(
      "The renewed certificate \(files.certificate) \(verb) valid until \(CivilTime(end).extendedFormat), and the former one "
        + "until \(CivilTime(former).extendedFormat). If it comes from a backup, replace the files again.")
  }

  private func keepFormer(because error: ClientIdentityError) {
    defer { problem = error }
    guard pair != nil, error != problem else { return }
    log?.warn(
      "Kept the former certificate and key, because \(files.certificate) and \(files.key) can't be used now: \(error). The "
        + "agent reads the files again when they change.")
  }

  /// Returns the password with a NUL after it, without the line end that an editor or `echo` writes.
  private func password(
    readFile: (String) throws(Errno) -> [UInt8]
  ) throws(ClientIdentityError) -> [UInt8] {
    guard let path = files.password else { return [0] }
    if let pipedPassword { return pipedPassword }
    var password: [UInt8]
    do throws(Errno) {
      password = try readFile(path)
    } catch {
      throw .unreadablePassword(path: path, error)
    }
    if password.last == UInt8(ascii: "\n") {
      password.removeLast()
      if password.last == UInt8(ascii: "\r") { password.removeLast() }
    }
    password.append(0)
    if isSpecialFile(path) { pipedPassword = password }
    return password
  }
}

private func readPassword(_ path: String) throws(Errno) -> [UInt8] {
  try readFile(path, limit: 4_096, patience: .seconds(5))
}
