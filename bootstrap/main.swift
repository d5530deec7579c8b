import DefenderAgent
import DefenderFunction
import Glibc
import GreengrassIPC
import LambdaRuntime
import Platform

resetInheritedState()
let arguments = programArguments()
if arguments == ["--version"] {
  print(versionText(of: "bootstrap"))
  exit(EXIT_SUCCESS)
}

let environment = Environment.ofThisProcess
let isAgent = arguments.first == "agent"
let isFunction = environment.value("AWS_LAMBDA_RUNTIME_API") != nil
let log = isFunction || isAgent ? Log(environment) : Log.ofComponent(environment)
if isAgent, arguments.count > 1 {
  log.error(
    "'bootstrap agent' takes no arguments (got '\(arguments[1])'). Configure it with environment variables.")
  exit(EXIT_FAILURE)
}
do {
  surviveFailedWrites()
  let shutdown = try ShutdownSignal(handlesHangup: isAgent || !isFunction)
  if isAgent {
    try becomeDaemon(stoppedBy: shutdown)
    var agent = try Agent(environment, time: SystemTime(shutdown: shutdown), log: log, once: false)
    _ = try agent.run()
  } else if !isFunction, let client = IPCClient(environment, log: log, shutdown: shutdown) {
    try becomeDaemon(stoppedBy: shutdown)
    var component = Component(environment, client, until: shutdown, log: log)
    component.run()
  } else {
    var options = ServeOptions()
    options.ownsProcess = true
    try serve(in: environment, log: log, until: shutdown, options: options) {
      try PublishMetricsHandler(environment, time: SystemTime(shutdown: shutdown), log: log)
    }
  }
} catch {
  exit(reporting: error, to: log)
}
