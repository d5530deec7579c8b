/// A parser of bytes from outside, and what has to hold whatever the bytes are.
///
/// The corpus in `Tests/Fixtures/fuzz/<name>` runs in the ordinary tests; `Tests/Fuzz/run <name>` searches for more.
struct FuzzTarget: Sendable, CustomStringConvertible {
  let name: String
  /// Hands the bytes to the parser; throws a ``Finding`` where something doesn't hold, and traps where the parser does.
  let run: @Sendable (_ input: [UInt8]) throws -> Void

  init(_ name: String, _ run: @escaping @Sendable (_ input: [UInt8]) throws -> Void) {
    self.name = name
    self.run = run
  }

  var description: String { name }
}

/// What doesn't hold for some input.
struct Finding: Error {
  let what: String
}

func require(_ holds: Bool, _ what: String) throws {
  if !holds { throw Finding(what: what) }
}

/// `bytes` without the first, cut into pieces of a size that the first byte says, so that the search can change it.
func pieces(of input: [UInt8], upTo longest: Int = 16) -> [ArraySlice<UInt8>] {
  guard let size = input.first.map({ Int($0) % longest + 1 }) else { return [] }
  return stride(from: 1, to: input.count, by: size).map { start in
    input[start..<min(start + size, input.count)]
  }
}

/// The parts of `input` between bytes of 0, at most `count` of them: some parsers take more than one text.
func parts(of input: [UInt8], upTo count: Int) -> [[UInt8]] {
  input.split(separator: 0, maxSplits: count - 1, omittingEmptySubsequences: false).map(Array.init)
}

func text(_ bytes: some Collection<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }
