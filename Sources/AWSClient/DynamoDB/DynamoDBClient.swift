import HTTPClient
package import Platform
import WireFormats

/// The operations on one DynamoDB table that this project uses (AWS JSON 1.0).
///
/// ``ServiceClient`` retries requests, so the condition of a put whose response was lost may fail the second time. The caller reads
/// the item again after ``DynamoDBError/Cause/conditionFailed``, and finds what it wrote.
package final class DynamoDBClient {
  /// The largest number of keys of a batch read, and of items of a transaction.
  package static let readLimit = 100
  /// The largest number of items of a batch write.
  package static let writeLimit = 25
  /// The largest size of the items of a transaction in bytes: AWS's 4 MB, less what ``AttributeValue/size`` may miss.
  package static let transactionSizeLimit = 4_000_000

  package let table: String
  /// The number of requests since the client was created, without the retries of ``ServiceClient``.
  package private(set) var requestCount = 0
  private let endpoint: ServiceEndpoint
  private let client: ServiceClient

  /// Creates a client of a table. `client` signs for ``AWSService/dynamoDB``.
  package init(_ client: ServiceClient, _ endpoint: ServiceEndpoint, table: String) {
    self.client = client
    self.endpoint = endpoint
    self.table = table
  }

  /// The primary key of an item: the attributes `pk` and `sk`.
  package struct Key: Hashable, Sendable {
    package let partition: String
    package let sort: String

    package init(_ partition: String, _ sort: String) {
      self.partition = partition
      self.sort = sort
    }

    package var attributes: DynamoDBItem { ["pk": .string(partition), "sk": .string(sort)] }
  }

  /// What a put demands of the present item.
  package enum Condition: Equatable, Sendable {
    case none
    /// There is no item with this key.
    case absent
    /// The attribute `version` has this value.
    case version(Int64)
  }

  /// A write of a whole item.
  package struct Put: Sendable {
    package let item: DynamoDBItem
    package let condition: Condition

    package init(_ item: DynamoDBItem, _ condition: Condition) {
      self.item = item
      self.condition = condition
    }
  }

  /// Reads the items with these keys, at most ``readLimit``, as of now (a consistent read). Missing items are left out.
  package func items(_ keys: [Key], until deadline: BootTime) throws(DynamoDBError) -> [DynamoDBItem] {
    var found: [DynamoDBItem] = []
    var rest = keys.map(\.attributes)
    var backoff = Backoff(first: .milliseconds(50), cap: .seconds(2), jitter: 0.5)
    while !rest.isEmpty {
      let answer = try call("BatchGetItem", until: deadline) { [table, rest] document in
        document.key("RequestItems")
        document.beginMap(count: 1)
        document.key(table)
        document.beginMap(count: 2)
        document.key("Keys")
        document.beginList(count: rest.count)
        for key in rest { document.attributes(key) }
        document.endList()
        document.key("ConsistentRead")
        document.boolean(true)
        document.endMap()
        document.endMap()
      }
      guard let items = answer.items else {
        throw DynamoDBError(.malformed("it has no Responses"), "BatchGetItem", table)
      }
      found += items
      rest = answer.unprocessed
      if !rest.isEmpty { try pause(&backoff, "BatchGetItem", until: deadline) }
    }
    return found
  }

  /// Writes an item if the present one satisfies the condition.
  package func put(_ put: Put, until deadline: BootTime) throws(DynamoDBError) {
    _ = try call("PutItem", until: deadline) { [table] document in put.write(to: &document, table: table) }
  }

  /// Writes several items, at most ``readLimit`` with ``transactionSizeLimit``: all of them if every condition holds, otherwise none.
  ///
  /// The token lets DynamoDB recognise the retry of a transaction whose answer was lost, and answer it with success. Without the token,
  /// the retry would find its own writes and fail their conditions, and the caller would write each item alone to learn that.
  package func putAll(_ puts: [Put], until deadline: BootTime) throws(DynamoDBError) {
    var generator = SystemRandomNumberGenerator()
    let token = hex((0..<16).map { _ in .random(in: 0...255, using: &generator) })
    _ = try call("TransactWriteItems", until: deadline) { [table] document in
      document.member("ClientRequestToken", token)
      document.key("TransactItems")
      document.beginList(count: puts.count)
      for put in puts {
        document.beginMap(count: 1)
        document.key("Put")
        document.beginMap(count: 4)
        put.write(to: &document, table: table)
        document.endMap()
        document.endMap()
      }
      document.endList()
    }
  }

  /// Writes items without conditions, ``writeLimit`` in each request.
  package func putEach(_ items: [DynamoDBItem], until deadline: BootTime) throws(DynamoDBError) {
    var rest = items
    var backoff = Backoff(first: .milliseconds(50), cap: .seconds(2), jitter: 0.5)
    while !rest.isEmpty {
      let batch = Array(rest.prefix(Self.writeLimit))
      rest.removeFirst(batch.count)
      let answer = try call("BatchWriteItem", until: deadline) { [table] document in
        document.key("RequestItems")
        document.beginMap(count: 1)
        document.key(table)
        document.beginList(count: batch.count)
        for item in batch {
          document.beginMap(count: 1)
          document.key("PutRequest")
          document.beginMap(count: 1)
          document.key("Item")
          document.attributes(item)
          document.endMap()
          document.endMap()
        }
        document.endList()
        document.endMap()
      }
      let again = answer.unprocessed
      if again.isEmpty {
        backoff.reset()
      } else {
        rest = again + rest
        try pause(&backoff, "BatchWriteItem", until: deadline)
      }
    }
  }

  /// Adds to numbers of an item, at most ``readLimit``, which is created if it doesn't exist, and sets an attribute.
  ///
  /// Not idempotent: if the response is lost, ``ServiceClient`` sends the request again, and the numbers are added twice.
  package func add(
    _ numbers: [String: Int64], to key: Key, setting other: (name: String, value: AttributeValue),
    until deadline: BootTime
  ) throws(DynamoDBError) {
    let sorted = numbers.sorted { $0.key < $1.key }
    _ = try call("UpdateItem", until: deadline) { [table] document in
      document.member("TableName", table)
      document.key("Key")
      document.attributes(key.attributes)
      let additions = sorted.indices.map { "#\($0) :\($0)" }.joined(separator: ", ")
      document.member("UpdateExpression", "SET #s = :s ADD \(additions)")
      document.key("ExpressionAttributeNames")
      document.beginMap(count: sorted.count + 1)
      document.member("#s", other.name)
      for (index, number) in sorted.enumerated() { document.member("#\(index)", number.key) }
      document.endMap()
      document.key("ExpressionAttributeValues")
      var values: DynamoDBItem = [":s": other.value]
      for (index, number) in sorted.enumerated() { values[":\(index)"] = .number(number.value) }
      document.attributes(values)
    }
  }

  /// Waits before a request for what DynamoDB didn't do the last time.
  package func pause(
    _ backoff: inout Backoff, _ operation: String, until deadline: BootTime
  ) throws(DynamoDBError) {
    var generator = SystemRandomNumberGenerator()
    let end = client.time.bootTime.advanced(by: backoff.next(using: &generator))
    guard end.advanced(by: ServiceClient.shortestRetry) <= deadline, client.time.wait(until: end) == .onTime
    else { throw DynamoDBError(.service(.noTimeLeft), operation, table) }
  }

  /// Calls an operation, whose members `write` appends. `index` is the index that it reads, for messages.
  func call(
    _ operation: String, index: String? = nil, until deadline: BootTime, _ write: (inout JSONWriter) -> Void
  ) throws(DynamoDBError) -> DynamoDBAnswer {
    var document = JSONWriter(capacity: 4_096)
    document.beginMap(count: 0)
    write(&document)
    document.endMap()
    let request = HTTPRequest(
      method: "POST", url: endpoint.url("/"),
      headers: [
        HeaderField(.contentType, "application/x-amz-json-1.0"),
        HeaderField("X-Amz-Target", "DynamoDB_20120810.\(operation)"),
      ], body: document.bytes)
    var damage = ""
    for _ in 0..<StandardRetry.maximumAttempts {
      requestCount += 1
      let response: HTTPResponse
      do throws(ServiceFailure) {
        response = try client.send(request, until: deadline).response
      } catch {
        throw DynamoDBError(error, operation, table, index: index)
      }
      guard isIntact(response) else {
        damage = "its checksum is wrong"
        continue
      }
      do throws(ScanError) {
        return try DynamoDBAnswer(parsing: response.body, table: table)
      } catch {
        damage = "it is \(error)"
      }
    }
    throw DynamoDBError(.malformed(damage), operation, table)
  }

  private func isIntact(_ response: HTTPResponse) -> Bool {
    guard let stated = response.header("x-amz-crc32").flatMap({ UInt32($0) }) else { return true }
    return crc32(response.body) == stated
  }
}

extension DynamoDBClient.Put {
  fileprivate func write(to document: inout JSONWriter, table: String) {
    document.member("TableName", table)
    document.key("Item")
    document.attributes(item)
    switch condition {
    case .none: break
    case .absent: document.member("ConditionExpression", "attribute_not_exists(pk)")
    case .version(let version):
      document.member("ConditionExpression", "#v = :v")
      document.key("ExpressionAttributeNames")
      document.beginMap(count: 1)
      document.member("#v", "version")
      document.endMap()
      document.key("ExpressionAttributeValues")
      document.attributes([":v": .number(version)])
    }
  }
}
