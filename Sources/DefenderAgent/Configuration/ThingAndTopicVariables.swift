import DeviceDefender
import Platform
import WireFormats

extension ConfigurationReader {
  /// Returns the topic's template, checked with the names that it will be filled with.
  mutating func topicTemplate() -> TopicTemplate {
    guard let text = environment.value("DEFENDER_TOPIC") else { return .deviceDefender }
    guard let template = TopicTemplate(text) else {
      note("DEFENDER_TOPIC", "is '\(text)'; braces may only say {thing} and {format}")
      return .deviceDefender
    }
    do throws(TopicError) {
      for format in ReportFormat.allCases {
        _ = try template.topic(thing: givenThingName ?? "t", format: format)
      }
    } catch {
      note("DEFENDER_TOPIC", "is '\(text)': \(error)")
    }
    return template
  }

  /// Returns the thing's name; nil if there is none. Notes that, if the topic needs one.
  mutating func thingName(isRequired: Bool) -> String? {
    let variable =
      environment.value("DEFENDER_THING_NAME") == nil ? "AWS_IOT_THING_NAME" : "DEFENDER_THING_NAME"
    guard let name = givenThingName else {
      if isRequired {
        note(variable, "isn't set; set it to the name of the thing that the reports are about")
      }
      return nil
    }
    let isThingName =
      name.utf8.count <= 128 && name.utf8.allSatisfy { isLetterOrDigit($0) || ":_-".utf8.contains($0) }
    if !isThingName {
      note(variable, "is '\(name)'; allowed are 1 to 128 letters, digits, ':', '_' and '-'")
    }
    return name
  }

  /// The thing's name as the environment has it, unchecked.
  var givenThingName: String? { environment.value("DEFENDER_THING_NAME", "AWS_IOT_THING_NAME") }
}
