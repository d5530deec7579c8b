import DefenderFunction
import LambdaRuntime
import Platform

let environment = Environment.ofThisProcess
let log = Log(environment)
do {
  let shutdown = try ShutdownSignal()
  try serve(in: environment, log: log, until: shutdown) {
    try PublishMetricsHandler(environment, time: SystemTime(shutdown: shutdown), log: log)
  }
} catch {
  exit(reporting: error, to: log)
}
