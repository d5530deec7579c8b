package import Detection
import WireFormats

/// A security profile of a fleet: its behaviors, the things it applies to, and the destinations of its alarms.
///
/// A class, because each record of a batch refers to its profiles.
package final class FleetProfile: Sendable {
  package let profile: SecurityProfile
  /// The patterns of the things; a thing needs to match one.
  package let things: [ThingPattern]
  /// The ARNs of the SNS topics in `alertTargets`.
  package let targets: [String]
  /// An evaluator without state, from which those of the things continue.
  let evaluator: Evaluator
  let decoder: ReportDecoder

  /// Whether a behavior compares a thing with a percentile of all things.
  let comparesThings: Bool

  package var name: String { profile.name }

  /// Returns whether the profile applies to a thing.
  package func applies(to thing: String) -> Bool { things.contains { $0.matches(thing) } }

  /// Reads a document: `{"things":["pump-*"],"profile":{…}}`, or a profile alone, which applies to all things.
  ///
  /// `name` is the profile's name if it has none. Throws if there is any mistake.
  package init(parsing bytes: [UInt8], name: String) throws(FleetProfileError) {
    let document: JSONValue
    do throws(JSONError) {
      document = try JSONValue(parsing: bytes)
    } catch {
      throw FleetProfileError(reasons: ["It is \(error)."])
    }
    var (source, patterns, inner) = (bytes, [ThingPattern.all], document)
    if let wrapped = document["profile"] {
      patterns = try Self.patterns(document)
      var text = JSONWriter()
      wrapped.write(to: &text)
      (source, inner) = (text.bytes, wrapped)
    }
    let validation = ProfileValidation(of: source, name: name)
    guard let profile = validation.profile else {
      throw FleetProfileError(reasons: validation.mistakes.map { "\($0)" })
    }
    self.profile = profile
    things = patterns
    targets = Self.targets(inner)
    // One evaluator for each thing. The percentiles of all things come from the store.
    var evaluator = Evaluator([profile], population: .sketches)
    evaluator.tracksOngoing = true
    self.evaluator = evaluator
    decoder = ReportDecoder(evaluator.table)
    comparesThings = profile.behaviors.contains {
      if case .statistical = $0.criteria.threshold { true } else { false }
    }
    warnings =
      validation.warnings.map { "\($0)" }
      + targets.filter { AWSEventDelivery.region(ofTopic: $0) == nil }.map { target in
        "The alert target '\(target)' isn't the ARN of an SNS topic, so it gets no alerts."
      }
  }

  /// What is valid but makes little sense.
  package let warnings: [String]

  private static func patterns(_ document: JSONValue) throws(FleetProfileError) -> [ThingPattern] {
    for member in document.members ?? [] where member.name != "profile" && member.name != "things" {
      throw FleetProfileError(
        reasons: ["'\(member.name)' is an unknown key. Expected 'things' and 'profile'."])
    }
    guard let things = document["things"] else { return [.all] }
    guard let list = things.array, !list.isEmpty else {
      throw FleetProfileError(reasons: ["'things' must be an array of one or more patterns."])
    }
    var patterns: [ThingPattern] = []
    for element in list {
      guard let text = element.string, let pattern = ThingPattern(text) else {
        throw FleetProfileError(
          reasons: [
            "'things' has the element '\(element.string ?? element.kind)'. A pattern consists of letters, digits, "
              + "':', '_', '-' and the wildcards '*' and '?'."
          ])
      }
      patterns.append(pattern)
    }
    return patterns
  }

  /// Returns the topics of `alertTargets`, whose form the validation has checked.
  private static func targets(_ profile: JSONValue) -> [String] {
    let targets = (profile["alertTargets"] ?? profile["AlertTargets"])?.members ?? []
    return targets.compactMap { target in
      (target.value["alertTargetArn"] ?? target.value["AlertTargetArn"])?.string
    }
  }
}

/// The mistakes in a profile's document.
package struct FleetProfileError: Error, Equatable, Sendable, CustomStringConvertible {
  package let reasons: [String]

  package var description: String { reasons.joined(separator: " ") }
}
