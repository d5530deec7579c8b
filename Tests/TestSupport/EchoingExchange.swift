package import HTTPClient
import WireFormats

/// An exchange whose responses repeat everything that the request contained, and every secret of the test.
package final class EchoingExchange: HTTPExchange {
  package static let secretKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
  package static let sessionToken = "plain-session-token-in-small-letters"
  /// The token of the container and of the instance metadata service.
  package static let token = "container-token"

  package enum Shape: CaseIterable, Sendable {
    case message, text, code, requestID, xml, credentials
  }

  package let status: Int
  package let shape: Shape
  package private(set) var sent: [HTTPRequest] = []

  package init(status: Int, _ shape: Shape) {
    self.status = status
    self.shape = shape
  }

  package func exchange(_ request: HTTPRequest, timeout: Duration) throws(HTTPError) -> HTTPResponse {
    sent.append(request)
    if request.method == "PUT", request.url.hasSuffix("/latest/api/token") {
      return HTTPResponse(status: 200, body: Array(Self.token.utf8))
    }
    let fields = request.headers.map { "\($0.name):\($0.value)" }.joined(separator: " ")
    let all =
      "\(request.url) \(fields) \(String(decoding: request.body, as: UTF8.self)) \(Self.secretKey) \(Self.sessionToken)"
    let body: String
    var headers: [HeaderField] = []
    switch shape {
    case .message: body = #"{"message":"\#(all)"}"#
    case .text: body = all
    case .code: body = #"{"code":"\#(all.replacing(":", with: "=").replacing("#", with: "="))"}"#
    case .requestID:
      body = ""
      headers = [HeaderField("x-amzn-requestid", all)]
    case .xml: body = "<Error><Code>\(all)</Code><Message>\(all)</Message></Error>"
    case .credentials:
      body =
        #"{"AccessKeyId":"AKID","SecretAccessKey":"\#(Self.secretKey)","Token":"\#(Self.sessionToken)","Code":"Failed"}"#
    }
    return HTTPResponse(status: status, headers: headers, body: Array(body.utf8))
  }

  /// The values that no message may contain: every value that signed or authorised a request.
  package var secrets: [String] {
    [Self.secretKey, String(Self.secretKey.prefix(20))] + sent.flatMap(\.secrets)
  }
}
