import AWSClient
import DefenderAgent
import DeviceDefender
import GreengrassIPC
import Platform
import WireFormats

extension Doctor {
  /// In a Greengrass component, reads the component configuration, which overrides the environment.
  mutating func readComponentConfiguration() {
    guard let nucleus else { return }
    var read = ComponentConfiguration(.object([]))
    do throws(IPCError) {
      read = ComponentConfiguration(try nucleus.call(.getConfiguration, until: deadline))
      note("nucleus", .ok, "it returned the component configuration")
    } catch .refused(_, _, "ResourceNotFoundError", _) {
      note("nucleus", .ok, "it responds; this component has no configuration there")
    } catch {
      note("nucleus", .failed, "the Greengrass nucleus: \(error)", advice: error.advice)
    }
    _ = notes.take()
    for mistake in read.mistakes {
      note("configuration", .failed, mistake, advice: "Correct it in the deployment of the component.")
    }
    mistakenVariables = Set(read.mistakenKeys.compactMap { ComponentConfiguration.variableOfKey[$0] })
    environment = read.variables(over: environment)
  }

  mutating func checkConfiguration() {
    var mistakes: [ConfigurationError.Mistake] = []
    configuration = Configuration(environment, noting: &mistakes)
    if configuration.transport == .greengrass, nucleus == nil {
      mistakes.append(.outsideOfNucleus(configuration.transport))
    }
    let unknown = environment.unknownVariables
    for variable in unknown { note("configuration", .failed, "\(variable)") }
    mistakenVariables.formUnion(mistakes.map(\.variable))
    // The finding about the misspelt variable already explains why the intended one isn't set.
    mistakes.removeAll { mistake in
      environment.value(mistake.variable) == nil && unknown.contains { $0.nearest == mistake.variable }
    }
    for text in ConfigurationError(mistakes: mistakes).sentences(namingOptions: options.optionsByVariable) {
      note("configuration", .failed, text)
    }
    guard !findings.contains(where: { $0.check == "configuration" && $0.status == .failed }) else { return }
    let topic = (try? configuration.topic(for: configuration.format))?.name ?? ""
    note(
      "configuration", .ok,
      "\(configuration.format.rawValue) reports, every \(span(configuration.effectiveInterval())), over "
        + "\(configuration.transport.name) to '\(topic)'")
  }

  mutating func checkThingName() {
    let variable = configuration.thingNameVariable
    if isMistaken(variable) {
      note("thing name", .skipped, "see configuration")
    } else if let name = configuration.thingName {
      note("thing name", .ok, "'\(name)', from \(origin(of: variable))")
    } else {
      note("thing name", .ok, "none is set, and the topic needs none")
    }
  }

  /// Checks the transport: AWS documents that Device Defender's own topics accept MQTT only.
  mutating func checkTransport() {
    guard !configuration.topicTemplate.namesThing || configuration.thingName != nil,
      let topic = try? configuration.topic(for: configuration.format)
    else {
      note("transport", .skipped, "see configuration")
      return
    }
    let transport = configuration.transport.name
    guard topic.isDeviceDefenders else {
      note(
        "transport", .ok, "\(transport), to your own topic (an IoT rule must process it)")
      return
    }
    guard !configuration.transport.supportsReservedTopics else {
      note("transport", .ok, "\(transport), to Device Defender's reserved topic")
      return
    }
    note(
      "transport", .warning,
      "\(transport), but AWS documents that Device Defender's reserved topic '\(topic)' accepts only MQTT",
      advice: "Set DEFENDER_TRANSPORT to mqtt, or DEFENDER_TOPIC to your own topic, such as "
        + "'defender/{thing}/{format}'.")
  }

  mutating func checkInterval() {
    guard !isMistaken(.interval, .minimumInterval) else {
      note("interval", .skipped, "see configuration")
      return
    }
    let wanted = configuration.interval
    let interval = configuration.effectiveInterval()
    let isOwn = (try? configuration.topic(for: configuration.format))?.isDeviceDefenders == true
    if wanted < interval {
      note(
        "interval", .warning,
        "\(origin(of: .interval)) is \(span(wanted)), raised to \(span(interval))",
        advice:
          "Device Defender throttles reports that are more frequent than one in 300 s. For other topics, lower "
          + "DEFENDER_MINIMUM_INTERVAL_SECONDS.")
    } else if interval < .seconds(300), isOwn {
      note(
        "interval", .warning,
        "\(span(interval)), but Device Defender throttles below 300 s",
        advice: "Raise SAMPLE_INTERVAL_SECONDS to 300, or unset DEFENDER_MINIMUM_INTERVAL_SECONDS.")
    } else {
      note("interval", .ok, span(interval))
    }
  }

  /// Takes a snapshot, as for a report.
  mutating func checkCollection() {
    guard !isMistaken(.procfs) else {
      note("collection", .skipped, "see configuration")
      return
    }
    var collector = configuration.collector(log: notes.log, or: time.shutdownSignal)
    let snapshot = collector.snapshot(until: deadline)
    let warnings = notes.take()
    var errors: [String] = []
    func total<Entry>(_ block: Result<Listing<Entry>, CollectionError>) -> String {
      switch block {
      case .success(let listing): return String(listing.total)
      case .failure(let error):
        if !errors.contains("\(error)") { errors.append("\(error)") }
        return "unknown"
      }
    }
    func counted<Entry>(_ block: Result<Listing<Entry>, CollectionError>, _ name: String) -> String {
      let total = total(block)
      return "\(total) \(name)\(total == "1" ? "" : "s")"
    }
    let tcp = counted(snapshot.listeningTCPPorts, "listening TCP port")
    let udp = counted(snapshot.listeningUDPPorts, "listening UDP port")
    let established = counted(snapshot.establishedConnections, "connection")
    if case .failure(let error) = snapshot.networkCounters { errors.append("\(error)") }
    guard errors.isEmpty else {
      note(
        "collection", .failed, errors.joined(separator: "; "),
        advice:
          "The reports will omit these blocks. PROCFS_PATH must be a proc file system that this user can read."
      )
      return
    }
    let found = "\(tcp), \(udp), \(established), from \(collector.origin)"
    if let warnings {
      note("collection", .warning, "\(found); \(warnings)")
    } else {
      note("collection", .ok, found)
    }
  }
}
