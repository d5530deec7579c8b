public import Platform
import WireFormats

/// Metadata of the execution environment (Lambda developer guide, "Using the Lambda metadata endpoint").
///
/// ```swift
/// let zone = try LambdaMetadata.current(startup.environment)?.availabilityZoneID
/// ```
///
/// The metadata don't change while the environment exists, so read them once. With SnapStart, read them in ``Handler/resumeFromSnapshot()``,
/// because a restored copy may run in another availability zone.
public struct LambdaMetadata: Equatable, Sendable {
  /// The ID of the availability zone, such as `use1-az1`, which means the same zone in every account. Nil if Lambda sent none.
  public let availabilityZoneID: String?

  /// The time limit of the request. The endpoint is on this machine.
  private static let timeLimit = Duration.seconds(2)
  private static let path = "/2026-01-15/metadata/execution-environment"

  /// Requests the metadata from `AWS_LAMBDA_METADATA_API` with the token in `AWS_LAMBDA_METADATA_TOKEN`. Takes at
  /// most about five seconds, unless a name must be resolved.
  ///
  /// Returns nil if one of the variables isn't set, as on platforms other than Lambda. Throws a ``MetadataError`` if the endpoint
  /// doesn't answer, or rejects the request.
  public static func current(_ environment: Environment = .ofThisProcess) throws -> LambdaMetadata? {
    guard let address = environment.value("AWS_LAMBDA_METADATA_API"),
      let token = environment.value("AWS_LAMBDA_METADATA_TOKEN")
    else { return nil }
    let endpoint: RuntimeEndpoint
    do {
      endpoint = try RuntimeEndpoint(parsing: address)
    } catch {
      throw MetadataError(
        "AWS_LAMBDA_METADATA_API is '\(address)', not a host and port such as 127.0.0.1:9001.")
    }
    do {
      return try LambdaMetadata(at: endpoint, token: token)
    } catch {
      throw MetadataError("Can't read the metadata of the environment from \(address): \(error).")
    }
  }

  private init(at endpoint: RuntimeEndpoint, token: String) throws(ExchangeError) {
    var reader = MessageReader(try LoopbackSocket.connected(to: endpoint, within: Self.timeLimit))
    reader.source.begin(allowing: Self.timeLimit)
    let request = """
      GET \(Self.path) HTTP/1.1\r
      \(requestFields(to: endpoint))Authorization: Bearer \(headerValue(token))\r
      Connection: close\r\n\r\n
      """
    try reader.source.send(Array(request.utf8), [])
    let head = try reader.head()
    let body = try reader.body(after: head, limit: RuntimeConnection.maximumAnswerBytes)
    guard head.status == 200 else { throw .refused(status: head.status, reason: reason(in: body)) }
    guard let document = try? JSONValue(parsing: body), document.members != nil else {
      throw .malformed("the metadata isn't a JSON object")
    }
    availabilityZoneID = document["AvailabilityZoneID"]?.string
  }
}

/// The reason why the metadata of the execution environment couldn't be read.
public struct MetadataError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A sentence with the address and the reason. It doesn't contain the token.
  public let description: String

  init(_ description: String) {
    self.description = description
  }
}
