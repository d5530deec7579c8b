/// A parser of untrusted bytes, and properties that must hold for any input.
///
/// The ordinary tests run the corpus in `Tests/Fixtures/fuzz/<name>`; `Tests/Fuzz/run <name>` searches for more inputs.
struct FuzzTarget: Sendable, CustomStringConvertible {
  let name: String
  /// Passes the bytes to the parser; throws a ``Finding`` if a property doesn't hold, and traps if the parser does.
  let run: @Sendable (_ input: [UInt8]) throws -> Void

  init(_ name: String, _ run: @escaping @Sendable (_ input: [UInt8]) throws -> Void) {
    self.name = name
    self.run = run
  }

  var description: String { name }
}

/// A property that doesn't hold for some input.
struct Finding: Error {
  let what: String
}

func require(_ holds: Bool, _ what: String) throws {
  if !holds { throw Finding(what: what) }
}

/// Returns `input` without its first byte, cut into pieces. The first byte determines their size, so that the fuzzer can
/// vary it.
func pieces(of input: [UInt8], upTo longest: Int = 16) -> [ArraySlice<UInt8>] {
  guard let size = input.first.map({ Int($0) % longest + 1 }) else { return [] }
  return stride(from: 1, to: input.count, by: size).map { start in
    input[start..<min(start + size, input.count)]
  }
}

/// Splits `input` at NUL bytes into at most `count` parts, for parsers of more than one text.
func parts(of input: [UInt8], upTo count: Int) -> [[UInt8]] {
  input.split(separator: 0, maxSplits: count - 1, omittingEmptySubsequences: false).map(Array.init)
}

func text(_ bytes: some Collection<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }
