import AWSClient
import Glibc
import HTTPClient
import Platform

extension ConfigurationReader {
  /// Returns the region to sign for; nil if a mistake was noted.
  mutating func region() -> String? {
    let variable = environment.value("AWS_REGION") == nil ? "AWS_DEFAULT_REGION" : "AWS_REGION"
    guard let region = environment.value(variable) else {
      note("AWS_REGION", "isn't set; set it to the region of the IoT endpoint, such as eu-central-1")
      return nil
    }
    // Upper case would do for a host name, and not for the scope of a signature.
    guard region == region.lowercased(), (try? ServiceEndpoint(iotDataPlaneOf: region)) != nil else {
      note(variable, "is '\(region)'; allowed are lower-case letters, digits and '-', as in eu-central-1")
      return nil
    }
    return region
  }

  /// Notes half of a pair of keys, and certificates or a key that can't be read.
  ///
  /// Whether there are credentials at all is the credential chain's business: a role may come and go.
  mutating func checkAccess() {
    _ = lacksHalf(of: "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    _ = choice(ConnectionConfiguration.plainHTTPVariable, [("0", false), ("1", true)])
    let files = [
      "AWS_CA_BUNDLE", "SSL_CERT_FILE", "DEFENDER_CERTIFICATE_FILE", "DEFENDER_PRIVATE_KEY_FILE",
    ]
    for variable in files {
      guard let path = environment.value(variable) else { continue }
      if unsafe access(path, R_OK) != 0 {
        note(variable, "is '\(path)', which can't be read: \(Errno.current)")
      } else if isSpecialFile(path) {
        // Nobody reads those.
        note(variable, "is '\(path)', which isn't a regular file")
      }
    }
  }

  /// Returns the device's certificate and key; nil if there is none, or a mistake was noted.
  mutating func identity() -> ClientIdentity? {
    if lacksHalf(of: "DEFENDER_CERTIFICATE_FILE", "DEFENDER_PRIVATE_KEY_FILE") { return nil }
    do throws(CredentialError) {
      return try ClientIdentity(environment)
    } catch .sourceFailed(_, let reason, _) {
      note("DEFENDER_PRIVATE_KEY_FILE", "can't be used: \(reason)")
    } catch {
      note("DEFENDER_PRIVATE_KEY_FILE", "can't be used: \(error)")
    }
    return nil
  }
}
