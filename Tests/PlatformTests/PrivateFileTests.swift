import Glibc
import Platform
import TestSupport
import Testing

@Suite(.ownThreads) struct `A private file` {
  @Test func `is replaced completely by concurrent writers, one at a time`() async throws {
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/state"
    let contents = ["a", "b", "c"].map { [UInt8](String(repeating: $0, count: 2_000).utf8) }
    let errors = await withTaskGroup { group in
      for own in contents {
        group.addTask {
          var errors: [String] = []
          for _ in 0..<5 {
            do {
              try replacePrivateFile(path, with: own)
              let found = try readPrivateFile(path, limit: 1 << 20)
              if !contents.contains(where: { $0 == found }) { errors.append("\(found?.count ?? 0) bytes") }
            } catch {
              errors.append("\(error)")
            }
          }
          return errors
        }
      }
      return await group.reduce([]) { $0 + $1 }
    }
    #expect(errors == [])
    #expect(unsafe access("\(path).new", F_OK) != 0)
  }

  @Test func `leaves nothing behind if the name is unavailable`() throws {
    let directory = try TemporaryDirectory()
    // A directory has that name, so the file can't replace it.
    let path = "\(directory.path)/state"
    #expect(unsafe mkdir(path, 0o700) == 0)
    #expect(throws: Errno.self) { try replacePrivateFile(path, with: [1]) }
    #expect(unsafe access("\(path).new", F_OK) != 0)
  }

  @Test func `isn't replaced while another process holds its directory`() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("state", "old")
    let holder = try PrivateDirectory(directory.path)
    #expect(throws: Errno(rawValue: EAGAIN)) {
      try replacePrivateFile(path, with: [1], patience: .milliseconds(30))
    }
    #expect(try readPrivateFile(path, limit: 10) == Array("old".utf8))
    try holder.replace("state", with: Array("held".utf8))
    _ = consume holder
    // A process that another test starts holds the lock, too, until it calls execve(2).
    try replacePrivateFile(path, with: Array("new".utf8), patience: .seconds(10))
    #expect(try readPrivateFile(path, limit: 10) == Array("new".utf8))
  }

  @Test func `is replaced once the directory is free`() async throws {
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/state"
    let holder = try PrivateDirectory(directory.path)
    let waiting = Task { try replacePrivateFile(path, with: Array("next".utf8), patience: .seconds(60)) }
    try holder.replace("state", with: Array("first".utf8))
    _ = consume holder
    try await waiting.value
    #expect(try readPrivateFile(path, limit: 10) == Array("next".utf8))
  }

  @Test func `of another user isn't read`() throws {
    let directory = try TemporaryDirectory()
    var path = try directory.write("state", "theirs")
    if geteuid() == 0 {
      #expect(unsafe chown(path, 1, 1) == 0)
    } else {
      // A file of root that every user can read.
      path = "/etc/passwd"
    }
    #expect(throws: Errno(rawValue: EPERM)) { try readPrivateFile(path, limit: 1 << 20) }
  }

  @Test func `has a size up to the limit, and is readable by its owner only`() throws {
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/state"
    try replacePrivateFile(path, with: [1, 2, 3])
    #expect(try readPrivateFile(path, limit: 3) == [1, 2, 3])
    #expect(throws: Errno(rawValue: EFBIG)) { try readPrivateFile(path, limit: 2) }
    #expect(try readPrivateFile("\(directory.path)/none", limit: 2) == nil)
    var status = stat()
    #expect(unsafe stat(path, &status) == 0)
    #expect(status.st_mode & 0o777 == 0o600)
  }

  @Test func `replaces a leftover, and a link without following it`() throws {
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/state"
    try directory.write("state.new", "half a fi")
    try replacePrivateFile(path, with: [1])
    #expect(try readPrivateFile(path, limit: 10) == [1])
    let target = try directory.write("target", "untouched")
    #expect(unsafe symlink(target, "\(path).new") == 0)
    try replacePrivateFile(path, with: [2])
    #expect(try readPrivateFile(path, limit: 10) == [2])
    #expect(try readFile(target, limit: 100) == Array("untouched".utf8))
  }

  @Test func `can be named without a directory, or in the root`() throws {
    #expect(throws: Errno(rawValue: ENOENT)) { try replacePrivateFile("/no/such/directory/state", with: []) }
    let name = "device-defender-test-\(getpid())"
    try replacePrivateFile(name, with: [7])
    defer { unsafe unlink(name) }
    #expect(try readPrivateFile(name, limit: 10) == [7])
  }
}
