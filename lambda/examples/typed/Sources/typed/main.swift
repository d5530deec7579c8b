import LambdaRuntime
import LambdaRuntimeCodable

/// Computes the price of an order.
struct Price: TypedHandler {
  struct Input: Decodable {
    var item: String
    var count: Int
  }

  struct Output: Encodable {
    var cents: Int
  }

  func handle(_ order: Input, _ context: Context) throws -> Output {
    guard order.count > 0 else {
      throw InvocationFailure(type: "Function.BadOrder", message: "The count must be at least 1.")
    }
    return Output(cents: order.count * 250)
  }
}

serveAndExit { _ in JSONHandler(Price()) }
