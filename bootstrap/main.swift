import DefenderFunction
import Glibc
import LambdaRuntime
import Platform

if CommandLine.arguments.dropFirst() == ["--version"] {
  print(versionText(of: "bootstrap"))
  exit(EXIT_SUCCESS)
}

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
