import WireFormats

/// The functions of the emulator, found by the names in requests.
struct FunctionDirectory: Sendable {
  /// The name that AWS's Runtime Interface Emulator gives its function. It invokes the first function, unless another has this name.
  static let commonName = "function"

  let first: HostedFunction
  let others: [HostedFunction]

  var all: [HostedFunction] { [first] + others }

  /// The names that callers can use, each once.
  var names: [String] {
    let own = all.map(\.configuration.name)
    return own.contains(Self.commonName) ? own : [Self.commonName] + own
  }

  /// Returns the function that a caller means with its name, its ARN or a part of the ARN, with or without a version or an alias.
  /// Nil if there is none.
  func function(called reference: String) -> HostedFunction? {
    if let found = function(named: reference) { return found }
    var parts = reference.split(separator: ":", omittingEmptySubsequences: false)[...]
    // arn:aws:lambda:REGION:ACCOUNT:function:NAME:VERSION, ACCOUNT:function:NAME or NAME:VERSION
    if let marker = parts.firstIndex(of: "function"), marker == 5 && parts.first == "arn" || marker == 1 {
      parts = parts[(marker + 1)...]
    }
    guard let name = parts.first, parts.count <= 2 else { return nil }
    return function(named: String(name))
  }

  private func function(named name: String) -> HostedFunction? {
    if let found = all.first(where: { $0.configuration.name == name }) { return found }
    return name == Self.commonName ? first : nil
  }
}
