/// All targets. A new one needs a function, a line here, and a corpus in `Tests/Fixtures/fuzz`.
let targets: [FuzzTarget] = [
  http, serviceAnswers, eventStream, mqttPackets, mqtt5Packets, webSocketAnswer, webSocketFrames,
  reportAnswers, json, cbor,
  profiles, credentialDocuments, events, configuration, componentConfiguration, savedState, spooledReport,
  customMetrics,
  procfsFiles, procfsLines, netlinkMessages, securityProfiles, recordedReports, detectionStates,
  fleetRecords, lambdaEvents, functionURLResponses, dynamoDBAnswers, commands,
]
