import DeviceDefender
import Platform
import TestSupport
import Testing

struct CompleteSetsTests {
  private func snapshot(_ selection: CompleteSets.Selection) -> MetricsSnapshot {
    var collector = Collector(
      procfs: ProcRoot(fixturePath("proc/large/t1")), log: RecordedLog().log(), maximumListSize: 2,
      interfaceNames: InterfaceNames())
    collector.completeSets = selection
    return collector.snapshot()
  }

  @Test func `has every port and address, also those outside of the sample`() throws {
    var selection = CompleteSets.Selection()
    selection.listeningTCPPorts = true
    selection.listeningUDPPorts = true
    selection.destinations = true
    let snapshot = snapshot(selection)
    let sets = try #require(snapshot.completeSets)
    let connections = try snapshot.establishedConnections.get()
    let tcpPorts = try snapshot.listeningTCPPorts.get()
    #expect(connections.total > connections.sample.count)
    #expect((sets.destinations?.v4.count ?? 0) + (sets.destinations?.v6.count ?? 0) == connections.total)
    #expect(sets.listeningTCPPorts?.count == tcpPorts.total)
    #expect(sets.listeningUDPPorts?.count == (try snapshot.listeningUDPPorts.get()).total)
    let isSampled = tcpPorts.sample.allSatisfy { sets.listeningTCPPorts?.contains($0.port) == true }
    #expect(isSampled)
  }

  @Test func `keeps only what is selected`() throws {
    #expect(snapshot(CompleteSets.Selection()).completeSets == nil)
    var selection = CompleteSets.Selection()
    selection.listeningUDPPorts = true
    let sets = try #require(snapshot(selection).completeSets)
    #expect(sets.listeningUDPPorts != nil && sets.listeningTCPPorts == nil && sets.destinations == nil)
  }
}
