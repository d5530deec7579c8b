import WireFormats

/// Reads the parts of a security profile, and notes all mistakes with their lines.
///
/// Keys may begin with a lower-case letter (the API and the CLI) or an upper-case one (CloudFormation).
struct ProfileReader {
  /// A member of an object, and its place.
  struct Member {
    let node: ProfileNode
    let path: String
    /// Whether the key has CloudFormation's spelling. CloudFormation may write integers as strings.
    let isCloudFormation: Bool
  }

  static let maximumBehaviors = 100

  private let lineStarts: [Int]
  private(set) var issues: [ProfileIssue] = []

  init(_ bytes: [UInt8]) {
    lineStarts = [0] + bytes.indices.filter { bytes[$0] == 0x0A }.map { $0 + 1 }
  }

  mutating func note(_ offset: Int, _ path: String, _ message: String, isWarning: Bool = false) {
    var low = 0
    var high = lineStarts.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if lineStarts[middle] <= offset { low = middle } else { high = middle }
    }
    issues.append(ProfileIssue(line: low + 1, path: path, message: message, isWarning: isWarning))
  }

  mutating func note(_ member: Member, _ message: String, isWarning: Bool = false) {
    note(member.node.offset, member.path, message, isWarning: isWarning)
  }

  private static let profileKeys = [
    "securityProfileName", "securityProfileDescription", "behaviors", "alertTargets",
    "additionalMetricsToRetain", "additionalMetricsToRetainV2", "metricsExportConfig", "tags", "targetArns",
    "securityProfileArn", "version", "creationDate", "lastModifiedDate",
  ]

  /// Reads the whole document. The result counts only if no mistake was noted.
  mutating func profile(_ root: ProfileNode, name: String) -> SecurityProfile? {
    if case .array = root.content {
      let member = Member(node: root, path: "behaviors", isCloudFormation: false)
      return SecurityProfile(name: name, behaviors: behaviors(member))
    }
    let document = Member(node: root, path: "", isCloudFormation: false)
    guard let members = object(document, allowed: Self.profileKeys) else { return nil }
    var name = name
    if let given = members["securityProfileName"], let text = self.name(given) { name = text }
    checkRest(members)
    guard let list = members["behaviors"] else {
      note(
        root.offset, "", "The profile has no 'behaviors': nothing will be evaluated.", isWarning: true)
      return SecurityProfile(name: name, behaviors: [])
    }
    return SecurityProfile(name: name, behaviors: behaviors(list))
  }

  /// Checks the members that this project doesn't evaluate, so that AWS accepts the profile as well.
  private mutating func checkRest(_ members: [String: Member]) {
    if let text = members["securityProfileDescription"].flatMap({ string($0) }), text.utf16.count > 1_000 {
      note(members["securityProfileDescription"], "It has more than 1000 characters.")
    }
    if let targets = members["alertTargets"], let found = object(targets, allowed: ["SNS"], anyKey: true) {
      for target in found.values {
        guard let parts = object(target, allowed: ["alertTargetArn", "roleArn"]) else { continue }
        requireStrings(["alertTargetArn", "roleArn"], of: parts, in: target)
        checkLength(parts["roleArn"], Self.roleLength)
      }
    }
    if let export = members["metricsExportConfig"],
      let parts = object(export, allowed: ["mqttTopic", "roleArn"])
    {
      requireStrings(["mqttTopic", "roleArn"], of: parts, in: export)
      checkLength(parts["mqttTopic"], 1...512)
      checkLength(parts["roleArn"], Self.roleLength)
    }
    for metric in elements(members["additionalMetricsToRetainV2"]) {
      if let parts = object(metric, allowed: ["metric", "metricDimension", "exportMetric"]) {
        requireStrings(["metric"], of: parts, in: metric)
        if let exports = parts["exportMetric"] { _ = boolean(exports) }
      }
    }
    for metric in elements(members["additionalMetricsToRetain"]) { _ = string(metric) }
  }

  /// The length of a role's ARN in bytes.
  private static let roleLength = 20...2_048

  /// Checks the length of a string. Other code notes a value of another kind.
  private mutating func checkLength(_ member: Member?, _ allowed: ClosedRange<Int>) {
    guard let member, case .string(let text) = member.node.content else { return }
    if !allowed.contains(text.utf8.count) {
      note(
        member, "It has \(text.utf8.count) bytes; expected \(allowed.lowerBound) to \(allowed.upperBound)."
      )
    }
  }

  private mutating func requireStrings(_ keys: [String], of members: [String: Member], in parent: Member) {
    for key in keys {
      if let member = members[key] {
        _ = string(member)
      } else {
        note(parent, "'\(key)' is missing.")
      }
    }
  }

  private mutating func note(_ member: Member?, _ message: String) {
    if let member { note(member, message, isWarning: false) }
  }

  private mutating func behaviors(_ list: Member) -> [Behavior] {
    let nodes = elements(list)
    if nodes.count > Self.maximumBehaviors {
      note(list, "There are \(nodes.count) behaviors; a profile has at most \(Self.maximumBehaviors).")
      return []
    }
    var names: Set<String> = []
    var result: [Behavior] = []
    for node in nodes {
      guard let behavior = behavior(node) else { continue }
      if !names.insert(behavior.name).inserted {
        note(node, "Another behavior has the name '\(behavior.name)'. Give each a different name.")
      }
      result.append(behavior)
    }
    return result
  }

  private static let behaviorKeys = [
    "name", "metric", "metricDimension", "criteria", "suppressAlerts", "exportMetric",
  ]

  private mutating func behavior(_ node: Member) -> Behavior? {
    guard let members = object(node, allowed: Self.behaviorKeys) else { return nil }
    let name = required("name", of: members, in: node).flatMap { self.name($0) }
    let metric = required("metric", of: members, in: node).flatMap { self.metric($0) }
    if let dimension = members["metricDimension"] {
      note(
        dimension,
        "Dimensions (TOPIC_FILTER) apply only to metrics that AWS measures in the cloud; no report contains them. "
          + "Remove it.")
    }
    let suppresses = members["suppressAlerts"].flatMap { boolean($0) }
    let exports = members["exportMetric"].flatMap { boolean($0) }
    guard let place = required("criteria", of: members, in: node), let metric else { return nil }
    guard let criteria = criteria(place, of: metric), let name else { return nil }
    return Behavior(
      name: name, metric: metric, criteria: criteria, suppressAlerts: suppresses, exportMetric: exports)
  }

  private mutating func metric(_ member: Member) -> Metric? {
    guard let text = string(member) else { return nil }
    if let metric = DeviceMetric(rawValue: text) { return .device(metric) }
    if DeviceMetric.ofTheCloud.contains(text) {
      note(
        member,
        "'\(text)' is a cloud-side metric: AWS measures it in the cloud, and reports don't have it. Use "
          + "device-side and custom metrics.")
    } else if text.hasPrefix("aws:") {
      let known = DeviceMetric.allCases.map(\.rawValue).joined(separator: ", ")
      note(member, "'\(text)' is an unknown metric. Expected a custom metric or one of \(known).")
    } else if !SecurityProfile.isName(text) {
      note(member, "'\(text)' isn't a metric name. Expected 1 to 128 letters, digits, ':', '_' and '-'.")
    } else {
      return .custom(text)
    }
    return nil
  }
}

// The basic kinds of values.
extension ProfileReader {
  /// Returns the members of an object by their names in the API; notes those that aren't allowed, and those that are null,
  /// which the AWS CLI rejects.
  mutating func object(_ member: Member, allowed: [String], anyKey: Bool = false) -> [String: Member]? {
    guard case .object(let members) = member.node.content else {
      note(member, "This is \(member.node.kind), but must be an object.")
      return nil
    }
    var result: [String: Member] = [:]
    for (key, offset, value) in members {
      let name = anyKey ? key : Self.apiName(key)
      let path = member.path.isEmpty ? key : "\(member.path).\(key)"
      guard allowed.contains(name) else {
        let place = member.path.isEmpty ? "" : member.path
        note(offset, place, "'\(key)' is an unknown key. Expected one of \(allowed.joined(separator: ", ")).")
        continue
      }
      guard result[name] == nil else {
        note(offset, path, "'\(name)' appears in both spellings. Remove one.")
        continue
      }
      if case .null = value.content {
        note(value.offset, path, "This is null, which AWS rejects. Give it a value or remove it.")
        continue
      }
      result[name] = Member(node: value, path: path, isCloudFormation: name != key)
    }
    return result
  }

  /// Returns the API's spelling of a key: its first letter is in lower case.
  private static func apiName(_ key: String) -> String {
    var bytes = Array(key.utf8)
    if let first = bytes.first { bytes[0] = lowerCased(first) }
    return String(decoding: bytes, as: UTF8.self)
  }

  mutating func required(_ key: String, of members: [String: Member], in parent: Member) -> Member? {
    if let member = members[key] { return member }
    note(parent, "'\(key)' is missing.")
    return nil
  }

  /// Returns the elements of an array, each with its place; none if there is no member.
  mutating func elements(_ member: Member?) -> [Member] {
    guard let member else { return [] }
    guard case .array(let nodes) = member.node.content else {
      note(member, "This is \(member.node.kind), but must be an array.")
      return []
    }
    return nodes.enumerated().map { index, node in
      Member(node: node, path: "\(member.path)[\(index)]", isCloudFormation: member.isCloudFormation)
    }
  }

  mutating func string(_ member: Member) -> String? {
    if case .string(let text) = member.node.content { return text }
    note(member, "This is \(member.node.kind), but must be a string.")
    return nil
  }

  mutating func boolean(_ member: Member) -> Bool? {
    if case .boolean(let value) = member.node.content { return value }
    note(member, "This is \(member.node.kind), but must be true or false.")
    return nil
  }

  mutating func name(_ member: Member) -> String? {
    guard let text = string(member) else { return nil }
    if SecurityProfile.isName(text) { return text }
    note(member, "'\(text)' isn't a valid name. Expected 1 to 128 letters, digits, ':', '_' and '-'.")
    return nil
  }

  /// Returns an integer in `range`. In CloudFormation it may be a string.
  mutating func integer(_ member: Member, in range: ClosedRange<UInt64>) -> UInt64? {
    let allowed = "expected an integer from \(range.lowerBound) to \(range.upperBound)"
    switch member.node.content {
    case .number(.integer(let value)):
      if range.contains(value) { return value }
      note(member, "This is \(value); \(allowed).")
    case .number(.real(let value)):
      if value >= 0, let whole = UInt64(exactly: value), range.contains(whole) {
        note(member, "This is \(value); \(allowed), without a fraction or an exponent.")
      } else {
        note(member, "This is \(Int64(exactly: value).map { "\($0)" } ?? "\(value)"); \(allowed).")
      }
    case .string(let text) where member.isCloudFormation:
      if let value = UInt64(text), range.contains(value) { return value }
      note(member, "This is '\(text)'; \(allowed).")
    default: note(member, "This is \(member.node.kind); \(allowed).")
    }
    return nil
  }

  mutating func double(_ member: Member) -> Double? {
    switch member.node.content {
    case .number(.integer(let value)): return Double(value)
    case .number(.real(let value)) where value.isFinite: return value
    case .number: note(member, "This number is beyond the range of a double.")
    default: note(member, "This is \(member.node.kind), but must be a number.")
    }
    return nil
  }
}
