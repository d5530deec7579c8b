/// What was read from the kernel at one time: each block, or why it is missing.
package struct MetricsSnapshot: Sendable {
  package var establishedConnections: Result<Listing<EstablishedConnection>, CollectionError>
  package var listeningTCPPorts: Result<Listing<ListeningPort>, CollectionError>
  package var listeningUDPPorts: Result<Listing<ListeningPort>, CollectionError>
  package var networkCounters: Result<NetworkCounters, CollectionError>

  package init() {
    establishedConnections = .failure(.notCollected)
    listeningTCPPorts = .failure(.notCollected)
    listeningUDPPorts = .failure(.notCollected)
    networkCounters = .failure(.notCollected)
  }
}

/// How many there are of something, and all of them or a uniform random sample.
package struct Listing<Element: Equatable & Sendable>: Equatable, Sendable {
  package var total: Int
  package var sample: [Element]

  package init(total: Int, sample: [Element]) {
    self.total = total
    self.sample = sample
  }
}
