@testable import AWSClient
@testable import Platform

/// The shared AWS files: the config file, a NUL byte, and the credentials file.
let profiles = FuzzTarget("profiles") { input in
  let parts = parts(of: input, upTo: 2)
  let texts = (config: text(parts[0]), credentials: parts.count == 2 ? text(parts[1]) : "")
  do {
    let set = try ProfileSet(config: texts.config, credentials: texts.credentials)
    for (name, profile) in set.profiles {
      try require(!name.isEmpty, "a profile without a name")
      try require(profile.keys.allSatisfy { $0 == $0.lowercased() }, "a key in upper case")
    }
  } catch let error as ProfileError {
    let lines = texts.config.utf8.count + texts.credentials.utf8.count + 2
    try require((1...lines).contains(error.line), "a complaint about no line")
  }
}

/// Documents that contain credentials: JSON from containers, EC2, credential_process and AWS IoT, and XML from STS.
let credentialDocuments = FuzzTarget("credential-documents") { input in
  for keys in [CredentialKeys.container, .process, .iot] {
    do {
      let credentials = try Credentials(parsing: input, keys)
      try require(!credentials.accessKeyID.isEmpty, "credentials without an id")
      try require(!keys.areTemporary || credentials.sessionToken != nil, "no session token")
    } catch let error as CredentialFailure {
      try require(!error.reason.isEmpty, "a complaint without words")
    }
  }
  let document = text(input)
  for name in ["AccessKeyId", "SecretAccessKey", "SessionToken", "Code", "Message"] {
    guard let found = xmlText(name, in: document) else { continue }
    try require(found.utf8.count <= document.utf8.count, "an element longer than the document")
  }
  if let time = xmlText("Expiration", in: document).flatMap({ WallTime(iso8601: $0) }) {
    // Compares milliseconds, the precision of the text: the latest representable time is more precise than that.
    let written = CivilTime(time).extendedFormat
    let again = WallTime(iso8601: written).map { CivilTime($0).extendedFormat }
    try require(again == written, "a time that isn't itself")
  }
}
