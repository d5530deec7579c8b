/// What was read from the kernel at one time: each block, or why it is missing.
package struct MetricsSnapshot: Sendable {
  package var establishedConnections: Result<Listing<EstablishedConnection>, CollectionError>
  package var listeningTCPPorts: Result<Listing<ListeningPort>, CollectionError>
  package var listeningUDPPorts: Result<Listing<ListeningPort>, CollectionError>
  package var networkCounters: Result<NetworkCounters, CollectionError>
  /// What `cpu_usage` is made of; nil where that wasn't asked for.
  package var processorTimes: Result<ProcessorTimes, CollectionError>?
  /// The metrics that ``processorTimes`` is for: one, unless it goes by several names.
  package var processorMetrics: [CustomMetricName] = []
  /// The custom metrics that could be read.
  package var customMetrics: [CustomMetric] = []

  package init() {
    establishedConnections = .failure(.notCollected)
    listeningTCPPorts = .failure(.notCollected)
    listeningUDPPorts = .failure(.notCollected)
    networkCounters = .failure(.notCollected)
  }
}
