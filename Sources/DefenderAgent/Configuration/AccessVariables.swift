import AWSClient
import Glibc
import HTTPClient
import Platform
import WireFormats

extension ConfigurationReader {
  /// Returns the region to sign for: the configured one, otherwise the one in the name of the endpoint's host. Returns nil if a
  /// mistake was noted.
  mutating func region(ofHost host: String?) -> String? {
    let variable: Variable = environment.value(.region) == nil ? .defaultRegion : .region
    guard let region = environment.value(variable) else {
      if let region = host.flatMap({ ServiceEndpoint.region(inHost: $0) }) { return region }
      note(.region, "isn't set; set it to the region of the IoT endpoint, such as eu-central-1")
      return nil
    }
    // A host name may be in upper case, but the scope of a signature may not.
    guard region == region.lowercased(), (try? ServiceEndpoint(iotDataPlaneOf: region)) != nil else {
      note(variable, "is '\(region)'; expected lower-case letters, digits and '-', as in eu-central-1")
      return nil
    }
    return region
  }

  /// Reads the certificates, the role alias and whether TLS is required. Notes incomplete pairs and unreadable files.
  ///
  /// The credential chain checks whether there are credentials, because a role may come and go.
  mutating func readAccess() -> Access {
    var result = Access(reading: environment)
    _ = lacksHalf(of: .accessKeyID, .secretAccessKey)
    result.allowsPlainHTTP = choice(.allowPlainHTTP, [("0", false), ("1", true)]) ?? false
    checkFiles()
    result.device = device()
    result.roleAlias = roleAlias(as: result.device)
    result.isRoleAliasMistaken = result.roleAlias == nil && namesRoleAlias
    return result
  }

  /// Returns the device's certificate and key as the files hold them now; nil if none are configured, or if a mistake was
  /// noted.
  mutating func identity(_ files: ClientIdentityFiles?) -> ClientIdentity? {
    guard let files else { return nil }
    do throws(ClientIdentityError) {
      return try ClientIdentity(files)
    } catch .unreadablePassword(let path, let reason) {
      note(.privateKeyPasswordFile, "is '\(path)', which can't be read: \(reason.ofFile)")
    } catch .needsPassword(let key) {
      note(
        .privateKeyFile,
        "can't be used: the private key \(key) is encrypted. Set \(Variable.privateKeyPasswordFile) to a file that "
          + "holds its password")
    } catch {
      note(.privateKeyFile, "can't be used: \(error)")
    }
    return nil
  }

  /// Notes why `error` makes an endpoint unusable, under the variable that named it.
  mutating func note(_ error: ServiceEndpointError) {
    switch error {
    case .noRegion, .malformedRegion: break  // `region()` has noted the mistake, with the variable.
    case .malformedURL(let variable, let reason): note(variable, "can't be used: \(reason)")
    case .hasQuery(let variable):
      note(variable, "contains a '?'; an endpoint has only a scheme, a host and a path")
    case .malformedFlag(let variable, let value):
      note(variable, "is '\(value)'; expected true or false")
    }
  }

  private mutating func checkFiles() {
    let variables: [Variable] = [
      .certificateAuthorities, .systemCertificateAuthorities, .certificateFile, .privateKeyFile,
    ]
    for variable in variables {
      guard let path = environment.value(variable) else { continue }
      if unsafe access(path, R_OK) != 0 {
        note(variable, "is '\(path)', which can't be read: \(Errno.current)")
      } else if isSpecialFile(path) {
        // The agent reads neither directories nor pipes, which may never end.
        note(variable, "is '\(path)', which isn't a regular file")
      }
    }
  }

  private mutating func device() -> ClientIdentityFiles? {
    if lacksHalf(of: .certificateFile, .privateKeyFile) { return nil }
    guard let certificate = environment.value(.certificateFile), let key = environment.value(.privateKeyFile)
    else { return nil }
    return ClientIdentityFiles(
      certificate: certificate, key: key, password: environment.value(.privateKeyPasswordFile))
  }

  /// Whether a role alias is configured, even if incorrectly.
  var namesRoleAlias: Bool {
    environment.value(.roleAlias) != nil || environment.value(.credentialsEndpoint) != nil
  }

  private mutating func roleAlias(as device: ClientIdentityFiles?) -> IoTRoleAlias? {
    guard namesRoleAlias else { return nil }
    let name = roleAliasName()
    let endpoint = credentialsEndpoint()
    if environment.value(.certificateFile) == nil, environment.value(.privateKeyFile) == nil {
      note(.certificateFile, "isn't set; a role alias needs it and \(Variable.privateKeyFile)")
    }
    guard let name, let endpoint, let device else { return nil }
    return IoTRoleAlias(name: name, endpoint: endpoint, thingName: givenThingName, device: device)
  }

  private mutating func roleAliasName() -> String? {
    guard let name = environment.value(.roleAlias) else {
      note(
        .roleAlias,
        "isn't set, but \(Variable.credentialsEndpoint) is. Set it to the name of the role alias, or remove "
          + "\(Variable.credentialsEndpoint)")
      return nil
    }
    // CreateRoleAlias, AWS IoT API reference.
    guard name.utf8.count <= 128, name.utf8.allSatisfy({ isLetterOrDigit($0) || "_=,@-".utf8.contains($0) })
    else {
      note(.roleAlias, "is '\(name)'; expected 1 to 128 letters, digits, '_', '=', ',', '@' and '-'")
      return nil
    }
    return name
  }

  private mutating func credentialsEndpoint() -> ServiceEndpoint? {
    guard let text = environment.value(.credentialsEndpoint) else {
      note(
        .credentialsEndpoint,
        "isn't set; set it to the output of `aws iot describe-endpoint --endpoint-type iot:CredentialProvider`"
      )
      return nil
    }
    do throws(ServiceEndpointError) {
      return try ServiceEndpoint(
        credentialsProvider: text, namedBy: Variable.credentialsEndpoint.rawValue)
    } catch {
      note(error)
      return nil
    }
  }
}
