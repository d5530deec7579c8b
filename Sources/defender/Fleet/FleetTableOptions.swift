import AWSClient
import ArgumentParser
import DefenderAgent
import FleetDetection
import Platform

/// The table of a fleet, and how long to wait for it.
struct FleetTableOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("The DynamoDB table of the fleet (default: DETECT_TABLE).", valueName: "name"))
  var table: String?

  @Option(help: ArgumentHelp("The time limit, 1 to 3600.", valueName: "seconds"))
  var timeout = 60

  mutating func validate() throws {
    if let table, !FleetConfiguration.isTableName(table) {
      throw ValidationError("--table is '\(table)'; expected 3 to 255 letters, digits, '_', '-' and '.'.")
    }
    guard (1...3_600).contains(timeout) else {
      throw ValidationError("--timeout is \(timeout); expected 1 to 3600 seconds.")
    }
  }

  var deadline: BootTime { .now.advanced(by: .seconds(timeout)) }

  /// Returns the store. Connects to nothing yet.
  func store() throws(CommandFailure) -> any FleetStore {
    let environment = Environment.ofThisProcess
    guard let table = table ?? environment.value("DETECT_TABLE") else {
      throw CommandFailure(
        "The table is unknown. Name it with --table or in DETECT_TABLE.", status: .notRun)
    }
    do {
      let configuration = try FleetConfiguration(Environment(["DETECT_TABLE": table]))
      return try FleetServices(
        environment, configuration, time: SystemWaiter(shutdown: nil), log: Log(environment)
      ).store
    } catch {
      throw CommandFailure("\(error)", status: .notRun)
    }
  }
}
