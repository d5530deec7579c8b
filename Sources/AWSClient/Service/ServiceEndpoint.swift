package import Platform
package import WireFormats

/// Why the endpoint to publish to can't be determined.
package enum ServiceEndpointError: Error, Equatable, Sendable, CustomStringConvertible {
  case noRegion
  case malformedRegion(String)
  case malformedURL(variable: String, URLError)
  case hasQuery(variable: String)
  case malformedFlag(variable: String, value: String)

  package var description: String {
    switch self {
    case .noRegion: "AWS_REGION isn't set. Set it to the region to publish to, such as eu-west-1"
    case .malformedRegion(let region):
      "the region is '\(region)'; a region consists of letters, digits and hyphens, as in eu-west-1"
    case .malformedURL(let variable, let error): "\(variable): \(error)"
    case .hasQuery(let variable):
      "\(variable) contains a '?'; an endpoint consists of a scheme, a host and a path"
    case .malformedFlag(let variable, let value): "\(variable) is '\(value)'; use true or false"
    }
  }
}

/// The endpoint of an AWS service: scheme, host, port and the prefix of every path.
package struct ServiceEndpoint: Equatable, Sendable, CustomStringConvertible {
  private let target: HTTPURL
  /// Scheme, host and path, without a slash at the end.
  private let base: String

  /// Creates the endpoint at `url`; errors name `variable` as the source of the URL.
  package init(url: String, namedBy variable: String = "the endpoint") throws(ServiceEndpointError) {
    do throws(URLError) {
      target = try HTTPURL(url)
    } catch {
      throw .malformedURL(variable: variable, error)
    }
    if !target.query.isEmpty { throw .hasQuery(variable: variable) }
    base = target.origin + (target.path.hasSuffix("/") ? String(target.path.dropLast()) : target.path)
  }

  /// Creates the endpoint of a service that the environment configures.
  ///
  /// The service's own variable, such as `AWS_ENDPOINT_URL_IOT_DATA_PLANE`, comes first, then `AWS_ENDPOINT_URL`; both are
  /// ignored if `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` is true. Otherwise it is the region's endpoint, selected by
  /// `AWS_USE_FIPS_ENDPOINT` and `AWS_USE_DUALSTACK_ENDPOINT`.
  package init(
    _ environment: Environment, region: String?, service: AWSService = .iotDataPlane
  ) throws(ServiceEndpointError) {
    if try !flag("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", in: environment) {
      for variable in [service.endpointVariable, "AWS_ENDPOINT_URL"] {
        if let url = environment.value(variable) {
          self = try ServiceEndpoint(url: url, namedBy: variable)
          return
        }
      }
    }
    guard let region else { throw .noRegion }
    self = try ServiceEndpoint(
      of: service, region: region, fips: try flag("AWS_USE_FIPS_ENDPOINT", in: environment),
      dualStack: try flag("AWS_USE_DUALSTACK_ENDPOINT", in: environment))
  }

  /// Creates the IoT data plane endpoint that all accounts in a region share.
  package init(iotDataPlaneOf region: String, fips: Bool = false, dualStack: Bool = false)
    throws(ServiceEndpointError)
  {
    try self.init(of: .iotDataPlane, region: region, fips: fips, dualStack: dualStack)
  }

  /// Creates the endpoint of a service in a region.
  package init(of service: AWSService, region: String, fips: Bool = false, dualStack: Bool = false)
    throws(ServiceEndpointError)
  {
    guard isHostLabel(region) else { throw .malformedRegion(region) }
    try self.init(url: "https://\(service.host(region: region, fips: fips, dualStack: dualStack))")
  }

  /// Returns the region in the name of an endpoint of AWS IoT, such as `abc-ats.iot.eu-central-1.amazonaws.com`; nil if the host
  /// has another name.
  package static func region(inHost host: String) -> String? {
    let labels = host.lowercased().split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard let service = labels.firstIndex(where: { ["iot", "iot-fips"].contains($0) }), service > 0,
      service + 1 < labels.count
    else { return nil }
    let region = labels[service + 1]
    let partition = Partition(ofRegion: region)
    let suffix = labels[(service + 2)...].joined(separator: ".")
    return isHostLabel(region) && [partition.suffix, partition.dualStackSuffix].contains(suffix)
      ? region : nil
  }

  package var isSecure: Bool { target.isSecure }
  package var host: String { target.host }
  package var port: UInt16 { target.port ?? (target.isSecure ? 443 : 80) }
  package var description: String { base }

  /// Returns the URL of `path`, which must begin with a slash and be percent-encoded.
  package func url(_ path: String, query: String = "") -> String {
    base + path + (query.isEmpty ? "" : "?" + query)
  }
}

private func flag(_ variable: String, in environment: Environment) throws(ServiceEndpointError) -> Bool {
  guard let value = environment.value(variable) else { return false }
  switch value.lowercased() {
  case "true": return true
  case "false": return false
  default: throw .malformedFlag(variable: variable, value: value)
  }
}

/// Returns whether `text` can be one label of a host name (RFC 1123, section 2.1).
func isHostLabel(_ text: String) -> Bool {
  (1...63).contains(text.utf8.count) && !text.hasPrefix("-") && !text.hasSuffix("-")
    && text.utf8.allSatisfy { isLetterOrDigit($0) || $0 == UInt8(ascii: "-") }
}
