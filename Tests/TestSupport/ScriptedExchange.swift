package import HTTPClient

/// Returns scripted responses without a network, and records the requests.
package final class ScriptedExchange: HTTPExchange {
  package var answers: [Result<HTTPResponse, HTTPError>]
  package private(set) var requests: [HTTPRequest] = []
  package private(set) var timeouts: [Duration] = []

  package init(_ answers: [Result<HTTPResponse, HTTPError>]) {
    self.answers = answers
  }

  package func exchange(_ request: HTTPRequest, timeout: Duration) throws(HTTPError) -> HTTPResponse {
    requests.append(request)
    timeouts.append(timeout)
    return try answers.isEmpty ? HTTPResponse(status: 200) : answers.removeFirst().get()
  }
}
