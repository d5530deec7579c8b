public import LambdaRuntime

extension Context {
  /// Returns a context for a test that calls a handler directly. Its deadline is `timeout` from now, and its log writes to standard error.
  ///
  /// ```swift
  /// var handler = try Hello(Startup(environment: ["GREETING": "hello"]))
  /// let response = try handler.handle(Event(#""world""#), .forTesting())
  /// ```
  ///
  /// To set headers, such as that of the trace, create the context with `init(requestID:deadline:headers:environment:log:)`.
  public static func forTesting(
    timeout: Duration = .seconds(3), requestID: String? = nil, environment: Environment = [:]
  ) -> Context {
    Context(
      requestID: requestID ?? newRequestID(), deadline: WallTime.now.advanced(by: timeout),
      environment: environment,
      log: Log(environment))
  }
}

/// Returns a random ID in the format of Lambda's request IDs, a UUID of version 4.
func newRequestID() -> String {
  var generator = SystemRandomNumberGenerator()
  let high: UInt64 = generator.next() & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
  let low: UInt64 = generator.next() & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
  let digits = [high, low].map { number in
    let text = String(number, radix: 16)
    return String(repeating: "0", count: 16 - text.count) + text
  }.joined()
  var id = ""
  for (index, digit) in digits.enumerated() {
    if [8, 12, 16, 20].contains(index) { id.append("-") }
    id.append(digit)
  }
  return id
}

extension Environment: ExpressibleByDictionaryLiteral {
  /// Creates an environment for a test, such as `["GREETING": "hello"]`. The last value of a variable counts.
  public init(dictionaryLiteral variables: (String, String)...) {
    self.init(Dictionary(variables) { _, last in last })
  }
}

extension Event {
  /// Creates an event from JSON text, for a test.
  public init(_ json: String) {
    self.init(Array(json.utf8), contentType: "application/json")
  }
}
