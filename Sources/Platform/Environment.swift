import Glibc

/// Environment variables, read once.
public struct Environment: Sendable {
  /// All variables and their values.
  package let all: [String: String]

  public init(_ variables: [String: String]) {
    all = variables
  }

  /// The variables that this process was started with (environ(7)).
  public static var ofThisProcess: Environment {
    var count = 0
    while unsafe environ[count] != nil { count += 1 }
    var variables = [String: String](minimumCapacity: count)
    var entry = unsafe environ
    while let text = unsafe entry.pointee {
      let line = unsafe String(cString: text)
      // By bytes: going by characters needs Unicode's tables, and at start that is most of the time this takes.
      if let equals = line.utf8.firstIndex(of: UInt8(ascii: "=")) {
        variables[String(line[..<equals])] = String(line[line.utf8.index(after: equals)...])
      }
      unsafe entry += 1
    }
    return Environment(variables)
  }

  /// The same variables with `changes` in place of what they were.
  package func with(_ changes: [String: String]) -> Environment {
    Environment(all.merging(changes) { _, new in new })
  }

  /// The value of a variable, empty where it is set to nothing, nil where it isn't set.
  public subscript(_ name: String) -> String? { all[name] }

  /// The value of the first of `names` that is set to something.
  ///
  /// An empty variable counts as unset, as in the AWS SDKs and the AWS CLI.
  package func value(_ names: String...) -> String? {
    for name in names {
      if let value = all[name], !value.isEmpty { return value }
    }
    return nil
  }
}
