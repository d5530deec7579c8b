package import Platform
import WireFormats

/// A query: the items of one partition, or those within a range of the sort key.
package struct DynamoDBQuery: Sendable {
  /// The index; nil for the table itself.
  package var index: String?
  /// The name and the value of the partition key.
  package let partition: (name: String, value: AttributeValue)
  /// The name of the sort key, and the range of it to read, both ends included.
  package var range: (name: String, from: AttributeValue, to: AttributeValue)?
  /// The largest number of items to return; nil for all.
  package var limit: Int?

  /// Creates a query for all items of a partition.
  package init(_ name: String, _ value: AttributeValue) { partition = (name, value) }

  fileprivate func write(to document: inout JSONWriter, after key: JSONValue?) {
    if let index { document.member("IndexName", index) }
    var names = ["#p": partition.name]
    var values: DynamoDBItem = [":p": partition.value]
    var condition = "#p = :p"
    if let range {
      condition += " AND #r BETWEEN :from AND :to"
      names["#r"] = range.name
      values[":from"] = range.from
      values[":to"] = range.to
    }
    document.member("KeyConditionExpression", condition)
    document.key("ExpressionAttributeNames")
    document.beginMap(count: names.count)
    for (name, value) in names.sorted(by: { $0.key < $1.key }) { document.member(name, value) }
    document.endMap()
    document.key("ExpressionAttributeValues")
    document.attributes(values)
    if let limit { document.member("Limit", UInt64(clamping: limit)) }
    // A query of an index can't be consistent.
    if index == nil {
      document.key("ConsistentRead")
      document.boolean(true)
    }
    if let key {
      document.key("ExclusiveStartKey")
      key.write(to: &document)
    }
  }
}

extension DynamoDBClient {
  /// Returns the items that match a query, in the order of the sort key.
  package func items(_ query: DynamoDBQuery, until deadline: BootTime) throws(DynamoDBError) -> [DynamoDBItem]
  {
    var found: [DynamoDBItem] = []
    var last: JSONValue?
    while true {
      let answer = try call("Query", until: deadline) { [table] document in
        document.member("TableName", table)
        query.write(to: &document, after: last)
      }
      found += answer["Items"]?.array?.map(\.item) ?? []
      if let limit = query.limit, found.count >= limit { return Array(found.prefix(limit)) }
      // The next page begins after this key; without it, this was the last page.
      guard let key = answer["LastEvaluatedKey"], key.members?.isEmpty == false else { return found }
      last = key
    }
  }
}
