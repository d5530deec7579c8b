package import LambdaEmulator
import WireFormats

extension ScriptedServer.Received {
  /// Returns the endpoint's response to this request: the status, and the complete response as sent.
  package func answer(of endpoint: PublishEndpoint) -> (status: Int, text: String) {
    let words = requestLine.split(separator: " ")
    let headers = headerLines.map { line in
      let parts = line.split(separator: ":", maxSplits: 1)
      return HeaderField(
        HeaderName(String(parts[0])), parts.count > 1 ? String(parts[1].drop { $0 == " " }) : "")
    }
    let request = ReceivedRequest(
      method: String(words.first ?? ""), target: words.count > 1 ? String(words[1]) : "", headers: headers)
    let answer = endpoint.answer(request, body: body)
    guard case .bytes(let bytes) = answer.body else { return (answer.status, "") }
    let lines = answer.headers.map { "\($0.name): \($0.value)" }
    let text = httpResponse(
      "\(answer.status) Status", headers: lines, body: String(decoding: bytes, as: UTF8.self))
    return (answer.status, text)
  }
}
