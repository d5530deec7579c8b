import ArgumentParser
import Platform
import Testing
import WireFormats

@testable import defender

struct `defender violations` {
  @Test(arguments: [
    ("24h", 1_699_913_600), ("30m", 1_699_998_200), ("7d", 1_699_395_200), ("0s", 1_700_000_000),
    ("2023-11-14T22:13:21Z", 1_700_000_001), ("1w", nil), ("-1h", nil), ("", nil), ("yesterday", nil),
  ])
  func `reads times`(text: String, seconds: Int64?) {
    let now = WallTime(secondsSinceEpoch: 1_700_000_000)
    #expect(ViolationsCommand.time(text, now: now)?.secondsSinceEpoch == seconds)
  }

  @Test(arguments: [
    ["violations"], ["violations", "--active", "--since", "1h"], ["violations", "--thing", "a/b"],
    ["violations", "--thing", "a", "--since", "soon"], ["violations", "--active", "--table", "a b"],
    ["violations", "--active", "--timeout", "0"], ["violations", "--active", "--state", ""],
    ["violations", "--active", "--state", "s.json", "--table", "fleet"],
    ["detect", "deploy", "--things", "a/b", "p.json"], ["detect", "deploy"],
  ])
  func `and detect deploy reject wrong command lines`(arguments: [String]) {
    #expect(throws: (any Error).self) { try Defender.parseAsRoot(arguments) }
  }

  @Test func `prints a table of events and of active alarms`() throws {
    let event = try JSONValue(
      parsing: Array(
        #"{"thingName":"pump-7","securityProfileName":"ports","behavior":{"name":"open","metric":"aws:listening-tcp-ports"},"#
          .utf8)
        + Array(
          #""metricValue":{"ports":[8080,9090]},"violationEventType":"alarm-cleared","violationEventTime":1700000000}"#
            .utf8))
    let alarm = try JSONValue(
      parsing: Array(
        #"{"thingName":"p","securityProfileName":"s","behavior":{"name":"b","metric":"m"},"violationStartTime":1700000000}"#
          .utf8))
    #expect(
      ViolationsCommand.table([event, alarm]) == [
        "TIME                      STATE          THING   BEHAVIOR    METRIC                   VALUE",
        "2023-11-14T22:13:20.000Z  alarm-cleared  pump-7  ports/open  aws:listening-tcp-ports  8080, 9090",
        "2023-11-14T22:13:20.000Z  in-alarm       p       s/b         m",
      ])
    #expect(ViolationsCommand.table([]) == ["No violations."])
  }
}
