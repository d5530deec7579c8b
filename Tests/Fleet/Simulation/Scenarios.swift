import DefenderAgent
import Platform

/// A scenario of `docs/fleet.md`, with the promises that it must keep.
package struct Study: Sendable {
  package let scenario: Scenario
  package var isPlotted = false
  /// Returns the promises of the product that the observed events break.
  package let broken: @Sendable (Scenario, Arrivals) -> [String]
}

package func studies() -> [Study] {
  [
    startedAtOnce(), restarted(), restartedWithoutState(), outage(), reconnecting(),
    overloaded(movesOn: true),
    overloaded(movesOn: false), overloadedHTTPS(),
  ]
}

/// The fleet without jitter.
private func startedAtOnce() -> Study {
  var scenario = Scenario("All start in one second, DEFENDER_JITTER=0")
  scenario.settings.isSpread = false
  return Study(scenario: scenario, isPlotted: true) { _, seen in
    // Throttled devices move to other slots.
    expect(
      "from the third interval on at most 1 in 10 reports is throttled",
      sum(seen.throttled.dropFirst(900)) <= sum(seen.reports.dropFirst(900)) / 10)
  }
}

/// The steady state, and then a restart of all devices in one second, at a time unrelated to the interval.
private func restarted() -> Study {
  var scenario = Scenario("All start in one second, and again at 1,234 s")
  scenario.restart = .seconds(1_234)
  scenario.detects = true
  return Study(scenario: scenario, isPlotted: true) { scenario, seen in
    scenario.brokenPromisesOfDetection(seen)
      + expect(
        "no second has more than 1.1 times the mean of reports", peak(seen.reports) <= spread(1.1, scenario))
      + expect("no device is silent", seen.silent == 0)
      + expect("at most 1 in 1,000 reports is throttled", throttledShare(seen) <= 0.001)
      + expect("999 of 1,000 devices report within two intervals", isBack(seen, within: .seconds(600)))
  }
}

private func restartedWithoutState() -> Study {
  var scenario = Scenario("The same without DEFENDER_STATE_DIRECTORY")
  scenario.restart = .seconds(1_234)
  scenario.settings.hasState = false
  return Study(scenario: scenario) { scenario, seen in
    expect(
      "no second has more than 1.25 times the mean of reports", peak(seen.reports) <= spread(1.25, scenario))
      + expect("999 of 1,000 devices report within four intervals", isBack(seen, within: .seconds(1_200)))
  }
}

private func outage() -> Study {
  var scenario = Scenario("Endpoint down from 1,200 s to 1,800 s")
  scenario.outage = .seconds(1_200)..<(.seconds(1_800))
  return Study(scenario: scenario, isPlotted: true) { scenario, seen in
    expect(
      "the endpoint that is down gets no more than 6.5 times the mean",
      peak(seen.refusedConnections) <= spread(6.5, scenario))
      + expect(
        "no second after it has more than 1.1 times the mean of reports",
        peak(seen.reports.dropFirst(1_800)) <= spread(1.1, scenario))
      + expect(
        "999 of 1,000 devices report within an interval and a minute", isBack(seen, within: .seconds(360)))
  }
}

/// The whole fleet reconnects, and the account accepts 500 connections per second: that takes at least 2,000 s.
private func reconnecting() -> Study {
  var scenario = Scenario("All reconnect, quota 500 CONNECT/s")
  scenario.quotas.connects = 500
  scenario.duration = .seconds(3_600)
  scenario.restart = .zero
  return Study(scenario: scenario, isPlotted: true) { scenario, seen in
    expect(
      "no second has more than 6.5 times the mean of connections refused",
      peak(seen.refusedConnections) <= spread(6.5, scenario))
      + expect(
        "999 of 1,000 devices report within 1.2 times what the quota allows",
        isBack(seen, within: .seconds(2_400)))
  }
}

/// More devices than the quota allows.
private func overloaded(movesOn: Bool) -> Study {
  var scenario = Scenario("1,200,000 devices" + (movesOn ? "" : ", if throttled ones kept their slot"))
  scenario.devices = 1_200_000
  scenario.duration = .seconds(3_600)
  scenario.settings.movesOn = movesOn
  return Study(scenario: scenario) { scenario, seen in
    movesOn
      ? expect("at most 1 in 50 devices is silent for half an hour", seen.silent <= scenario.devices / 50)
      : []
  }
}

private func overloadedHTTPS() -> Study {
  var study = overloaded(movesOn: true)
  var scenario = study.scenario
  scenario.name = "The same over https, with its retries"
  scenario.settings.transport = .https
  study = Study(scenario: scenario, broken: study.broken)
  return study
}

private func isBack(_ seen: Arrivals, within limit: Duration) -> Bool {
  seen.recovery.map { $0 <= limit } ?? false
}

private func sum(_ counts: some Sequence<Int>) -> Int { counts.reduce(0, +) }

/// Returns `factor` times the mean. With fewer than a million devices, it adds five standard deviations of the mean, as
/// room for chance.
private func spread(_ factor: Double, _ scenario: Scenario) -> Double {
  let mean = mean(scenario)
  return scenario.devices >= 1_000_000 ? factor * mean : factor * mean + 5 * mean.squareRoot()
}

private func expect(_ promise: String, _ holds: Bool) -> [String] { holds ? [] : [promise] }

/// Returns the number of reports per second if they were spread evenly.
package func mean(_ scenario: Scenario) -> Double {
  Double(scenario.devices) / scenario.settings.interval.inSeconds
}

package func peak(_ counts: some Sequence<Int>) -> Double { Double(counts.max() ?? 0) }

package func throttledShare(_ seen: Arrivals) -> Double {
  Double(seen.throttled.reduce(0, +)) / Double(max(1, seen.reports.reduce(0, +)))
}
