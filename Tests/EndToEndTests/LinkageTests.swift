import Glibc
import Platform
import Testing

/// Tests of the libraries and modules linked into the built programs.
@Suite struct `Linkage of the programs` {
  /// The prefixes of mangled symbol names for modules that `bootstrap` must not contain.
  private static let unwanted = [
    "$s10Foundation", "$s20FoundationEssentials", "$s14ArgumentParser", "$s7NIOCore", "$s8NIOPosix",
    "$s8NIOHTTP1", "$s14LambdaEmulator", "$s8Dispatch",
  ]

  @Test func `bootstrap contains no Foundation, no NIO and no ArgumentParser`() throws {
    let bootstrap = try elfFile(of: "bootstrap")
    #expect(!bootstrap.neededLibraries.contains { $0.contains("Foundation") || $0.contains("dispatch") })
    #expect(Self.unwanted.filter(bootstrap.hasName) == [])
  }

  @Test func `the modules that bootstrap must not contain are recognised`() throws {
    // `defender` contains most of them. If they weren't found there, the test of `bootstrap` would be meaningless.
    let defender = try elfFile(of: "defender")
    for name in ["$s14ArgumentParser", "$s7NIOCore", "$s14LambdaEmulator", "$s8Dispatch"] {
      #expect(defender.hasName(containing: name))
    }
    let tests = try ELFFile(contents(of: "/proc/self/exe"))
    #expect(tests.hasName(containing: "$s10Foundation"))
    #expect(tests.neededLibraries.contains { $0.contains("Foundation") })
  }

  private func elfFile(of program: String) throws -> ELFFile {
    try ELFFile(contents(of: BuiltProgram(program).path))
  }

  /// Reads a regular file in one call, because a program of a debug build has a hundred megabytes.
  private func contents(of path: String) throws -> [UInt8] {
    let file = try FileDescriptor(reading: path)
    let size = lseek(file.rawValue, 0, SEEK_END)
    try #require(size > 0)
    return unsafe [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      count = max(0, unsafe pread(file.rawValue, buffer.baseAddress, buffer.count, 0))
    }
  }
}
