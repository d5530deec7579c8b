import Detection
import WireFormats

/// A shell script of AWS CLI commands that create or update a security profile and its custom metrics, and attach it.
///
/// No text in it needs quoting: names are validated, and the rest is fixed.
struct SecurityProfileScript {
  /// The targets of a profile besides thing groups (AttachSecurityProfile).
  static let targets = ["all/registered-things", "all/unregistered-things", "all/things"]

  private let name: String
  private let customMetrics: [String]
  /// Whether ML Detect monitors the numbers.
  private let monitors: Bool
  private let target: String

  init(name: String, customMetrics: [String], monitors: Bool, target: String) {
    self.name = name
    self.customMetrics = customMetrics
    self.monitors = monitors
    self.target = target
  }

  /// The result of `defender detect validate` for the profile.
  var validation: ProfileValidation { ProfileValidation(of: Array(profileText.utf8), name: name) }

  /// The profile as JSON.
  var profileText: String { profile.wrapped() }

  /// The whole script.
  var text: String {
    """
    #!/bin/sh
    # Creates or updates a security profile, and attaches it. It can be run again.
    set -eu
    export AWS_PAGER=
    name=\(name)
    \(customMetrics.isEmpty ? "" : "\n" + metricCommands)
    # The profile: every metric that it names is stored.
    profile='\(profileText)'
    if aws iot describe-security-profile --security-profile-name="$name" \\
      >/dev/null 2>&1; then
      aws iot update-security-profile \(monitors ? "" : "--delete-behaviors ")\\
        --cli-input-json "$profile"
    else
      aws iot create-security-profile --cli-input-json "$profile"
    fi

    # The things that it applies to, in the profile's account and region.
    arn=$(aws iot describe-security-profile --security-profile-name="$name" \\
      --query securityProfileArn --output text)
    account=${arn%:securityprofile/*}
    aws iot attach-security-profile --security-profile-name="$name" \\
      --security-profile-target-arn "$account:\(target)"
    """
  }

  private var metricCommands: String {
    let commands = customMetrics.map { metric in
      let input = Self.object([("metricName", .string(metric)), ("metricType", .string("number"))])
      return """
        aws iot describe-custom-metric --metric-name=\(metric) >/dev/null 2>&1 ||
          aws iot create-custom-metric \\
            --cli-input-json '\(input.wrapped())'

        """
    }
    return "# Custom metrics. AWS can't change the type of an existing one.\n" + commands.joined()
  }

  // MARK: The profile

  /// The device metrics whose values are lists. ML Detect can't monitor them.
  private static let lists: [DeviceMetric] = [.listeningTCPPorts, .listeningUDPPorts, .destinations]

  private var profile: JSONValue {
    let lists = Self.lists.map(Metric.device)
    let numbers =
      DeviceMetric.allCases.filter { !Self.lists.contains($0) }.map(Metric.device)
      + customMetrics.map(Metric.custom)
    let stored = monitors ? lists : numbers + lists
    var members: [(String, JSONValue)] = [
      ("securityProfileName", .string(name)),
      ("securityProfileDescription", .string("Metrics of the Device Defender agent in Swift")),
    ]
    if monitors { members.append(("behaviors", .array(numbers.map(Self.behavior)))) }
    members.append(
      (
        "additionalMetricsToRetainV2",
        .array(stored.map { Self.object([("metric", .string($0.name))]) })
      ))
    return Self.object(members)
  }

  private static func behavior(_ metric: Metric) -> JSONValue {
    let criteria = object([
      ("consecutiveDatapointsToAlarm", .number("1")), ("consecutiveDatapointsToClear", .number("1")),
      ("mlDetectionConfig", object([("confidenceLevel", .string("HIGH"))])),
    ])
    let name = metric.name.hasPrefix("aws:") ? metric.name.dropFirst(4) : metric.name[...]
    return object([
      ("name", .string("\(name.prefix(125))_ml")), ("metric", .string(metric.name)), ("criteria", criteria),
    ])
  }

  private static func object(_ members: [(String, JSONValue)]) -> JSONValue {
    .object(members.map { JSONValue.Member(name: $0.0, value: $0.1) })
  }
}

extension JSONValue {
  /// Returns the value as readable JSON that keeps the order of members. A list or an object is on one line if that line, with a comma
  /// at its end, has at most 80 columns.
  func wrapped(indentation: String = "", after used: Int = 0) -> String {
    let line = onOneLine
    if indentation.count + used + line.count < 80 { return line }
    let deeper = indentation + "  "
    switch self {
    case .array(let elements):
      let lines = elements.map { deeper + $0.wrapped(indentation: deeper) }
      return "[\n\(lines.joined(separator: ",\n"))\n\(indentation)]"
    case .object(let members):
      let lines = members.map { member in
        let key = "\(JSONValue.string(member.name).onOneLine): "
        return deeper + key + member.value.wrapped(indentation: deeper, after: key.count)
      }
      return "{\n\(lines.joined(separator: ",\n"))\n\(indentation)}"
    default: return line
    }
  }

  private var onOneLine: String {
    switch self {
    case .array(let elements): return "[\(elements.map(\.onOneLine).joined(separator: ", "))]"
    case .object(let members):
      let parts = members.map { "\(JSONValue.string($0.name).onOneLine): \($0.value.onOneLine)" }
      return "{\(parts.joined(separator: ", "))}"
    default:
      var document = JSONWriter()
      write(to: &document)
      return String(decoding: document.bytes, as: UTF8.self)
    }
  }
}
