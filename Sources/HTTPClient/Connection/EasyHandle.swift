import CCurl
import COpenSSL
import Platform

/// The result of `curl_global_init`, which runs once per process.
private let initialisation: CURLcode = {
  removeWeakeningVariables
  return curl_global_init(Int(CURL_GLOBAL_DEFAULT))
}()

/// Owns one libcurl easy handle, its connections and its error text (libcurl-easy(3)).
@safe
struct EasyHandle: ~Copyable {
  private let easy: UnsafeMutableRawPointer
  /// The buffer for libcurl's error messages; it must outlive the handle.
  private let errorText: UnsafeMutablePointer<CChar>

  init() throws(HTTPError) {
    guard initialisation == CURLE_OK, let handle = unsafe curl_easy_init() else { throw .outOfMemory }
    unsafe easy = handle
    unsafe errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
    unsafe errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
  }

  deinit {
    unsafe curl_easy_cleanup(easy)
    unsafe errorText.deallocate()
  }

  /// Resets every option; keeps connections, resolved names and TLS sessions (curl_easy_reset(3)).
  borrowing func reset() throws(HTTPError) {
    unsafe curl_easy_reset(easy)
    try check(unsafe ccurl_set_pointer(easy, CURLOPT_ERRORBUFFER, errorText))
  }

  borrowing func set(_ option: CURLoption, to value: Int) throws(HTTPError) {
    try check(unsafe ccurl_set_long(easy, option, value))
  }

  borrowing func set(_ option: CURLoption, to value: Bool) throws(HTTPError) {
    try set(option, to: value ? 1 : 0)
  }

  /// Sets a string option; libcurl copies the string. Nil removes the option's value, including its default.
  borrowing func set(_ option: CURLoption, to value: String?) throws(HTTPError) {
    guard let value else { return try check(unsafe ccurl_set_string(easy, option, nil)) }
    guard !value.utf8.contains(0) else { throw .invalidRequest("an option contains a NUL character") }
    try check(unsafe value.withCString { unsafe ccurl_set_string(easy, option, $0) })
  }

  /// Sets a list, which must live until ``perform()`` returns.
  borrowing func set(_ option: CURLoption, to list: borrowing StringList) throws(HTTPError) {
    try check(unsafe ccurl_set_list(easy, option, list.first))
  }

  /// Passes the lines of a head and the pieces of a body to these functions, with `context` as their last argument.
  borrowing func deliver(
    headTo head: ccurl_data_function, bodyTo body: ccurl_data_function, _ context: UnsafeMutableRawPointer
  ) throws(HTTPError) {
    try check(unsafe ccurl_set_data_function(easy, CURLOPT_HEADERFUNCTION, head))
    try check(unsafe ccurl_set_pointer(easy, CURLOPT_HEADERDATA, context))
    try check(unsafe ccurl_set_data_function(easy, CURLOPT_WRITEFUNCTION, body))
    try check(unsafe ccurl_set_pointer(easy, CURLOPT_WRITEDATA, context))
  }

  /// Sets an option that takes bytes; libcurl copies them.
  borrowing func set(_ option: CURLoption, toBytesOf text: String) throws(HTTPError) {
    var text = text
    try check(text.withUTF8 { unsafe ccurl_set_bytes(easy, option, $0.baseAddress, $0.count) })
  }

  /// Lets `gate` decide whether the request may be sent; it must live until ``perform()`` returns.
  borrowing func sendOnce(through gate: RequestGate) throws(HTTPError) {
    let context = unsafe Unmanaged.passUnretained(gate).toOpaque()
    try check(unsafe ccurl_set_request_function(easy, beginRequest, context))
  }

  /// Lets `gate` decide whether the transfer continues; it must live until ``perform()`` returns.
  borrowing func watch(through gate: StopGate) throws(HTTPError) {
    let context = unsafe Unmanaged.passUnretained(gate).toOpaque()
    try check(unsafe ccurl_set_progress_function(easy, watchTransfer, context))
  }

  /// Lets `preparation` prepare the TLS context; it must live until ``perform()`` returns.
  borrowing func prepareTLS(through preparation: TLSPreparation) throws(HTTPError) {
    let context = unsafe Unmanaged.passUnretained(preparation).toOpaque()
    try check(unsafe ccurl_set_tls_function(easy, prepareTLSContext, context))
  }

  /// Lets `recorder` record certificates while they are verified; it must live until ``perform()`` returns.
  borrowing func record(in recorder: CertificateRecorder) throws(HTTPError) {
    let context = unsafe Unmanaged.passUnretained(recorder).toOpaque()
    try check(unsafe ccurl_set_tls_function(easy, recordCertificates, context))
  }

  /// Lets `gate` open the sockets; it must live until ``perform()`` returns.
  borrowing func openSockets(through gate: AddressGate) throws(HTTPError) {
    let context = unsafe Unmanaged.passUnretained(gate).toOpaque()
    try check(unsafe ccurl_set_socket_function(easy, openSocket, context))
  }

  borrowing func perform() -> CURLcode {
    unsafe errorText.pointee = 0
    return unsafe curl_easy_perform(easy)
  }

  /// Performs a request whose body is `body`.
  borrowing func perform(sending body: [UInt8]) throws(HTTPError) -> CURLcode {
    try check(unsafe ccurl_set_offset(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count)))
    // Without a pointer, libcurl would ask a callback for the body, even for an empty one.
    let bytes = body.isEmpty ? [0] : body
    return try unsafe bytes.withUnsafeBufferPointer { (buffer) throws(HTTPError) in
      let start = unsafe UnsafeMutableRawPointer(mutating: buffer.baseAddress)
      try check(unsafe ccurl_set_pointer(easy, CURLOPT_POSTFIELDS, start))
      return perform()
    }
  }

  borrowing func number(_ info: CURLINFO) -> Int {
    var value = 0
    // A libcurl too old to know `info` leaves 0, which every caller treats as unknown.
    _ = unsafe ccurl_get_long(easy, info, &value)
    return value
  }

  borrowing func offset(_ info: CURLINFO) -> Int64 {
    var value: curl_off_t = 0
    _ = unsafe ccurl_get_offset(easy, info, &value)
    return Int64(value)
  }

  /// Returns a string; nil if there is none or libcurl is too old to know `info`.
  borrowing func text(_ info: CURLINFO) -> String? {
    var value: UnsafePointer<CChar>?
    guard unsafe ccurl_get_string(easy, info, &value) == CURLE_OK, let value = unsafe value else {
      return nil
    }
    return unsafe String(cString: value)
  }

  /// Returns the TLS version of the connection, such as `TLSv1.3` (SSL_get_version(3)); nil without TLS.
  ///
  /// libcurl attaches a connection of `CURLOPT_CONNECT_ONLY` to the handle with the first send or receive, and knows no
  /// version before that.
  borrowing func tlsVersion() -> String? {
    guard let ssl = unsafe ccurl_get_ssl(easy), let name = unsafe SSL_get_version(OpaquePointer(ssl)) else {
      return nil
    }
    return unsafe String(cString: name)
  }

  /// Returns the socket of the connection that `CURLOPT_CONNECT_ONLY` left open; nil if there is none.
  borrowing func activeSocket() -> Int32? {
    var socket = CURL_SOCKET_BAD
    let code = unsafe ccurl_get_socket(easy, CURLINFO_ACTIVESOCKET, &socket)
    return code == CURLE_OK && socket != CURL_SOCKET_BAD ? socket : nil
  }

  /// Receives what has arrived on the connection that was left open into `buffer`; returns the number of bytes.
  borrowing func receive(into buffer: UnsafeMutableRawBufferPointer) -> (CURLcode, Int) {
    var count = 0
    unsafe errorText.pointee = 0
    let code = unsafe curl_easy_recv(easy, buffer.baseAddress, buffer.count, &count)
    return (code, count)
  }

  /// Sends as much of `buffer` as the connection that was left open accepts; returns the number of bytes.
  borrowing func send(_ buffer: UnsafeRawBufferPointer) -> (CURLcode, Int) {
    var count = 0
    unsafe errorText.pointee = 0
    let code = unsafe curl_easy_send(easy, buffer.baseAddress, buffer.count, &count)
    return (code, count)
  }

  /// Returns libcurl's message for the last failure, or its general message for `code` if there is none.
  borrowing func reason(for code: CURLcode) -> String {
    let own = unsafe String(cString: errorText)
    if !own.isEmpty { return own }
    guard let words = unsafe curl_easy_strerror(code) else { return "code \(code.rawValue)" }
    return unsafe String(cString: words)
  }

  private borrowing func check(_ code: CURLcode) throws(HTTPError) {
    guard code != CURLE_OK else { return }
    if code == CURLE_OUT_OF_MEMORY { throw .outOfMemory }
    throw .invalidRequest("libcurl rejected an option: \(reason(for: code))")
  }
}

/// Owns a libcurl list of strings (curl_slist_append(3)).
@safe
struct StringList: ~Copyable {
  private(set) var first: UnsafeMutablePointer<curl_slist>?
  /// The buffer for the next string, with its terminating NUL.
  private var text: [UInt8] = []

  init(_ elements: [String] = []) throws(HTTPError) {
    unsafe first = nil
    text.reserveCapacity(512)
    for element in elements { try append(element, "", "") }
  }

  deinit {
    unsafe curl_slist_free_all(first)
  }

  /// Appends one string of three parts, none of which may contain a NUL.
  mutating func append(_ name: String, _ separator: String, _ value: String) throws(HTTPError) {
    text.removeAll(keepingCapacity: true)
    append(name)
    append(separator)
    append(value)
    text.append(0)
    let list = unsafe text.withUnsafeBytes { bytes in
      unsafe curl_slist_append(first, bytes.baseAddress?.assumingMemoryBound(to: CChar.self))
    }
    guard let list = unsafe list else { throw .outOfMemory }
    unsafe first = list
  }

  /// Appends to ``text``. An array copies a buffer at once, but the characters of a string one by one.
  private mutating func append(_ part: String) {
    unsafe part.utf8.span.withUnsafeBufferPointer { unsafe text.append(contentsOf: $0) }
  }
}
