import LambdaRuntimeAsync

// `AsyncProbe` handles the special events of the runtime's tests and echoes all others. lambda/examples/async has no such events.
serveAndExit { startup in try await AsyncProbe(startup) }
