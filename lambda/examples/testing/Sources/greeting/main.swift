import LambdaRuntime

serveAndExit { startup in try Greeting(startup) }
