import AWSClient
import HTTPClient
import Platform
import TestSupport
import Testing
import WireFormats

private func answer(_ json: String, status: Int = 200, crc: UInt32? = nil) -> Result<HTTPResponse, HTTPError>
{
  let body = Array(json.utf8)
  return .success(
    HTTPResponse(
      status: status, headers: [HeaderField("x-amz-crc32", String(crc ?? crc32(body)))], body: body))
}

struct `The DynamoDB client` {
  private let time = ManualTime()

  private func client(_ exchange: ScriptedExchange) throws -> DynamoDBClient {
    let credentials = EnvironmentCredentials(
      Environment(["AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s3cr3t"]))
    let signing = ServiceClient.Signing(
      region: "eu-west-1", service: AWSService.dynamoDB.signingName, credentials: credentials)
    return DynamoDBClient(
      ServiceClient(signing, exchange, time: time, log: Log { _, _ in }, jitter: { 1 }),
      try ServiceEndpoint(of: .dynamoDB, region: "eu-west-1"), table: "fleet")
  }

  private var deadline: BootTime { time.bootTime.advanced(by: .seconds(60)) }

  private func body(_ request: HTTPRequest) throws -> JSONValue { try JSONValue(parsing: request.body) }

  @Test func `reads items consistently, and skips attributes of other types`() throws {
    let exchange = ScriptedExchange([
      answer(
        #"{"Responses":{"fleet":[{"pk":{"S":"a"},"n":{"N":"-7"},"b":{"B":"AQI="},"m":{"M":{}},"d":{"N":"1.5"}}]}}"#
      )
    ])
    let items = try client(exchange).items([DynamoDBClient.Key("a", "b")], until: deadline)
    #expect(items == [["pk": .string("a"), "n": .number(-7), "b": .binary([1, 2])]])
    let request = try #require(exchange.requests.first)
    #expect(
      request.headers.contains(HeaderField("X-Amz-Target", "DynamoDB_20120810.BatchGetItem")))
    #expect(
      request.headers.first { $0.name == .authorization }?.value.contains("/eu-west-1/dynamodb/aws4_request")
        == true)
    #expect(
      String(decoding: request.body, as: UTF8.self)
        == #"{"RequestItems":{"fleet":{"Keys":[{"pk":{"S":"a"},"sk":{"S":"b"}}],"ConsistentRead":true}}}"#)
  }

  @Test(
    arguments: [
      ("0", 0), ("999999999999999999", 999_999_999_999_999_999), ("9223372036854775807", .max),
      ("-9223372036854775808", .min), ("007", 7), ("9223372036854775808", nil), ("1e3", nil), ("12x", nil),
      ("", nil), ("-", nil), ("1 ", nil),
    ] as [(String, Int64?)])
  func `reads whole numbers of 64 bits`(text: String, number: Int64?) throws {
    let exchange = ScriptedExchange([answer(#"{"Responses":{"fleet":[{"n":{"N":"\#(text)"}}]}}"#)])
    let items = try client(exchange).items([DynamoDBClient.Key("a", "b")], until: deadline)
    #expect(items.map { $0["n"]?.number } == [number])
  }

  @Test func `reads what wasn't processed again after a wait`() throws {
    let exchange = ScriptedExchange([
      answer(
        #"{"Responses":{"fleet":[{"pk":{"S":"a"}}]},"UnprocessedKeys":{"fleet":{"Keys":[{"pk":{"S":"c"},"sk":{"S":"d"}}]}}}"#
      ),
      answer(#"{"Responses":{"fleet":[{"pk":{"S":"c"}}]},"UnprocessedKeys":{}}"#),
    ])
    let keys = [DynamoDBClient.Key("a", "b"), DynamoDBClient.Key("c", "d")]
    let items = try client(exchange).items(keys, until: deadline)
    #expect(items.map { $0["pk"]?.string } == ["a", "c"])
    #expect(time.sleeps.count == 1)
    let second = try body(exchange.requests[1])
    #expect(second["RequestItems"]?["fleet"]?["Keys"]?.array?.count == 1)
  }

  @Test func `gives up on unprocessed keys before the deadline`() throws {
    let never = answer(
      #"{"Responses":{"fleet":[]},"UnprocessedKeys":{"fleet":{"Keys":[{"pk":{"S":"c"},"sk":{"S":"d"}}]}}}"#)
    let exchange = ScriptedExchange(Array(repeating: never, count: 1_000))
    let end = deadline
    #expect(throws: DynamoDBError.self) {
      try client(exchange).items([DynamoDBClient.Key("c", "d")], until: end)
    }
    #expect(time.bootTime < end && exchange.answers.count > 900)
  }

  @Test func `says what to do if no time is left`() throws {
    let error = #expect(throws: DynamoDBError.self) {
      try client(ScriptedExchange([])).put(DynamoDBClient.Put([:], .none), until: time.bootTime)
    }
    #expect(error?.description.hasSuffix("Allow more time, or make the batch smaller.") == true)
  }

  @Test(arguments: [
    (DynamoDBClient.Condition.none, nil), (.absent, "attribute_not_exists(pk)"), (.version(4), "#v = :v"),
  ])
  func `writes under a condition`(condition: DynamoDBClient.Condition, expected: String?) throws {
    let exchange = ScriptedExchange([answer("{}")])
    try client(exchange).put(DynamoDBClient.Put(["pk": .string("a")], condition), until: deadline)
    let sent = try body(exchange.requests[0])
    #expect(sent["ConditionExpression"]?.string == expected)
    #expect(
      (sent["ExpressionAttributeValues"]?[":v"]?["N"]?.string == "4") == (condition == .version(4)))
  }

  @Test(arguments: [
    ("ConditionalCheckFailedException", DynamoDBError.Cause.conditionFailed),
    ("TransactionConflictException", .conditionFailed),
    ("TransactionCanceledException", .transactionCancelled),
  ])
  func `recognises a changed item, and doesn't retry`(code: String, cause: DynamoDBError.Cause) throws {
    let exchange = ScriptedExchange([
      answer(#"{"__type":"com.amazonaws.dynamodb.v20120810#\#(code)","Message":"m"}"#, status: 400)
    ])
    let error = #expect(throws: DynamoDBError.self) {
      try client(exchange).put(DynamoDBClient.Put(["pk": .string("a")], .absent), until: deadline)
    }
    #expect(error?.cause == cause)
    #expect(exchange.requests.count == 1)
  }

  @Test(arguments: [
    ("AccessDeniedException", "Allow the role dynamodb:PutItem on the table."),
    ("ResourceNotFoundException", "Create the table in this region, or correct its name."),
    ("ProvisionedThroughputExceededException", "Use on-demand capacity, or raise the table's capacity."),
  ])
  func `names the table and what to do`(code: String, advice: String) throws {
    let refusal = answer(#"{"__type":"x#\#(code)","message":"m"}"#, status: 400)
    let exchange = ScriptedExchange([refusal, refusal, refusal])
    let error = #expect(throws: DynamoDBError.self) {
      try client(exchange).put(DynamoDBClient.Put(["pk": .string("a")], .absent), until: deadline)
    }
    let text = try #require(error).description
    #expect(text.contains("'fleet'") && text.hasSuffix(advice), "\(text)")
  }

  @Test(arguments: [
    ("AccessDeniedException", "Allow the role dynamodb:Query on the index, table/fleet/index/attention."),
    ("ValidationException", "Create the index; docs/detect-fleet.md has its keys."),
  ])
  func `names the index and what to do`(code: String, advice: String) throws {
    let exchange = ScriptedExchange([answer(#"{"__type":"x#\#(code)","message":"m"}"#, status: 400)])
    var query = DynamoDBQuery("attention", .string("1"))
    query.index = "attention"
    let error = #expect(throws: DynamoDBError.self) { try client(exchange).items(query, until: deadline) }
    let text = try #require(error).description
    #expect(text.contains("the index 'attention' of the table 'fleet'") && text.hasSuffix(advice), "\(text)")
    #expect(error?.rejectsItems == false)
  }

  @Test func `knows an error about the written items from one about the table`() throws {
    for (code, isAboutItems) in [("ValidationException", true), ("AccessDeniedException", false)] {
      let exchange = ScriptedExchange([answer(#"{"__type":"x#\#(code)","message":"m"}"#, status: 400)])
      let error = #expect(throws: DynamoDBError.self) {
        try client(exchange).put(DynamoDBClient.Put(["pk": .string("a")], .absent), until: deadline)
      }
      #expect(error?.rejectsItems == isAboutItems)
    }
  }

  @Test func `requests a damaged answer again`() throws {
    let exchange = ScriptedExchange([
      answer(#"{"Responses":{"fleet":[{"pk":{"S":"wrong"}}]}}"#, crc: 1),
      answer(#"{"Responses":{"fleet":[{"pk":{"S":"right"}}]}}"#),
    ])
    let items = try client(exchange).items([DynamoDBClient.Key("a", "b")], until: deadline)
    #expect(items.map { $0["pk"]?.string } == ["right"])
  }

  @Test func `writes 25 items at a time, and those again that weren't processed`() throws {
    let exchange = ScriptedExchange([
      answer(#"{"UnprocessedItems":{"fleet":[{"PutRequest":{"Item":{"pk":{"S":"0"}}}}]}}"#), answer("{}"),
    ])
    try client(exchange).putEach((0..<30).map { ["pk": .string("\($0)")] }, until: deadline)
    let sizes = try exchange.requests.map { try body($0)["RequestItems"]?["fleet"]?.array?.count }
    #expect(sizes == [25, 6])
  }

  @Test func `follows a query from page to page`() throws {
    let exchange = ScriptedExchange([
      answer(#"{"Items":[{"sk":{"S":"1"}}],"LastEvaluatedKey":{"pk":{"S":"p"},"sk":{"S":"1"}}}"#),
      answer(#"{"Items":[{"sk":{"S":"2"}}]}"#),
    ])
    var query = DynamoDBQuery("pk", .string("p"))
    query.range = ("sk", .string("1"), .string("3"))
    let items = try client(exchange).items(query, until: deadline)
    #expect(items.map { $0["sk"]?.string } == ["1", "2"])
    let second = try body(exchange.requests[1])
    #expect(second["ExclusiveStartKey"]?["sk"]?["S"]?.string == "1")
    #expect(second["KeyConditionExpression"]?.string == "#p = :p AND #r BETWEEN :from AND :to")
  }
}
