/// The values read from the kernel at one moment; for each block, the value or why it is missing.
package struct MetricsSnapshot: Sendable {
  package var establishedConnections: Result<Listing<EstablishedConnection>, CollectionError>
  package var listeningTCPPorts: Result<Listing<ListeningPort>, CollectionError>
  package var listeningUDPPorts: Result<Listing<ListeningPort>, CollectionError>
  package var networkCounters: Result<NetworkCounters, CollectionError>
  /// The processor times from which `cpu_usage` is computed; nil if it isn't configured.
  package var processorTimes: Result<ProcessorTimes, CollectionError>?
  /// The names of the metrics computed from ``processorTimes``: one, unless it is configured under several
  /// names.
  package var processorMetrics: [CustomMetricName] = []
  /// The custom metrics that could be read, except those of the processors.
  package var customMetrics: [CustomMetric] = []
  /// All elements of the lists that are otherwise sampled; nil if no list is kept.
  package var completeSets: CompleteSets?

  package init() {
    establishedConnections = .failure(.notCollected)
    listeningTCPPorts = .failure(.notCollected)
    listeningUDPPorts = .failure(.notCollected)
    networkCounters = .failure(.notCollected)
  }
}
