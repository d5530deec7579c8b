package import Platform
import WireFormats

/// A query: the items of one partition, or those within a range of the sort key.
package struct DynamoDBQuery: Sendable {
  /// The index; nil for the table itself.
  package var index: String?
  /// The name and the value of the partition key.
  package var partition: (name: String, value: AttributeValue)
  /// The name of the sort key, and the range of it to read, both ends included.
  package var range: (name: String, from: AttributeValue, to: AttributeValue)?
  /// The largest number of items of a page; nil for as many as 1 MB holds.
  package var pageSize: Int?

  /// Creates a query for all items of a partition.
  package init(_ name: String, _ value: AttributeValue) { partition = (name, value) }

  fileprivate func write(to document: inout JSONWriter, after key: DynamoDBItem?) {
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
    if let pageSize { document.member("Limit", UInt64(clamping: pageSize)) }
    // A query of an index can't be consistent.
    if index == nil {
      document.key("ConsistentRead")
      document.boolean(true)
    }
    if let key {
      document.key("ExclusiveStartKey")
      document.attributes(key)
    }
  }
}

/// A part of the items that match a query.
package struct DynamoDBPage: Sendable {
  package let items: [DynamoDBItem]
  /// The key after which the next page begins; nil if this is the last one.
  fileprivate let last: DynamoDBItem?

  package var isLast: Bool { last == nil }
}

extension DynamoDBClient {
  /// Returns the items that match a query, in the order of the sort key.
  package func items(_ query: DynamoDBQuery, until deadline: BootTime) throws(DynamoDBError) -> [DynamoDBItem]
  {
    var page = try page(query, after: nil, until: deadline)
    var found = page.items
    while !page.isLast {
      page = try self.page(query, after: page, until: deadline)
      found += page.items
    }
    return found
  }

  /// Returns the page that follows another one; with nil, the first one. A page that isn't the last may be empty.
  package func page(
    _ query: DynamoDBQuery, after page: DynamoDBPage?, until deadline: BootTime
  ) throws(DynamoDBError) -> DynamoDBPage {
    let answer = try call("Query", index: query.index, until: deadline) { [table] document in
      document.member("TableName", table)
      query.write(to: &document, after: page?.last)
    }
    return DynamoDBPage(items: answer.items ?? [], last: answer.lastKey)
  }
}
