@testable import AWSClient
import WireFormats

/// Answers of DynamoDB about the table `t`: the items must be those that the general parser finds, and stay the same when they are written
/// and read again.
let dynamoDBAnswers = FuzzTarget("dynamodb-answers") { input in
  let answer: DynamoDBAnswer
  do throws(ScanError) {
    answer = try DynamoDBAnswer(parsing: input, table: "t")
  } catch {
    try require(!"\(error)".isEmpty && "\(error)".utf8.count < 1_000, "an odd complaint")
    return
  }
  let lastKeys = answer.lastKey.map { [$0] } ?? []
  for item in (answer.items ?? []) + answer.unprocessed + lastKeys {
    try require(try rewritten(item) == item, "written and read, the item is another")
  }
  guard let json = try? JSONValue(parsing: input) else { return }
  if json["Responses"] == nil || json["Responses"] == .null {
    try require(answer.items == expectedItems(json["Items"]), "the items are others")
  } else if json["Items"] == nil || json["Items"] == .null {
    try require(
      answer.items == expectedItems(json["Responses"]?["t"]) ?? [], "the items of the table are others")
  }
  try require(
    lastKeys == [expectedItem(json["LastEvaluatedKey"])].filter { !$0.attributes.isEmpty },
    "the last key is another")
  let keys = expectedItems(json["UnprocessedKeys"]?["t"]?["Keys"]) ?? []
  let writes = json["UnprocessedItems"]?["t"]?.array ?? []
  let unwritten = writes.compactMap { $0["PutRequest"]?["Item"] }.map(expectedItem)
  try require(answer.unprocessed.count == keys.count + unwritten.count, "the unprocessed items are others")
}

private func rewritten(_ item: DynamoDBItem) throws -> DynamoDBItem? {
  var document = JSONWriter()
  document.beginMap(count: 1)
  document.key("Items")
  document.beginList(count: 1)
  document.attributes(item)
  document.endList()
  document.endMap()
  return try DynamoDBAnswer(parsing: document.bytes, table: "t").items?.first
}

private func expectedItems(_ list: JSONValue?) -> [DynamoDBItem]? { list?.array.map { $0.map(expectedItem) } }

/// Returns the attributes of the types that this project stores.
private func expectedItem(_ json: JSONValue?) -> DynamoDBItem {
  var item: DynamoDBItem = [:]
  for attribute in json?.members ?? [] {
    var value: AttributeValue?
    for type in attribute.value.members ?? [] {
      guard let text = type.value.string else { continue }
      switch type.name {
      case "S": value = .string(text)
      case "N": value = Int64(text).map { .number($0) }
      case "B": value = base64Decoding(text).map { .binary($0) }
      default: break
      }
    }
    item[attribute.name] = value
  }
  return item
}
