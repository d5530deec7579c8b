import WireFormats

/// The endpoint for metadata of the execution environment (Lambda developer guide, "Using the Lambda metadata endpoint").
struct MetadataEndpoint: Sendable {
  private static let path = "/2026-01-15/metadata/execution-environment"
  /// The zone that AWS's Runtime Interface Emulator reports.
  private static let availabilityZoneID = "use1-az1"

  /// The token that requests must contain.
  let token: String

  static func isResponsible(for request: ReceivedRequest) -> Bool { request.path == path }

  func answer(_ request: ReceivedRequest) -> Answer {
    guard request.method == "GET" else { return Answer(status: 405) }
    guard request.value(of: .authorization) == "Bearer \(token)" else {
      return Answer(
        status: 401,
        object: ["message": "The Authorization header doesn't contain AWS_LAMBDA_METADATA_TOKEN."])
    }
    return Answer(
      status: 200, headers: [HeaderField("Cache-Control", "private, max-age=43200, immutable")],
      object: ["AvailabilityZoneID": Self.availabilityZoneID])
  }
}
