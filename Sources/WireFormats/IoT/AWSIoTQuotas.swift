/// Quotas of AWS IoT Core that no account can raise ("AWS IoT Core message broker and protocol limits and quotas").
package enum AWSIoTQuotas {
  /// The largest payload of one publish request, in bytes: 128 KB ("Publish payload size").
  @inlinable package static var publishPayloadBytes: Int { 131_072 }
}
