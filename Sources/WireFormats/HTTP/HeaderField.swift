/// A header field or trailer of an HTTP message (RFC 9110, section 5).
public struct HeaderField: Hashable, Sendable {
  /// The name, which is compared without regard to case.
  public var name: HeaderName
  /// The value, such as `text/plain`.
  public var value: String

  /// Creates a field. Doesn't check whether the name and the value are valid in HTTP.
  public init(_ name: HeaderName, _ value: String) {
    self.name = name
    self.value = value
  }

  /// Why HTTP doesn't allow the field, as a clause; nil if it does. Such a value could add further headers. The clause doesn't contain it.
  package var problem: String? {
    let token = name.text.utf8
    guard !token.isEmpty, token.allSatisfy(isTokenCharacter) else {
      return "a header has an invalid name. Use letters, digits and '-'"
    }
    guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
      return "the value of '\(name)' has a control character, which HTTP doesn't allow"
    }
    return nil
  }
}

/// The name of a header field.
///
/// Two names are equal if they differ only in the case of ASCII letters (RFC 9110, section 5.1).
public struct HeaderName: Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
  /// The name with the letter case that is sent.
  public let text: String

  /// Creates a name. Doesn't check whether it is valid in HTTP.
  @inlinable
  public init(_ text: String) {
    self.text = text
  }

  /// Allows a literal such as `"Content-Type"`.
  @inlinable
  public init(stringLiteral text: String) {
    self.text = text
  }

  /// The same as ``text``.
  public var description: String { text }

  /// The name in lower case, as signatures and HTTP/2 spell it.
  package var lowerCased: String { text.lowercased() }

  /// Returns whether two names differ at most in the case of ASCII letters.
  public static func == (left: HeaderName, right: HeaderName) -> Bool {
    // With spans, because zipping two UTF-8 views took ten times as long, and a publish compares twenty names.
    let (left, right) = (left.text.utf8.span, right.text.utf8.span)
    guard left.count == right.count else { return false }
    for index in left.indices
    where WireFormats.lowerCased(left[index]) != WireFormats.lowerCased(right[index]) {
      return false
    }
    return true
  }

  /// Hashes the name in lower case, so that equal names have equal hashes.
  public func hash(into hasher: inout Hasher) {
    for byte in text.utf8 { hasher.combine(WireFormats.lowerCased(byte)) }
    // Separates the name from what is hashed next, as String does.
    hasher.combine(0xFF as UInt8)
  }
}

// Computed, because a stored global of another module is reached through a lazy initializer at each use.

extension HeaderName {
  package static var accept: HeaderName { "Accept" }
  package static var age: HeaderName { "Age" }
  package static var authorization: HeaderName { "Authorization" }
  package static var connection: HeaderName { "Connection" }
  package static var contentLength: HeaderName { "Content-Length" }
  package static var contentType: HeaderName { "Content-Type" }
  package static var date: HeaderName { "Date" }
  package static var expect: HeaderName { "Expect" }
  package static var host: HeaderName { "Host" }
  package static var upgrade: HeaderName { "Upgrade" }
  package static var userAgent: HeaderName { "User-Agent" }
}

/// Names that AWS services share.
extension HeaderName {
  /// When a request was signed.
  package static var amzDate: HeaderName { "X-Amz-Date" }
  /// The session token of temporary credentials.
  package static var amzSecurityToken: HeaderName { "X-Amz-Security-Token" }
  /// The code of an error, such as `ForbiddenException`.
  package static var amznErrorType: HeaderName { "x-amzn-ErrorType" }
  package static var amznRequestID: HeaderName { "x-amzn-RequestId" }
  package static var amzRequestID: HeaderName { "x-amz-request-id" }
  /// The delay before a retry that a service asks for, in milliseconds.
  package static var amzRetryAfter: HeaderName { "x-amz-retry-after" }
  /// The session token of the EC2 instance metadata service, version 2.
  package static var ec2MetadataToken: HeaderName { "x-aws-ec2-metadata-token" }
}
