package import Platform

/// Returns whether the Instance Metadata Service may answer later although it doesn't now: this machine is an EC2 instance, or
/// the environment names an endpoint.
///
/// An instance is recognized by its firmware's vendor, or under Xen by its UUID ("Identify EC2 instances", EC2 user guide).
package func mayHaveInstanceMetadata(_ environment: Environment) -> Bool {
  if environment.value("AWS_EC2_METADATA_DISABLED")?.lowercased() == "true" { return false }
  if environment.value("AWS_EC2_METADATA_SERVICE_ENDPOINT") != nil { return true }
  func begins(_ path: String, with prefix: String) -> Bool {
    guard let contents = try? readFile(path, limit: 256) else { return false }
    return String(decoding: contents, as: UTF8.self).lowercased().hasPrefix(prefix)
  }
  return begins("/sys/class/dmi/id/sys_vendor", with: "amazon ec2")
    || begins("/sys/hypervisor/uuid", with: "ec2")
}
