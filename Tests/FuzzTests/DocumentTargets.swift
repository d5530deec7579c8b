@testable import WireFormats

/// The JSON reader: an accepted value must stay the same when it is written, compactly or for people, and read again.
let json = FuzzTarget("json") { input in
  let value: JSONValue
  do throws(JSONError) {
    value = try JSONValue(parsing: input)
  } catch {
    try require(error.offset <= input.count && !error.reason.isEmpty, "a complaint about no place")
    return
  }
  try require(try JSONValue(parsing: compact(value)) == value, "written and read, it is another")
  let pretty = try JSONValue(parsing: Array(value.prettyPrinted().utf8))
  try require(pretty.prettyPrinted() == value.prettyPrinted(), "written for people and read, it is another")
  if case .number(let text) = value {
    try require(Double(text) != nil, "a number that is none")
    _ = (value.integer(as: Int.self), value.integer(as: UInt64.self), value.integer(as: UInt8.self))
  }
}

/// The CBOR reader: an accepted value can be written as JSON that the JSON reader accepts, unless it has duplicate
/// members.
let cbor = FuzzTarget("cbor") { input in
  let value: JSONValue
  do throws(CBORError) {
    value = try JSONValue(parsingCBOR: input)
  } catch {
    try require(error.offset <= input.count && !error.reason.isEmpty, "a complaint about no place")
    return
  }
  do {
    let again = try JSONValue(parsing: compact(value))
    try require(again == value, "written and read, it is another")
  } catch let error as JSONError {
    try require(error.reason.contains("duplicate member"), "what was written can't be read: \(error)")
  }
}

func compact(_ value: JSONValue) -> [UInt8] {
  var document = JSONWriter()
  value.write(to: &document)
  return document.bytes
}
