import DeviceDefender
import Platform
import WireFormats

extension ConfigurationReader {
  /// Returns the topic template, validated with the thing's name and each format.
  mutating func topicTemplate() -> TopicTemplate {
    guard let text = environment.value(.topic) else { return .deviceDefender }
    guard let template = TopicTemplate(text) else {
      note(.topic, "is '\(text)'; the only allowed placeholders are {thing} and {format}")
      return .deviceDefender
    }
    do throws(TopicError) {
      for format in ReportFormat.allCases {
        _ = try template.topic(thing: givenThingName ?? "t", format: format)
      }
    } catch {
      note(.topic, "is '\(text)': \(error)")
    }
    return template
  }

  /// Returns the thing's name; nil if it isn't set, which is noted as a mistake if `isRequired` is true.
  mutating func thingName(isRequired: Bool) -> String? {
    let variable = thingNameVariable
    guard let name = givenThingName else {
      if isRequired {
        note(variable, "isn't set; set it to the name of the thing that the reports describe")
      }
      return nil
    }
    let isThingName =
      name.utf8.count <= 128 && name.utf8.allSatisfy { isLetterOrDigit($0) || ":_-".utf8.contains($0) }
    if !isThingName {
      note(variable, "is '\(name)'; expected 1 to 128 letters, digits, ':', '_' and '-'")
    }
    return name
  }

  /// The variable from which the thing's name is read.
  var thingNameVariable: Variable { environment.value(.thingName) == nil ? .awsThingName : .thingName }

  /// The thing's name from the environment, not validated.
  var givenThingName: String? { environment.value(.thingName, .awsThingName) }
}
