import AWSClient
import Detection
import FleetDetection
import HTTPClient
import Platform
import TestSupport
import Testing
import WireFormats

/// A table in memory behind the HTTP seam: the operations that the store uses, and how often.
private final class TableInMemory: HTTPExchange {
  fileprivate(set) var items: [String: JSONValue] = [:]
  private(set) var calls: [String: Int] = [:]
  /// The operations in their order.
  private(set) var log: [String] = []
  /// The most items of an answer to a query.
  var pageLimit = Int.max
  /// The tokens of transactions that were done.
  private var tokens: Set<String> = []
  /// Whether the answer to the next transaction is lost.
  var losesAnswer = false
  /// The item that is too large.
  var rejectedThing: String?
  /// The largest transaction in bytes of items.
  private(set) var largestTransaction = 0

  func exchange(_ request: HTTPRequest, timeout: Duration) throws(HTTPError) -> HTTPResponse {
    let target = request.headers.first { $0.name == "X-Amz-Target" }?.value ?? ""
    let operation = String(target.dropFirst("DynamoDB_20120810.".utf8.count))
    calls[operation, default: 0] += 1
    log.append(operation)
    guard let document = try? JSONValue(parsing: request.body) else { return HTTPResponse(status: 500) }
    switch operation {
    case "BatchGetItem":
      let keys = document["RequestItems"]?["fleet"]?["Keys"]?.array ?? []
      return answer(#"{"Responses":{"fleet":[\#(list(keys.compactMap { items[Self.key($0)] }))]}}"#)
    case "PutItem": return put([document])
    case "TransactWriteItems":
      let token = document["ClientRequestToken"]?.string ?? ""
      if !token.isEmpty, tokens.contains(token) { return answer("{}") }
      let answer = put((document["TransactItems"]?.array ?? []).compactMap { $0["Put"] })
      largestTransaction = max(largestTransaction, request.body.count)
      if answer.isSuccess { tokens.insert(token) }
      if losesAnswer {
        losesAnswer = false
        return HTTPResponse(status: 503)
      }
      return answer
    case "BatchWriteItem":
      let writes = document["RequestItems"]?["fleet"]?.array ?? []
      let added = writes.compactMap { $0["PutRequest"]?["Item"] }
      guard added.count <= 25, Set(added.map(Self.key)).count == added.count else {
        return HTTPResponse(status: 400)
      }
      for item in added { items[Self.key(item)] = item }
      return answer("{}")
    case "UpdateItem": return update(document)
    case "Query":
      let values = document["ExpressionAttributeValues"]
      let name = document["ExpressionAttributeNames"]?["#p"]?.string ?? ""
      let isByTime = values?[":from"]?["N"] != nil
      let (from, to) = (values?[":from"]?["S"]?.string ?? "", values?[":to"]?["S"]?.string ?? "\u{FFFF}")
      let latest = values?[":to"]?["N"]?.string.flatMap { Int64($0) } ?? .max
      let found = items.sorted { $0.key < $1.key }.map(\.value).filter { item in
        let sort = item["sk"]?["S"]?.string ?? ""
        let seen = item["seen"]?["N"]?.string.flatMap { Int64($0) } ?? 0
        return item[name] == values?[":p"] && (isByTime ? seen <= latest : sort >= from && sort <= to)
      }
      return page(of: found, document)
    default: return HTTPResponse(status: 400)
    }
  }

  private func page(of found: [JSONValue], _ query: JSONValue) -> HTTPResponse {
    let start = query["ExclusiveStartKey"].map { key in
      (found.firstIndex { Self.key($0) == Self.key(key) } ?? found.count - 1) + 1
    }
    let limit: Int? = query["Limit"]?.integer()
    let rest = found.dropFirst(start ?? 0)
    let page = rest.prefix(min(pageLimit, limit ?? .max))
    var last = ""
    if page.count < rest.count, let item = page.last {
      let key = ["pk", "sk"].map { "\"\($0)\":\(list([item[$0] ?? .null]))" }.joined(separator: ",")
      last = #","LastEvaluatedKey":{\#(key)}"#
    }
    return answer(#"{"Items":[\#(list(Array(page)))]\#(last)}"#)
  }

  /// Performs `SET #s = :s ADD #0 :0, …`.
  private func update(_ document: JSONValue) -> HTTPResponse {
    let (names, values) = (document["ExpressionAttributeNames"], document["ExpressionAttributeValues"])
    guard let key = document["Key"], let expression = document["UpdateExpression"]?.string,
      expression.hasPrefix("SET #s = :s ADD #0 :0"), let set = names?["#s"]?.string, let value = values?[":s"]
    else { return HTTPResponse(status: 400) }
    var members = (items[Self.key(key)] ?? key).members ?? []
    members.removeAll { $0.name == set }
    members.append(JSONValue.Member(name: set, value: value))
    for member in names?.members ?? [] where member.name != "#s" {
      guard let name = member.value.string, let added = values?[":\(member.name.dropFirst())"]?["N"]?.string
      else { return HTTPResponse(status: 400) }
      let former = members.first { $0.name == name }?.value["N"]?.string ?? "0"
      members.removeAll { $0.name == name }
      let sum = String((Int(former) ?? 0) + (Int(added) ?? 0))
      let number = JSONValue.object([JSONValue.Member(name: "N", value: .string(sum))])
      members.append(JSONValue.Member(name: name, value: number))
    }
    items[Self.key(key)] = .object(members)
    return answer("{}")
  }

  private func put(_ puts: [JSONValue]) -> HTTPResponse {
    for put in puts {
      if let rejectedThing, put["Item"]?["pk"]?["S"]?.string == "thing#\(rejectedThing)" {
        return HTTPResponse(status: 400, body: Array(#"{"__type":"x#ValidationException"}"#.utf8))
      }
      let present = put["Item"].flatMap { items[Self.key($0)] }
      let isHeld =
        switch put["ConditionExpression"]?.string {
        case nil: true
        case "attribute_not_exists(pk)": present == nil
        default: present?["version"] == put["ExpressionAttributeValues"]?[":v"]
        }
      let code = puts.count > 1 ? "TransactionCanceledException" : "ConditionalCheckFailedException"
      if !isHeld { return HTTPResponse(status: 400, body: Array(#"{"__type":"x#\#(code)"}"#.utf8)) }
    }
    for put in puts { if let item = put["Item"] { items[Self.key(item)] = item } }
    return answer("{}")
  }

  private func answer(_ json: String) -> HTTPResponse { HTTPResponse(status: 200, body: Array(json.utf8)) }

  private func list(_ values: [JSONValue]) -> String {
    values.map { value in
      var document = JSONWriter()
      value.write(to: &document)
      return String(decoding: document.bytes, as: UTF8.self)
    }.joined(separator: ",")
  }

  private static func key(_ item: JSONValue) -> String {
    "\(item["pk"]?["S"]?.string ?? "")\n\(item["sk"]?["S"]?.string ?? "")"
  }
}

struct `The store in DynamoDB` {
  private let fleet = FleetFixture()
  private let table = TableInMemory()

  /// The random number that selects the first partition.
  private let shard = Shard()

  private final class Shard { var first: UInt32 = 0 }

  private func store(watchesSilence: Bool = false) throws -> DynamoDBStore {
    let credentials = EnvironmentCredentials(
      Environment(["AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s3cr3t"]))
    let signing = ServiceClient.Signing(
      region: "eu-west-1", service: AWSService.dynamoDB.signingName, credentials: credentials)
    let client = ServiceClient(signing, table, time: fleet.time, log: fleet.log.log(), jitter: { 1 })
    return DynamoDBStore(
      DynamoDBClient(client, try ServiceEndpoint(of: .dynamoDB, region: "eu-west-1"), table: "fleet"),
      retention: .seconds(30 * 86_400), watchesSilence: watchesSilence, time: fleet.time,
      log: fleet.log.log(),
      firstShard: { [shard] in shard.first })
  }

  private func batch(_ id: Int, _ ports: [Int], things: Int = 100) -> [String] {
    (0..<things).map { report(id, ports, thing: "pump-\($0)") }
  }

  @Test func `takes 2 requests for 100 reports that change nothing, and 1 within the hour`() throws {
    let store = try store()
    try fleet.process(batch(1, [22]), fleet.detector(store))
    #expect(table.calls == ["BatchGetItem": 1, "TransactWriteItems": 1])
    try fleet.process(batch(2, [443]), fleet.detector(store))
    #expect(table.calls == ["BatchGetItem": 2, "TransactWriteItems": 1])
  }

  @Test func `takes 106 requests for 100 reports that each change an alarm`() throws {
    let store = try store()
    try fleet.process(batch(1, [8080]), fleet.detector(store))
    #expect(
      table.calls == ["BatchGetItem": 1, "PutItem": 100, "BatchWriteItem": 4, "TransactWriteItems": 1])
    #expect(store.requestCount == 106 && fleet.delivery.events.count == 100)
  }

  @Test func `takes 103 requests for 100 reports that are compared with a percentile`() throws {
    let fleet = FleetFixture([
      """
      {"securityProfileName":"p","behaviors":[{"name":"high","metric":"aws:num-listening-tcp-ports",
      "criteria":{"comparisonOperator":"less-than-equals","statisticalThreshold":{"statistic":"p99"},"durationSeconds":300}}]}
      """
    ])
    let stores = [try store(), try store()]
    fleet.time.advance(by: .seconds(3_600))
    for window in 0..<3 {
      let reports = (0..<100).map { number in
        report(
          window * 300 + number, Array(repeating: 22, count: number == 7 && window == 0 ? 9 : 1),
          thing: "pump-\(number)")
      }
      let before = table.calls
      try fleet.process(reports, fleet.detector(stores[window % 2]))
      let calls = table.calls.map { ($0.key, $0.value - before[$0.key, default: 0]) }.filter { $0.1 > 0 }
      guard window == 2 else { continue }
      // One value exceeds p99: the alarm takes two more requests.
      #expect(
        Dictionary(uniqueKeysWithValues: calls) == [
          "BatchGetItem": 1, "Query": 1, "PutItem": 101, "UpdateItem": 1, "BatchWriteItem": 1,
        ])
    }
    #expect(fleet.delivery.events.map(\.thing) == ["pump-7"])
    // The values of one window, also of several processes.
    let sketches = table.items.filter { $0.key.hasPrefix("sketch#p#high#") }
    #expect(Set(sketches.keys.map { $0.prefix { $0 != "\n" } }).count == 2)
    #expect(sketches.values.allSatisfy { $0["expires"]?["N"]?.string == String(1_700_000_100 + 3 * 86_400) })
  }

  @Test func `adds values of processes to different items, and reads them together`() throws {
    let key = SketchKey(profile: "p", behavior: "b", fingerprint: 1, window: 2, length: 300_000)
    let buckets = Array(-1_400..<(-1_100)) + [0, 2_340]
    var sketch = PercentileSketch()
    for bucket in buckets { sketch.add(bucket, count: 2) }
    for _ in 0..<4 { try store().add([key: sketch], until: fleet.deadline) }
    // Each request adds to at most 100 numbers.
    #expect(table.calls == ["UpdateItem": 16])
    let found = try store().sketch(key, until: fleet.deadline)
    #expect(found.counts == Dictionary(uniqueKeysWithValues: buckets.map { ($0, UInt64(8)) }))
    let other = SketchKey(profile: "p", behavior: "b", fingerprint: 2, window: 2, length: 300_000)
    #expect(try store().sketch(other, until: fleet.deadline).isEmpty)
  }

  @Test func `keeps everything of an item`() throws {
    let store = try store()
    fleet.delivery.failure = DeliveryError("SNS is down.")
    try fleet.process([report(1, [8080])], fleet.detector(store))
    let key = StateItem.Key(thing: "pump-1", profile: "ports")
    let item = try #require(try store.items([key], until: fleet.deadline).first)
    // Once for the alarm, and once because the history has it.
    #expect(item.version == 2 && item.outbox.count == 1 && item.alarms.count == 1 && item.state.hasAlarms)
    #expect(item.seen == 1_700_000_100_000 && item.updated == item.seen)
    var waiting: [StateItem] = []
    try store.visitItemsThatNeedAttention(until: fleet.deadline) { waiting += $0 }
    #expect(waiting == [item])
    let stored = try #require(table.items["thing#pump-1\nstate#ports"])
    #expect(stored["expires"]?["N"]?.string == String(1_700_000_100 + 30 * 86_400))
    fleet.delivery.failure = nil
    fleet.time.advance(by: .seconds(61))
    try fleet.sweep(store)
    try fleet.process([report(2, [22])], fleet.detector(store))
    #expect(table.items["thing#pump-1\nstate#ports"]?["attention"] == nil)
  }

  @Test func `writes the items of a transaction that weren't changed meanwhile`() throws {
    let store = try store()
    let items = (0..<7).map { StateItem(StateItem.Key(thing: "pump-\($0)", profile: "ports")) }
    #expect(try store.save(items[2], until: fleet.deadline))
    #expect(
      try store.saveAll(items, until: fleet.deadline) == [true, true, false, true, true, true, true])
  }

  private func items(_ count: Int, alarmBytes: Int = 0) -> [StateItem] {
    (0..<count).map { number in
      var item = StateItem(StateItem.Key(thing: "pump-\(number)", profile: "ports"))
      if alarmBytes > 0 {
        item.outbox = [
          OutboxEntry(event: Array(repeating: UInt8(ascii: "1"), count: alarmBytes), targets: [])
        ]
      }
      return item
    }
  }

  @Test func `waits before it writes the halves of a cancelled transaction, within the deadline`() throws {
    let store = try store()
    let items = items(8)
    #expect(try store.save(items[2], until: fleet.deadline))
    let before = fleet.time.sleeps.count
    #expect(try store.saveAll(items, until: fleet.deadline).count { $0 } == 7)
    // 8, 4 and 2 items were cancelled.
    #expect(fleet.time.sleeps.count - before == 3)
    let end = fleet.time.bootTime.advanced(by: .milliseconds(1))
    let error = #expect(throws: StoreError.self) { try store.saveAll(items, until: end) }
    #expect(error?.scope == .time)
  }

  @Test func `splits transactions by their size`() throws {
    let store = try store()
    let saved = try store.saveAll(items(20, alarmBytes: 300_000), until: fleet.deadline)
    #expect(saved.count == 20 && saved.allSatisfy { $0 })
    // Base64 makes four bytes of three.
    #expect(table.largestTransaction < 4_194_304 / 3 * 4 && table.calls["TransactWriteItems"] == 2)
  }

  @Test func `retries a transaction whose answer was lost only once`() throws {
    let store = try store()
    table.losesAnswer = true
    #expect(try store.saveAll(items(100), until: fleet.deadline).allSatisfy { $0 })
    #expect(table.calls == ["TransactWriteItems": 2])
  }

  @Test func `writes the items of a transaction that has a rejected one, and names that one`() throws {
    let store = try store()
    table.rejectedThing = "pump-1"
    #expect(try store.saveAll(items(4), until: fleet.deadline) == [true, false, true, true])
    #expect(fleet.log.lines.contains { $0.includes("ERROR") && $0.includes("thing#pump-1") })
    let error = #expect(throws: StoreError.self) { try store.save(items(2)[1], until: fleet.deadline) }
    #expect(error?.scope == .item)
  }

  @Test func `takes few requests while alarms are active`() throws {
    let store = try store()
    let detector = fleet.detector(store)
    try fleet.process(batch(0, [8080]), detector)
    let before = store.requestCount
    for number in 1...12 {
      fleet.time.advance(by: .seconds(300))
      try fleet.process(batch(number * 300, [8080]), detector)
    }
    // 12 reads, and a write each quarter of an hour: 0.0134 requests for each of 1,200 reports.
    #expect(store.requestCount - before == 16)
  }

  @Test func `finds the events of a thing by time`() throws {
    let store = try store()
    try fleet.process([report(1, [8080]), report(2, [22]), report(90, [8080])], fleet.detector(store))
    let times: ClosedRange<UInt64> = 1_700_000_002...1_700_000_090
    let events = try store.events(of: "pump-1", times, until: fleet.deadline)
    #expect(events.map(\.type) == ["alarm-cleared", "in-alarm"])
    #expect(try store.events(of: "pump-2", times, until: fleet.deadline).isEmpty)
  }

  @Test func `finds silent things, and those with an alarm about it only once`() throws {
    let store = try store(watchesSilence: true)
    fleet.silence = .seconds(600)
    try fleet.process([report(1, [22]), report(1, [22], thing: "pump-2")], fleet.detector(store))
    fleet.time.advance(by: .seconds(500))
    try fleet.process([report(2, [22], thing: "pump-2")], fleet.detector(store))
    fleet.time.advance(by: .seconds(401))
    try fleet.sweep(store)
    #expect(fleet.delivery.events.map(\.thing) == ["pump-1"])
    var unseen: [String] = []
    try store.visitItems(seen: 0..<(.max), until: fleet.deadline) { unseen += $0.map(\.key.thing) }
    #expect(unseen == ["pump-2"])
  }

  @Test func `handles a page of the index before it reads the next one, beginning anywhere`() throws {
    let store = try store()
    try fleet.process(batch(1, [8080], things: 250), fleet.detector(store))
    table.pageLimit = 5
    var visits: [[String]] = []
    let before = table.log.count
    try store.visitItemsThatNeedAttention(until: fleet.deadline) { items in
      visits.append(items.map(\.key.thing))
      #expect(table.log.last == "BatchGetItem")
    }
    #expect(visits.allSatisfy { $0.count <= 5 } && Set(visits.joined()).count == 250)
    #expect(visits.joined().count == 250 && table.log[before...].filter { $0 == "Query" }.count >= 50)
    shard.first = 9
    var first: String?
    try store.visitItemsThatNeedAttention(until: fleet.deadline) { first = first ?? $0.first?.key.thing }
    #expect(first != nil && first != visits.first?.first)
  }

  @Test func `treats a visitor's error as the end`() throws {
    let store = try store()
    try fleet.process(batch(1, [8080]), fleet.detector(store))
    let before = table.log.count
    #expect(throws: StoreError("Enough.")) {
      try store.visitItemsThatNeedAttention(until: fleet.deadline) { _ throws(StoreError) in
        throw StoreError("Enough.")
      }
    }
    #expect(table.log.count - before <= 17)
  }

  @Test func `keeps profiles`() throws {
    let store = try store()
    let document = ProfileDocument(name: "ports", text: Array(FleetFixture.ports.utf8))
    try store.save(document, until: fleet.deadline)
    #expect(try store.profiles(until: fleet.deadline).map { try $0.get().text } == [document.text])
  }

  @Test func `keeps the alarms of a stored profile that has no text, and says so`() throws {
    let store = try store()
    fleet.files = []
    fleet.profileStore = store
    let document = ProfileDocument(name: "ports", text: Array(FleetFixture.ports.utf8))
    try store.save(document, until: fleet.deadline)
    try fleet.process([report(1, [8080])], fleet.detector(store))
    let item = #"{"pk":{"S":"profile"},"sk":{"S":"ports"},"document":{"B":"e30="}}"#
    table.items["profile\nports"] = try JSONValue(parsing: Array(item.utf8))
    try fleet.sweep(store)
    #expect(fleet.delivery.types == ["in-alarm"])
    #expect(
      fleet.log.lines.contains {
        $0.includes("ERROR") && $0.includes("the item 'ports' of the table 'fleet'")
          && $0.includes("'document'")
      })
  }

  @Test func `forgets the alarms of a damaged state, and keeps its events`() throws {
    let store = try store()
    fleet.delivery.failure = DeliveryError("SNS is down.")
    try fleet.process([report(1, [8080])], fleet.detector(store))
    table.damageState(of: "thing#pump-1\nstate#ports")
    let key = StateItem.Key(thing: "pump-1", profile: "ports")
    let item = try #require(try store.items([key], until: fleet.deadline).first)
    #expect(!item.state.hasAlarms && item.alarms == [] && item.outbox.count == 1 && item.version == 2)
    #expect(fleet.log.lines.contains { $0.includes("'pump-1'") && $0.includes("ERROR") })
  }
}

extension TableInMemory {
  fileprivate func damageState(of key: String) {
    let members = (items[key]?.members ?? []).map { member in
      member.name == "state"
        ? JSONValue.Member(
          name: "state", value: .object([JSONValue.Member(name: "B", value: .string("AAAA"))]))
        : member
    }
    items[key] = .object(members)
  }
}
