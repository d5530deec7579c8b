import DefenderAgent
import Platform
import TestSupport
import Testing
import fleet_simulation

@Suite struct `A simulated fleet` {
  /// Returns the events of one simulated device until `end`. At `restart`, its process ends and another begins.
  private func simulated(
    _ name: String, _ number: Int, _ settings: Device.Settings, _ service: Service, restart: BootTime?,
    end: BootTime
  ) -> [String] {
    var service = service
    let book = ServiceBook(service)
    var device = Device(name, number: number, start: moment(.zero), settings)
    var restart = restart
    while device.wake <= end {
      if let moment = restart, device.wake > moment {
        device.restart(at: moment, settings)
        restart = nil
      }
      if let outage = service.outage, device.wake >= outage.lowerBound { device.loseConnection() }
      device.run(settings, &service) { event, now in
        switch event {
        case .started: break
        case .refusedConnection: book.note("c", now)
        case .report(let answer): book.note(answer == .accepted ? "r" : "x", now)
        }
      }
    }
    return book.lines
  }

  @Test(arguments: [Transport.mqtt, .https], [true, false])
  func `the simulated device does what the real agent does, moment by moment`(
    transport: Transport, isSpread: Bool
  ) throws {
    var settings = Device.Settings()
    settings.transport = transport
    settings.isSpread = isSpread
    let (restart, end) = (moment(.seconds(1_234)), moment(.seconds(7_000)))
    var (refusals, throttled) = (0, 0)
    for number in 0..<20 {
      var quotas = Service.Quotas()
      // For these devices, every second report comes too early for the service.
      if number % 2 == 1 { quotas.shortestInterval = .seconds(400) }
      let service = Service(quotas, outage: moment(.seconds(2_500))..<moment(.seconds(3_405)))
      let agent = try RealAgent(
        "thing-\(number)", number: number, transport: transport, service, isSpread: isSpread)
      try agent.run(until: restart)
      try agent.run(until: end)
      #expect(
        agent.lines == simulated("thing-\(number)", number, settings, service, restart: restart, end: end))
      refusals += agent.lines.count { $0.hasPrefix("c") }
      throttled += agent.lines.count { $0.hasPrefix("x") }
    }
    #expect(refusals > 0 && throttled > 0)
  }

  @Test(arguments: ["All start in one second, and again at 1,234 s", "Endpoint down from 1,200 s to 1,800 s"])
  func `stays within the documented limits`(name: String) throws {
    // A twentieth of the fleet and of the quotas. Tests/Fleet/run simulates all scenarios in full, with the release
    // build.
    let study = try #require(studies().first { $0.scenario.name == name })
    let scenario = study.scenario.scaled(to: 50_000)
    var fleet = Fleet(scenario)
    #expect(study.broken(scenario, fleet.run()) == [])
  }

  @Test func `raises an alarm for each device that violates the profile, and for no other`() {
    let scenario = studies()[1].scenario.scaled(to: 10_000)
    var fleet = Fleet(scenario)
    let seen = fleet.run()
    #expect(scenario.brokenPromisesOfDetection(seen) == [])
    #expect(
      seen.alarms.mapValues(\.raised) == [
        "open-ports": 10, "bytes-out": 20, "connections": 5, "ports-of-the-fleet": 2,
      ])
    #expect(seen.evaluatedReports > 70_000)
    // A lost, a mistaken, a late and a lasting alarm are noticed.
    for (change, words) in [
      ({ $0.raised -= 1 }, "finds each device"), ({ $0.mistaken += 1 }, "finds no other"),
      ({ $0.longestDelay += .seconds(900) }, "finds it within"), ({ $0.cleared -= 1 }, "are cleared"),
    ] as [((inout AlarmCounts) -> Void, String)] {
      var wrong = seen
      change(&wrong.alarms["bytes-out", default: AlarmCounts()])
      #expect(scenario.brokenPromisesOfDetection(wrong).contains { $0.contains(words) }, "\(words)")
    }
  }

  @Test func `reports a broken promise`() {
    var scenario = Scenario("no spread").scaled(to: 1_000)
    scenario.settings.isSpread = false
    var fleet = Fleet(scenario)
    let seen = fleet.run()
    #expect(peak(seen.reports) == 1_000)
    // The promises for a fleet with jitter.
    #expect(studies()[1].broken(scenario, seen).count >= 3)
  }

  @Test func `gives the same result each time with the same seed`() {
    let scenario = studies()[1].scenario.scaled(to: 2_000)
    var (first, second) = (Fleet(scenario), Fleet(scenario))
    #expect(first.run().reports == second.run().reports)
  }
}
