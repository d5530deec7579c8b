import DeviceDefender
import Platform

extension ConfigurationReader {
  /// Returns the topics of commands and responses; nil if commands aren't configured, or if a mistake was noted.
  ///
  /// `configuration` has the other topics already, which must be different.
  mutating func commandTopics(_ configuration: Configuration) -> CommandTopics? {
    let variable = Variable.commandTopic
    guard let text = environment.value(variable) else { return nil }
    guard let template = TopicTemplate(text), !template.namesFormat else {
      note(variable, "is '\(text)'; the only placeholder is {thing}")
      return nil
    }
    guard !template.namesThing || configuration.thingName != nil else {
      note(variable, "is '\(text)', but \(thingNameVariable) isn't set")
      return nil
    }
    do throws(TopicError) {
      let topic = try template.topic(thing: configuration.thingName ?? "", format: .json)
      guard !topic.name.hasPrefix("$") else {
        note(variable, "is '\(text)', a reserved topic; commands need a topic of your own")
        return nil
      }
      let topics = try CommandTopics(topic)
      if let other = otherUse(of: topics, configuration) {
        note(
          variable, "is '\(text)'; commands and their responses (…/response) need other topics than \(other)")
        return nil
      }
      return topics
    } catch {
      note(variable, "is '\(text)', to which '/response' is added: \(error)")
      return nil
    }
  }

  /// Returns the variable whose topic `topics` contain; nil if there is none.
  private func otherUse(of topics: CommandTopics, _ configuration: Configuration) -> Variable? {
    let own = [topics.commands, topics.responses]
    let reports = ReportFormat.allCases.compactMap { try? configuration.topic(for: $0) }
    if own.contains(where: reports.contains) { return .topic }
    return configuration.detection.map { own.contains($0.topic) } == true ? .violationsTopic : nil
  }

  /// Notes a mistake if commands are configured and no connection stays open to receive them.
  mutating func checkCommands(_ configuration: Configuration) {
    guard let text = environment.value(.commandTopic) else { return }
    let needs: ConfigurationError.Problem = "is '\(text)', but commands need a connection that stays open"
    if environment.value(.runtimeAPI) != nil {
      note(.commandTopic, needs + ", and Lambda freezes a function between invocations. Remove it")
    } else if configuration.transport == .https {
      note(.commandTopic, needs + "; set \(Variable.transport) to mqtt or greengrass instead of https")
    } else if configuration.mqtt?.settings.connection == .perReport {
      note(.commandTopic, needs + "; set \(Variable.connection) to persistent instead of per-report")
    }
  }
}
