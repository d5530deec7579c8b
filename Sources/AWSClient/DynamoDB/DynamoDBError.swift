import Platform

/// Why a request to a table failed.
package struct DynamoDBError: Error, Equatable, Sendable, CustomStringConvertible {
  package enum Cause: Equatable, Sendable {
    /// The item isn't in the state that the condition demands.
    case conditionFailed
    /// An item of a transaction isn't in the demanded state, or another transaction holds it.
    case transactionCancelled
    case service(ServiceFailure.Cause)
    /// The response can't be used, although its status is a success.
    case malformed(String)
  }

  package let cause: Cause
  /// The operation, such as `PutItem`.
  package let operation: String
  package let table: String
  /// The index that was read; nil if it was the table itself.
  package let index: String?

  init(_ cause: Cause, _ operation: String, _ table: String, index: String? = nil) {
    self.cause = cause
    self.operation = operation
    self.table = table
    self.index = index
  }

  init(_ failure: ServiceFailure, _ operation: String, _ table: String, index: String? = nil) {
    switch failure.refusal?.code {
    // A write during a transaction on the same item is refused; the item has another version afterwards.
    case "ConditionalCheckFailedException", "TransactionConflictException":
      self.init(.conditionFailed, operation, table)
    case "TransactionCanceledException": self.init(.transactionCancelled, operation, table)
    default: self.init(.service(failure.cause), operation, table, index: index)
    }
  }

  /// Whether DynamoDB rejects what the items of this request contain, such as one of more than 400 KB. Other writes aren't affected.
  package var rejectsItems: Bool {
    guard case .service(.refused(let error)) = cause else { return false }
    return error.code == "ValidationException" && operation != "Query" && operation != "BatchGetItem"
  }

  /// Whether an item isn't in the state that a condition demands, or another transaction holds it.
  package var isConditionFailed: Bool { cause == .conditionFailed || cause == .transactionCancelled }

  /// Whether only the deadline ended the request.
  package var isOutOfTime: Bool { cause == .service(.noTimeLeft) }

  package var description: String {
    let place = index.map { "the index '\($0)' of the table '\(table)'" } ?? "the table '\(table)'"
    let failed = "\(operation) on \(place) failed"
    switch cause {
    case .conditionFailed: return "\(failed): the item was changed meanwhile."
    case .transactionCancelled: return "\(failed): an item of the transaction was changed meanwhile."
    case .malformed(let reason): return "\(failed): the answer can't be used: \(reason)."
    case .service(let cause):
      let reason = ServiceFailure(cause, attempts: 0).reason
      return "\(failed): \(sentence(reason)) \(advice(cause))"
    }
  }

  private func advice(_ cause: ServiceFailure.Cause) -> String {
    let failure = ServiceFailure(cause, attempts: 0)
    guard let error = failure.refusal else { return failure.advice }
    switch error.code {
    case "ResourceNotFoundException": return "Create the table in this region, or correct its name."
    case "AccessDeniedException", "AccessDenied":
      // The permission for a table doesn't include its indexes.
      let resource = index.map { "the index, table/\(table)/index/\($0)" } ?? "the table"
      return "Allow the role dynamodb:\(permission) on \(resource)."
    case "ValidationException" where index != nil:
      return "Create the index; docs/detect-fleet.md has its keys."
    default:
      if error.retryReason == .throttling {
        return "Use on-demand capacity, or raise the table's capacity."
      }
      return failure.advice
    }
  }

  /// The name of the permission: a transaction of puts needs the one of a put.
  private var permission: String { operation == "TransactWriteItems" ? "PutItem" : operation }
}
