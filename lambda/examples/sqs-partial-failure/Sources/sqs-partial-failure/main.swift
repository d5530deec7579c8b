import LambdaEvents

/// Processes the messages of a queue. Lambda delivers only those again that failed.
struct Worker: EventHandler {
  func handle(_ batch: SQSEvent, _ context: Context) -> BatchResponse {
    batch.process { message in
      guard let number = Int(message.body) else {
        throw InvocationFailure(type: "Function.BadMessage", message: "The body isn't a number.")
      }
      context.log.info("Processed a message.", ["number": .integer(number)])
    } onFailure: { message, error in
      context.log.error("Can't process a message: \(error).", ["messageId": .string(message.messageID)])
    }
  }
}

serveAndExit { _ in Worker() }
