/// Random credentials for one run, in the form of AWS's temporary credentials.
///
/// Only the emulator that created them accepts them.
package struct TemporaryCredentials: Sendable, CustomStringConvertible, CustomReflectable {
  package let accessKeyID: String
  package let secretAccessKey: String
  package let sessionToken: String

  package init(accessKeyID: String, secretAccessKey: String, sessionToken: String) {
    self.accessKeyID = accessKeyID
    self.secretAccessKey = secretAccessKey
    self.sessionToken = sessionToken
  }

  /// Creates credentials from the system's random number generator.
  package static func random() -> TemporaryCredentials {
    let capitals = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
    let all = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    func text(_ length: Int, of alphabet: [Character]) -> String {
      String((0..<length).compactMap { _ in alphabet.randomElement() })
    }
    return TemporaryCredentials(
      accessKeyID: "ASIA" + text(16, of: capitals), secretAccessKey: text(40, of: all),
      sessionToken: text(342, of: all) + "==")
  }

  package var description: String { "credentials \(accessKeyID)" }

  package var customMirror: Mirror { Mirror(self, children: ["accessKeyID": accessKeyID]) }
}
