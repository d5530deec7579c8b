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

  init(_ cause: Cause, _ operation: String, _ table: String) {
    self.cause = cause
    self.operation = operation
    self.table = table
  }

  init(_ failure: ServiceFailure, _ operation: String, _ table: String) {
    let code = if case .refused(let error) = failure.cause { error.code } else { String?.none }
    switch code {
    // A write during a transaction on the same item is refused; the item has another version afterwards.
    case "ConditionalCheckFailedException", "TransactionConflictException":
      self.init(.conditionFailed, operation, table)
    case "TransactionCanceledException": self.init(.transactionCancelled, operation, table)
    default: self.init(.service(failure.cause), operation, table)
    }
  }

  package var description: String {
    let failed = "\(operation) on the table '\(table)' failed"
    switch cause {
    case .conditionFailed: return "\(failed): the item was changed meanwhile."
    case .transactionCancelled: return "\(failed): an item of the transaction was changed meanwhile."
    case .malformed(let reason): return "\(failed): the answer can't be used: \(reason)."
    case .service(let cause):
      let reason = ServiceFailure(cause, attempts: 0).reason
      return "\(failed): \(reason). \(advice(cause))"
    }
  }

  private func advice(_ cause: ServiceFailure.Cause) -> String {
    guard case .refused(let error) = cause else {
      return ServiceFailure(cause, attempts: 0).advice
    }
    switch error.code {
    case "ResourceNotFoundException": return "Create the table in this region, or correct its name."
    case "AccessDeniedException", "AccessDenied":
      return "Allow the role dynamodb:\(permission) on the table."
    default:
      if error.retryReason == .throttling {
        return "Use on-demand capacity, or raise the table's capacity."
      }
      return "See the request id in CloudTrail."
    }
  }

  /// The name of the permission: a transaction of puts needs the one of a put.
  private var permission: String { operation == "TransactWriteItems" ? "PutItem" : operation }
}
