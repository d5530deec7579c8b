import Glibc
import Platform
import TestSupport
import Testing

@Suite(.ownThreads) struct `A private file` {
  @Test func `is replaced whole by several at once, each in its turn`() async throws {
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

  @Test func `leaves nothing of itself behind where it can't take the name`() throws {
    let directory = try TemporaryDirectory()
    // What has that name is a directory, so that the file can't take its place.
    let path = "\(directory.path)/state"
    #expect(unsafe mkdir(path, 0o700) == 0)
    #expect(throws: Errno.self) { try replacePrivateFile(path, with: [1]) }
    #expect(unsafe access("\(path).new", F_OK) != 0)
  }
}
