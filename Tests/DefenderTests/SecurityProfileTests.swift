import ArgumentParser
import Testing

@testable import defender

@Suite struct `A security profile` {
  @Test(arguments: ["a", "A:b_c-1", String(repeating: "x", count: 128)])
  func `accepts the names that AWS IoT accepts`(name: String) throws {
    #expect(try Defender.parseAsRoot(["security-profile", "--name", name]) is SecurityProfileCommand)
  }

  /// The output is for a shell, so a name must not contain a command.
  @Test(arguments: ["", "a b", "a;b", "$(a)", "a/b", "é", String(repeating: "x", count: 129)])
  func `rejects any other name`(name: String) throws {
    let error = try #require(throws: (any Error).self) {
      try Defender.parseAsRoot(["security-profile", "--name", name])
    }
    #expect(Defender.message(for: error).contains("--name is '\(name)'; expected 1 to 128 letters"))
  }
}
