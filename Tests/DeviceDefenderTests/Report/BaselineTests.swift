import Testing

@testable import DeviceDefender

@Suite struct `A baseline` {
  private func counters(_ interfaces: (String, UInt32?, UInt64)..., isPartial: Bool = false)
    -> NetworkCounters
  {
    NetworkCounters(
      interfaces: interfaces.map { name, index, bytes in
        InterfaceCounters(
          name: name, index: index,
          traffic: Traffic(bytesIn: bytes, bytesOut: bytes, packetsIn: bytes, packetsOut: bytes))
      }, isPartial: isPartial)
  }

  @Test func `counts a reset or wrapped counter from zero`() {
    #expect(counters(("eth0", nil, 7)).traffic(since: counters(("eth0", nil, .max))).bytesIn == 7)
  }

  @Test func `ignores a removed interface, and counts a new one in full`() {
    let delta = counters(("eth1", nil, 5)).traffic(since: counters(("eth0", nil, 1_000)))
    #expect(delta == Traffic(bytesIn: 5, bytesOut: 5, packetsIn: 5, packetsOut: 5))
  }

  @Test func `recognizes a renamed interface by its index`() {
    let delta = counters(("wan0", 2, 110)).traffic(since: counters(("eth0", 2, 100)))
    #expect(delta.bytesIn == 10)
  }

  @Test func `recognizes a renamed interface without an index by its counters`() {
    let earlier = counters(("lo", nil, 5), ("eth0", nil, 9_000_000), ("wlan0", nil, 3))
    let now = counters(("lo", nil, 6), ("enp0s3", nil, 9_000_500), ("wlan0", nil, 3))
    #expect(now.traffic(since: earlier).bytesIn == 501)
    // An index on only one side doesn't contradict a rename.
    let numbered = counters(("lo", nil, 6), ("enp0s3", 2, 9_000_500), ("wlan0", nil, 3))
    #expect(numbered.traffic(since: earlier).bytesIn == 501)
  }

  @Test func `treats an interface as new if a single counter is lower`() {
    let earlier = counters(("eth0", nil, 100))
    let fields: [WritableKeyPath<Traffic, UInt64>] = [\.bytesIn, \.bytesOut, \.packetsIn, \.packetsOut]
    for field in fields {
      var now = counters(("eth1", nil, 1_000))
      now.interfaces[0].traffic[keyPath: field] = 99
      #expect(now.traffic(since: earlier)[keyPath: field] == 99)
      #expect(now.traffic(since: earlier) == now.interfaces[0].traffic)
      now.interfaces[0].traffic[keyPath: field] = 100
      #expect(now.traffic(since: earlier)[keyPath: field] == 0)
    }
  }

  @Test func `counts new interfaces in full unless exactly one was renamed`() {
    let earlier = counters(("eth0", nil, 10), ("eth1", nil, 10))
    // Two new interfaces for two removed ones, two for one, one for two, and one for none.
    #expect(counters(("a", nil, 20), ("b", nil, 20)).traffic(since: earlier).bytesIn == 40)
    #expect(
      counters(("eth1", nil, 10), ("a", nil, 20), ("b", nil, 20)).traffic(since: earlier).bytesIn == 40)
    #expect(counters(("a", nil, 20)).traffic(since: earlier).bytesIn == 20)
    #expect(
      counters(("eth0", nil, 10), ("eth1", nil, 10), ("a", nil, 20)).traffic(since: earlier).bytesIn == 20)
    // Two indexes mean two interfaces, and an interface that seems to be gone may be in a malformed line.
    #expect(counters(("a", 3, 20)).traffic(since: counters(("eth0", 2, 10))).bytesIn == 20)
    #expect(
      counters(("a", nil, 20), isPartial: true).traffic(since: counters(("eth0", nil, 10))).bytesIn == 20)
  }

  @Test func `counts an interface in full if it was recreated under its old name`() {
    let delta = counters(("ppp0", 9, 110)).traffic(since: counters(("ppp0", 8, 100)))
    #expect(delta.bytesIn == 110)
  }

  @Test func `recognizes an interface by its name if a source has no indexes`() {
    #expect(counters(("eth0", nil, 110)).traffic(since: counters(("eth0", 2, 100))).bytesIn == 10)
    #expect(counters(("eth0", 2, 110)).traffic(since: counters(("eth0", nil, 100))).bytesIn == 10)
  }

  @Test func `ignores an interface that a partial baseline lacks`() {
    let earlier = counters(("lo", nil, 5), isPartial: true)
    #expect(counters(("lo", nil, 7), ("eth0", nil, 837_285_839)).traffic(since: earlier).bytesIn == 2)
    // If the baseline is complete, the interface is new, and so is its traffic.
    #expect(
      counters(("lo", nil, 7), ("eth0", nil, 10)).traffic(since: counters(("lo", nil, 5))).bytesIn == 12)
  }

  @Test func `clamps sums to 64 bits`() {
    let now = counters(("a", nil, .max), ("b", nil, .max))
    #expect(now.traffic(since: counters(("a", nil, 0), ("b", nil, 0))).bytesIn == .max)
  }

  @Test func `keeps counters that a snapshot couldn't read`() {
    var snapshot = MetricsSnapshot()
    snapshot.networkCounters = .success(counters(("eth0", nil, 100), ("eth1", nil, 1_000)))
    var baseline = Baseline(snapshot)
    snapshot.networkCounters = .failure(.notCollected)
    baseline.advance(to: snapshot)
    #expect(baseline.networkCounters?.interfaces.count == 2)
    // eth1's line was malformed, so eth1 was neither removed nor newly created.
    snapshot.networkCounters = .success(counters(("eth0", nil, 110), isPartial: true))
    baseline.advance(to: snapshot)
    #expect(
      counters(("eth0", nil, 111), ("eth1", nil, 1_005)).traffic(
        since: baseline.networkCounters ?? NetworkCounters()
      ).bytesIn == 6)
    snapshot.networkCounters = .success(counters(("eth0", nil, 120)))
    baseline.advance(to: snapshot)
    #expect(baseline.networkCounters?.interfaces.map(\.name) == ["eth0"])
  }
}
