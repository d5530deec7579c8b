import Glibc

/// A snapshot of environment variables.
public struct Environment: Sendable {
  /// All variables and their values.
  package let all: [String: String]

  /// Creates a snapshot with these variables, for example in a unit test.
  public init(_ variables: [String: String]) {
    all = variables
  }

  /// The environment variables of this process (environ(7)).
  public static var ofThisProcess: Environment {
    var count = 0
    while unsafe environ[count] != nil { count += 1 }
    var variables = [String: String](minimumCapacity: count)
    var entry = unsafe environ
    while let text = unsafe entry.pointee {
      let line = unsafe String(cString: text)
      // Search the bytes: a search by characters needs Unicode's tables, which would take most of the time of this
      // function at start.
      if let equals = line.utf8.firstIndex(of: UInt8(ascii: "=")) {
        variables[String(line[..<equals])] = String(line[line.utf8.index(after: equals)...])
      }
      unsafe entry += 1
    }
    return Environment(variables)
  }

  /// Returns these variables with `changes` added; a change replaces an existing value.
  package func with(_ changes: [String: String]) -> Environment {
    Environment(all.merging(changes) { _, new in new })
  }

  /// The value of a variable: empty if it is set to an empty string, nil if it isn't set.
  public subscript(_ name: String) -> String? { all[name] }

  /// Returns the value of the first of `names` that is set and not empty; nil if none is.
  package func value(_ names: String...) -> String? {
    for name in names {
      if let value = all[name], !value.isEmpty { return value }
    }
    return nil
  }
}
