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

if let help = helpText(for: arguments) {
  print(help)
  exit(EXIT_SUCCESS)
}

let environment = Environment.ofThisProcess
let isAgent = arguments.first == "agent"
let isFunction = environment.value("AWS_LAMBDA_RUNTIME_API") != nil
let log = isFunction || isAgent ? Log(environment) : Log.ofComponent(environment)
if isAgent, arguments.count > 1 {
  log.error(
    "'bootstrap agent' takes no arguments (got '\(arguments[1])'). Configure it with environment variables; "
      + "'bootstrap agent --help' lists them.")
  exit(EXIT_FAILURE)
}
do {
  surviveFailedWrites()
  let shutdown = try ShutdownSignal(handlesHangup: isAgent || !isFunction)
  let time = SystemWaiter(shutdown: shutdown)
  if isAgent {
    try becomeDaemon(stoppedBy: shutdown)
    var agent = try Agent(environment, time: time, log: log, once: false)
    _ = try agent.run()
  } else if !isFunction, let client = IPCClient(environment, log: log, time: time) {
    try becomeDaemon(stoppedBy: shutdown)
    var component = Component(environment, client, time: time, log: log)
    component.run()
  } else if !isFunction {
    log.error(
      "AWS_LAMBDA_RUNTIME_API isn't set, so this process isn't in Lambda, and it isn't a Greengrass component. To report a "
        + "device, run 'bootstrap agent'. 'bootstrap --help' lists the ways to run it.")
    exit(EXIT_FAILURE)
  } else {
    var options = ServeOptions()
    options.ownsProcess = true
    if environment.value("_HANDLER") == DetectHandler.name {
      try serve(in: environment, log: log, until: shutdown, options: options) {
        try DetectHandler(environment, time: time, log: log)
      }
    } else {
      try serve(in: environment, log: log, until: shutdown, options: options) {
        try PublishMetricsHandler(environment, time: time, log: log)
      }
    }
  }
} catch {
  exit(reporting: error, to: log)
}
