/// A service of AWS: its name in signatures, and its endpoints.
package struct AWSService: Equatable, Sendable {
  private enum Kind: Sendable { case iotDataPlane, dynamoDB, sns }

  private let kind: Kind

  /// AWS IoT's data plane, which publishes messages.
  package static let iotDataPlane = AWSService(kind: .iotDataPlane)
  package static let dynamoDB = AWSService(kind: .dynamoDB)
  package static let sns = AWSService(kind: .sns)

  /// The name of the service in the scope of signatures.
  package var signingName: String {
    switch kind {
    case .iotDataPlane: "iotdata"
    case .dynamoDB: "dynamodb"
    case .sns: "sns"
    }
  }

  /// The variable that overrides the endpoint ("Service-specific endpoints", AWS SDKs and Tools Reference Guide).
  var endpointVariable: String {
    switch kind {
    case .iotDataPlane: "AWS_ENDPOINT_URL_IOT_DATA_PLANE"
    case .dynamoDB: "AWS_ENDPOINT_URL_DYNAMODB"
    case .sns: "AWS_ENDPOINT_URL_SNS"
    }
  }

  /// Returns the host of the service in `region` (endpoint rules of the AWS SDKs' models).
  func host(region: String, fips: Bool, dualStack: Bool) -> String {
    let partition = Partition(ofRegion: region)
    guard kind == .iotDataPlane else {
      let dualStackSuffix = dualStack ? partition.dualStackSuffixOfDatabases : nil
      // In GovCloud the regional endpoints are FIPS endpoints.
      let isAlwaysFIPS = region.hasPrefix("us-gov-") && dualStackSuffix == nil
      let name = fips && !isAlwaysFIPS ? "\(signingName)-fips" : signingName
      return "\(name).\(region).\(dualStackSuffix ?? partition.suffix)"
    }
    let suffix = dualStack ? partition.dualStackSuffix ?? partition.suffix : partition.suffix
    if region == "cn-north-1" && !fips && !dualStack { return "data.ats.iot.\(region).\(suffix)" }
    if fips && !dualStack && regionsWithShortFIPSName.contains(region) {
      return "data.iot-fips.\(region).\(suffix)"
    }
    return "data-ats.iot\(fips ? "-fips" : "").\(region).\(suffix)"
  }
}

private let regionsWithShortFIPSName: Set<String> = [
  "ca-central-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2", "us-gov-east-1", "us-gov-west-1",
]
